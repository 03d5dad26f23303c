"""The awslogs driver: what a container writes goes to CloudWatch Logs, line by line, with the instance's credentials.

AWS: AmazonECS/latest/developerguide/using_awslogs.html
"""

import threading
import time
from pathlib import Path

from .emulator import Emulator, Provider, Refused

_EVERY = 0.3
_BATCH = 1000
_AT_ONCE = 256 * 1024


class Stream:
    """Follows a local file, which is the copy that stays."""

    def __init__(self, emulator: Emulator, credentials: Provider, group: str, name: str, file: Path):
        self._emulator = emulator
        self._credentials = credentials
        self._place = {"logGroupName": group, "logStreamName": name}
        self._file = file
        self._read = 0
        self._ends = threading.Event()
        self.problem: str | None = None

    def create(self) -> None:
        """Raises `Refused`: then the container does not start."""
        try:
            self._emulator.call(self._credentials(), "logs", "CreateLogStream", **self._place)
        except Refused as error:
            if error.code != "ResourceAlreadyExistsException":
                raise
        threading.Thread(target=self._follow, daemon=True).start()

    def end(self) -> None:
        """What is in the file by now is sent, then no more."""
        self._ends.set()

    def _follow(self) -> None:
        over = False
        while not over:
            over = self._ends.wait(_EVERY)
            try:
                while self._send(over):
                    pass
            except (Refused, OSError) as error:
                self.problem = str(error)

    def _send(self, over: bool) -> bool:
        """Whether there was something to send; a last line without an end waits for its end."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            data = file.read(_AT_ONCE)
        whole = data if over or len(data) == _AT_ONCE else data[: data.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", "replace").splitlines()
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line]
        for start in range(0, len(events), _BATCH):
            part = events[start : start + _BATCH]
            self._emulator.call(self._credentials(), "logs", "PutLogEvents", **self._place, logEvents=part)
        self._read += len(whole)
        return bool(whole)
