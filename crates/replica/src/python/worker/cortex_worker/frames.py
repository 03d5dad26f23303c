"""The worker's end of the socket."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from typing import NoReturn, Optional, Tuple

HEAD = struct.Struct(">BxxxIII")
LIMIT = 2**30
# What one system call reads, and up to which size a body is copied behind its head to be written with one.
CHUNK = 64 * 1024

INIT, PREDICT, BATCH, CANCEL, CREDIT, STOP = b"ipbcks"
READY, FAILED, RESULT, RESULTS, ERROR, START, PIECE, END, DONE, LINE = b"rfRBEHDZdL"

# Kind, number, meta part and body.
Frame = Tuple[int, int, bytes, bytes]


class Channel:
    """Only one thread receives; any thread sends. Both end the process if the replica is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""
        self._at = 0
        # Whether the replica has said all but credit, so that its silence is not its end.
        self.stopping = False
        self._write_lock = threading.Lock()

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive(self) -> Frame:
        """The next frame."""
        while True:
            frame = self.received()
            if frame is not None:
                return frame
            self._read(0)

    def poll(self) -> Optional[Frame]:
        """The next frame if it is there."""
        frame = self.received()
        if frame is None and self._read(socket.MSG_DONTWAIT):
            frame = self.received()
        return frame

    def received(self) -> Optional[Frame]:
        """The next frame of those read already. Waits for the rest of one that has begun, for the replica never stops
        in the middle of one."""
        data, at = self._data, self._at
        if len(data) - at < HEAD.size:
            if at == len(data):
                return None
            self._need(HEAD.size)
            data, at = self._data, self._at
        kind, number, meta_length, body_length = HEAD.unpack_from(data, at)
        meta = at + HEAD.size
        body = meta + meta_length
        end = body + body_length
        if end > len(data):
            self._need(end - at)
            data, meta, body, end = self._data, meta - at, body - at, end - at
        if end == len(data):
            self._data, self._at = b"", 0
        else:
            self._at = end
        return kind, number, data[meta:body], data[body:end]

    def send(self, kind: int, number: int, meta: bytes, body: bytes = b"") -> None:
        """Writes one frame."""
        head = HEAD.pack(kind, number, len(meta), len(body)) + meta
        try:
            with self._write_lock:
                if len(body) <= CHUNK:
                    self._connection.sendall(head + body)
                else:
                    self._connection.sendall(head)
                    self._connection.sendall(body)
        except OSError:
            os._exit(0)

    def exit_at_end_of_stream(self) -> NoReturn:
        """Waits until the replica closes its end, whatever else goes on, and ends the process.

        A replica that only has no more to send is not gone; `receive` decides about that.
        """
        poll = select.poll()
        poll.register(self._connection, 0)  # Hang-up is always reported, and nothing else is wanted.
        while not poll.poll():
            pass
        os._exit(0)

    def close(self) -> None:
        self._connection.close()

    def _read(self, flags: int, size: int = CHUNK) -> bool:
        """Reads some more; false if that would wait."""
        try:
            data = self._connection.recv(size, flags)
        except BlockingIOError:
            return False
        except OSError:
            os._exit(0)
        if not data and self.stopping:
            raise EOFError
        if not data:
            os._exit(0)
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0
        return True

    def _need(self, length: int) -> None:
        """Reads until the frame that is being read has so many bytes."""
        while (missing := length - (len(self._data) - self._at)) > 0:
            if missing > CHUNK:
                self._read(socket.MSG_WAITALL, missing)
            else:
                self._read(0)
