"""Child processes that leave nothing behind.

Each is the leader of a session of its own, is killed by the kernel when the runner is no more, and hands its orphans to
the runner, which is how those are found.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def adopt_orphans() -> None:
    """Orphans of our children become our own children, not those of the machine's first process."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Process:
    """One child, with its group. Only the main thread makes them."""

    def __init__(self, command: list[str], environment: dict[str, str], directory: Path, log: Path):
        # By setpriv, for a function between fork and exec may hang in a process with threads.
        guarded = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                guarded,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._child.pid
        self._kill_at: float | None = None

    def exit_code(self) -> int | None:
        """As shells and ECS count: 128 and the signal's number if one ended it. None while it runs."""
        code = self._child.poll()
        return 128 - code if code is not None and code < 0 else code

    def stop(self, patience: float) -> None:
        """SIGTERM to the process itself, once; `tick` kills its group when patience is over."""
        if self._kill_at is None and self.exit_code() is None:
            self._kill_at = time.monotonic() + patience
            _send(os.kill, self.pid, signal.SIGTERM)

    def tick(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.kill()

    def kill(self) -> None:
        """What is left of its group."""
        _send(os.killpg, self.pid, signal.SIGKILL)


def _send(how: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    try:
        how(pid, number)
    except ProcessLookupError:
        pass


def reap(known: set[int]) -> None:
    """Collects orphans that ended; those that somebody waits for are theirs."""
    mine = os.getpid()
    for pid in {pid for pid, parent in _parents().items() if parent == mine} - known:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def kill_all() -> None:
    """Everybody who descends from this process, until there is nobody."""
    for _ in range(100):
        below = _descendants()
        if not below:
            return
        for pid in below:
            _send(os.kill, pid, signal.SIGKILL)
        reap(set())
        time.sleep(0.02)


def descendants_with(marker: str) -> list[int]:
    """Those of our descendants that have this in their environment."""
    return [pid for pid in _descendants() if marker.encode() in _bytes(Path(f"/proc/{pid}/environ"))]


def kill(pids: list[int]) -> None:
    for pid in pids:
        _send(os.kill, pid, signal.SIGKILL)


def _descendants() -> list[int]:
    parents = _parents()
    found: list[int] = []
    waiting = {os.getpid()}
    while waiting:
        waiting = {pid for pid, parent in parents.items() if parent in waiting}
        found += waiting
    return found


def _parents() -> dict[int, int]:
    """Everybody's parent, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        # After the command's name, which is in parentheses: the state, and the parent.
        words = _bytes(entry / "stat").rpartition(b")")[2].split()
        if len(words) > 1:
            found[int(entry.name)] = int(words[1])
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
