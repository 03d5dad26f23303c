"""Time of the emulated cloud: what is pending, and for how long.

Nothing runs in the background. What is due happens at the start of the next request, so an emulator that nobody asks
stands still, and a test may move the clock instead of waiting.
"""

import heapq
import itertools
import time
from collections.abc import Callable

# Seconds, as seen on AWS; docs/emulator.md says where they come from.
AWS_LIKE = {
    "nat_create": 100.0,
    "nat_delete": 50.0,
    "elb_create": 150.0,
    "elb_interfaces": 60.0,
    "target_health": 100.0,
    "instance_start": 20.0,
    "instance_stop": 40.0,
    "endpoint_delete": 20.0,
    "iam_propagation": 8.0,
    "group_delete": 30.0,
    "capacity_attach": 5.0,
    "agent_register": 30.0,
    "scale_out": 60.0,
    "scale_in": 900.0,
    "task_start": 10.0,
    "task_healthy": 5.0,
    "task_stop": 5.0,
}


class Clock:
    def __init__(self) -> None:
        self.delays = dict.fromkeys(AWS_LIKE, 0.0)
        self._offset = 0.0
        # While something that was due earlier is done: when it was due.
        self._at: float | None = None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return time.monotonic() + self._offset if self._at is None else self._at

    def after(self, delay: str, action: Callable[[], None]) -> None:
        """Does it when the delay of that name is over; at once if there is none."""
        seconds = self.delays[delay]
        if seconds <= 0:
            action()
            return
        heapq.heappush(self._due, (self.now() + seconds, next(self._order), action))

    def settle(self) -> None:
        """Does what is due. What that brings about takes its time from then, and may be due as well."""
        while self._due and self._due[0][0] <= self.now():
            due, _, action = heapq.heappop(self._due)
            self._at = due
            try:
                action()
            finally:
                self._at = None

    def advance(self, seconds: float, look: Callable[[], None]) -> None:
        """Moves the clock, and looks after each thing that happens on the way, as somebody always asking would."""
        target = self.now() + seconds
        while self._due and self._due[0][0] <= target:
            self._offset += max(self._due[0][0] - self.now(), 0.0)
            self.settle()
            look()
        self._offset += max(target - self.now(), 0.0)
        look()

    def pending(self) -> int:
        return len(self._due)

    def set(self, changes: dict[str, float]) -> None:
        """`scale` sets all delays to that multiple of the AWS-like ones; the others are seconds."""
        unknown = sorted(set(changes) - set(self.delays) - {"scale"})
        if unknown:
            raise KeyError(f"there is no delay {', '.join(unknown)}; there are {', '.join(self.delays)}")
        if "scale" in changes:
            self.delays = {name: seconds * float(changes["scale"]) for name, seconds in AWS_LIKE.items()}
        self.delays.update({name: float(value) for name, value in changes.items() if name != "scale"})

    def forget(self) -> None:
        self._due.clear()


CLOCK = Clock()
