"""Standard output and standard error that know which request they are about."""

from __future__ import annotations

import contextvars
import io
import sys
from typing import Dict, Optional

from .frames import LINE, Channel

# A line longer than this is sent in parts: a predictor that never ends its line must not fill the memory.
LONGEST_LINE = 64 * 1024


class Request:
    """The request that is being answered, as far as its output is concerned."""

    __slots__ = ("id", "number", "unfinished")

    def __init__(self, number: int, request_id: bytes) -> None:
        self.number = number
        self.id = request_id
        self.unfinished: Optional[Dict[Output, str]] = None

    def finish_lines(self) -> None:
        """Sends what was printed without a line feed."""
        if self.unfinished:
            for output, text in self.unfinished.items():
                if text:
                    output.send(self, text)
            self.unfinished = None


# Follows the request into tasks and, by `asyncio.to_thread`, into threads.
CURRENT: contextvars.ContextVar[Optional[Request]] = contextvars.ContextVar("cortex_request", default=None)


class Output(io.TextIOWrapper):
    """Lines that are written while a request is answered go to the replica as frames that name it; all others, and what
    is written to `buffer` or by native code, to the file descriptor, where the replica reads them too."""

    def __init__(self, channel: Channel, name: bytes, descriptor: int) -> None:
        # A line at a time, which is how the replica logs them; any text, whatever the locale.
        buffer = open(descriptor, "wb", buffering=io.DEFAULT_BUFFER_SIZE, closefd=False)
        super().__init__(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._channel = channel
        self._name = name

    def write(self, text: str) -> int:
        request = CURRENT.get()
        if request is None or not isinstance(text, str):
            return super().write(text)
        if request.unfinished is None:
            request.unfinished = {}
        *lines, rest = (request.unfinished.get(self, "") + text).split("\n")
        for line in lines:
            self.send(request, line)
        if len(rest) > LONGEST_LINE:
            self.send(request, rest)
            rest = ""
        request.unfinished[self] = rest
        return len(text)

    def send(self, request: Request, line: str) -> None:
        text = line.encode("utf-8", "backslashreplace")
        self._channel.send(LINE, request.number, request.id + b"\n" + self._name, text)


def replace_streams(channel: Channel) -> None:
    sys.stdout = Output(channel, b"stdout", 1)
    sys.stderr = Output(channel, b"stderr", 2)
