"""Answers that are sent piece by piece.

At most `WINDOW` frames of `CHUNK` bytes are under way: the replica credits each one that the caller has taken, so a slow
caller holds the predictor up and fills nobody's memory.
"""

from __future__ import annotations

import threading
from typing import Any, Iterator

from . import frames
from .answer import BadResponse, encode_piece, response_head
from .frames import CHUNK
from .serving import Call

WINDOW = 16


class Window:
    """How many more frames a stream may send. Filled by the thread that reads, emptied by the one that answers."""

    def __init__(self) -> None:
        self._left = WINDOW
        self._cancelled = False
        self._changed = threading.Condition()

    def credit(self, count: int) -> None:
        with self._changed:
            self._left += count
            self._changed.notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify()

    def take(self) -> bool:
        """Waits for a place in the window; false if nobody wants the stream any more."""
        with self._changed:
            while not self._left and not self._cancelled:
                self._changed.wait()
            self._left -= 1
            return not self._cancelled


class Sender:
    """The frames of one stream."""

    def __init__(self, call: Call, answer: object, events: bool) -> None:
        self._call = call
        self._answer = answer
        self._events = events
        self._begun = False

    def frames_of(self, piece: object) -> Iterator[bytes]:
        """The bodies that one piece makes. Sends the head before the first."""
        content_type, body = encode_piece(piece, self._events)
        self._begin(content_type)
        for start in range(0, len(body), CHUNK):
            yield body[start : start + CHUNK]

    def send(self, body: bytes) -> None:
        self._call.service.channel.send(frames.PIECE, self._call.number, b"", body)

    def end(self) -> None:
        """Also of a stream that nobody wants any more."""
        self._begin("")
        self._call.send(frames.END, b"")

    def _begin(self, content_type: str) -> None:
        """The status goes out with the first piece, so that what is raised before it can still have its own."""
        if not self._begun:
            answer = self._answer
            head = response_head(answer, content_type, bool(content_type)) if hasattr(answer, "status_code") else None
            self._call.service.channel.send(frames.START, self._call.number, head or content_type.encode())
            self._begun = True


def send_stream(call: Call, answer: object, pieces: Any, events: bool, window: Any) -> None:
    """Of a generator. It is closed, whatever happens."""
    if not hasattr(pieces, "__next__"):
        raise BadResponse("`predict` returned an async generator; make it `async def`")
    sender = Sender(call, answer, events)
    try:
        for piece in pieces:
            for body in sender.frames_of(piece):
                if not window.take():
                    close(pieces)
                    break
                sender.send(body)
            else:
                continue
            break
    finally:
        close(pieces)
    sender.end()


def close(pieces: Any) -> None:
    if hasattr(pieces, "close"):
        pieces.close()
