"""Serving with `def predict`: by one thread that reads as well, or by several."""

from __future__ import annotations

import collections
import inspect
import os
import queue
import threading
import traceback
from typing import Any, Deque, Dict, Optional

from . import frames
from .answer import BadResponse
from .frames import Frame
from .serving import Service, pieces_of
from .streams import WINDOW, Window, send_stream


def answer(service: Service, frame: Frame, windows: Any) -> None:
    """Answers one request. `windows` makes a window for a stream."""
    call = service.begin(*frame)
    try:
        answer = call.call()
        pieces, events = pieces_of(answer)
        if pieces is not None and not service.batching:
            with windows.of(call.number) as window:
                send_stream(call, answer, pieces, events, window)
        elif inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()  # Or Python warns of a coroutine that was never awaited.
            raise BadResponse("`predict` returned something to await; make it `async def`")
        else:
            call.answer(answer)
        sent = True
    except BaseException as error:
        call.fail(error)
        sent = False
    if sent and service.predictor.hook is not None:
        try:
            call.hook(answer)
        except BaseException:
            call.hook_failed()
    call.end()


def serve_alone(service: Service) -> None:
    """One thread, the main one: it answers what it reads. Returns when told to stop."""
    channel = service.channel
    alone = Alone(service)
    while True:
        frame = alone.waiting.popleft() if alone.waiting else channel.receive()
        kind = frame[0]
        if kind == frames.PREDICT or kind == frames.BATCH:
            guarded(service, frame, alone)
        elif kind == frames.STOP:
            return
        elif kind != frames.CREDIT and kind != frames.CANCEL:
            raise ValueError(f"unexpected frame {chr(kind)}")
        del frame  # Or it would stay in memory until the next request.


class Alone:
    """The window of the only stream there can be: whoever waits for credit reads the socket."""

    def __init__(self, service: Service) -> None:
        self._channel = service.channel
        # What was read while a stream was sent.
        self.waiting: Deque[Frame] = collections.deque()

    def of(self, number: int) -> Alone:
        self._number, self._left, self._cancelled = number, WINDOW, False
        return self

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self) -> bool:
        while True:
            # A look each time, or a stream nobody wants would go on to the end of its window.
            frame = self._channel.poll() if self._left else self._channel.receive()
            if frame is None:
                self._left -= 1
                return True
            kind, number, meta, _ = frame
            if kind == frames.CREDIT:
                self._left += int(meta) if number == self._number else 0
            elif kind == frames.CANCEL:
                if number == self._number:
                    return False
            else:
                self.waiting.append(frame)


class Streams:
    """The windows of the streams that several threads send."""

    def __init__(self) -> None:
        self._windows: Dict[int, Window] = {}

    def of(self, number: int) -> Registered:
        return Registered(self._windows, number)

    def find(self, number: int) -> Optional[Window]:
        return self._windows.get(number)


class Registered:
    def __init__(self, windows: Dict[int, Window], number: int) -> None:
        self._windows, self._number = windows, number

    def __enter__(self) -> Window:
        self._windows[self._number] = window = Window()
        return window

    def __exit__(self, *_: object) -> None:
        del self._windows[self._number]


def serve_threads(service: Service, threads: int) -> None:
    """Hands requests to `threads` threads until told to stop; returns when all that were received are answered."""
    requests: queue.SimpleQueue[Optional[Frame]] = queue.SimpleQueue()
    streams = Streams()
    workers = [
        threading.Thread(target=answer_requests, args=(service, requests, streams), name=f"predict-{n}", daemon=True)
        for n in range(threads)
    ]
    for worker in workers:
        worker.start()
    while True:
        frame = service.channel.receive()
        kind, number, meta, _ = frame
        if kind == frames.PREDICT or kind == frames.BATCH:
            requests.put(frame)
        elif kind == frames.CREDIT or kind == frames.CANCEL:
            # One that has ended by now needs neither.
            window = streams.find(number)
            if window and kind == frames.CREDIT:
                window.credit(int(meta))
            elif window:
                window.cancel()
        elif kind == frames.STOP:
            break
        else:
            raise ValueError(f"unexpected frame {chr(kind)}")
        del frame
    for _ in workers:
        requests.put(None)
    service.channel.stopping = True
    # Streams go on needing credit.
    threading.Thread(target=pass_credit, args=(service, streams), daemon=True).start()
    for worker in workers:
        worker.join()


def pass_credit(service: Service, streams: Streams) -> None:
    while True:
        try:
            kind, number, meta, _ = service.channel.receive()
        except EOFError:
            return
        window = streams.find(number)
        if window and kind == frames.CREDIT:
            window.credit(int(meta))
        elif window and kind == frames.CANCEL:
            window.cancel()


def answer_requests(service: Service, requests: queue.SimpleQueue[Optional[Frame]], streams: Streams) -> None:
    """One thread's work: a request after the other, until `None`."""
    for frame in iter(requests.get, None):
        guarded(service, frame, streams)
        del frame


def guarded(service: Service, frame: Frame, windows: Any) -> None:
    try:
        answer(service, frame, windows)
    except BaseException:
        # Not the predictor's doing, which `answer` reports. Without this thread requests would hang, so let the replica
        # see a dead worker, which it knows how to replace.
        traceback.print_exc()
        os._exit(2)
