"""Docker's health checks, ten times as often.

AWS: AmazonECS/latest/APIReference/API_HealthCheck.html
"""

import time
from pathlib import Path
from typing import Any

from .processes import Process

UNKNOWN, HEALTHY, UNHEALTHY = "UNKNOWN", "HEALTHY", "UNHEALTHY"

_OFTENER = 0.1
_SHORTEST = 0.3


class Check:
    """One container's. A failure within the start period counts for nothing, a success ends that period."""

    def __init__(self, definition: dict[str, Any], command: list[str], environment: dict[str, str], directory: Path):
        self.state = UNKNOWN
        kind, words = command[0], command[1:]
        self._command = ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words
        self._environment = environment
        self._directory = directory
        self._interval = max(_SHORTEST, (definition.get("interval") or 30) * _OFTENER)
        self._timeout = float(definition.get("timeout") or 5)
        self._retries = int(definition.get("retries") or 3)
        self._begun = time.monotonic()
        self._starts_until = self._begun + float(definition.get("startPeriod") or 0)
        self._failures = 0
        self._next = self._begun + _SHORTEST
        self._process: Process | None = None
        self._deadline = 0.0

    def tick(self) -> None:
        now = time.monotonic()
        if self._process is None:
            if now >= self._next and self._command:
                self._run(now)
            return
        code = self._process.exit_code()
        if code is None and now < self._deadline:
            return
        self._process.kill()
        if code is None:
            # Killed, and so over in a moment.
            self._deadline = now + 1
            return
        self._process = None
        self._next = now + self._interval
        self._count(code == 0, now)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def pids(self) -> set[int]:
        return {self._process.pid} if self._process else set()

    def _run(self, now: float) -> None:
        try:
            log = self._directory / "health.log"
            self._process = Process(self._command, self._environment, self._directory, log)
        except OSError:
            self._next = now + self._interval
            self._count(False, now)
        else:
            self._deadline = now + self._timeout

    def _count(self, success: bool, now: float) -> None:
        if success:
            self.state, self._failures, self._starts_until = HEALTHY, 0, self._begun
        elif now >= self._starts_until:
            self._failures += 1
            if self._failures >= self._retries:
                self.state = UNHEALTHY
