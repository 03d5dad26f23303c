"""Serving with `async def predict`: a task for each request, on one event loop that reads the socket as well."""

from __future__ import annotations

import asyncio
import inspect
import os
import traceback
from typing import Any, Dict, Set

from . import frames
from .frames import Frame
from .serving import Call, Service, pieces_of
from .streams import WINDOW, Sender


def serve_tasks(service: Service) -> None:
    """Returns when told to stop and everything is answered."""
    asyncio.run(Loop(service).run())


class Loop:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks: Dict[int, asyncio.Task[None]] = {}
        self._windows: Dict[int, asyncio.Semaphore] = {}
        # Requests that nobody waits for any more.
        self._cancelled: Set[int] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        loop.add_reader(self._service.channel, self._readable)
        await self._stop.wait()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _readable(self) -> None:
        try:
            while (frame := self._service.channel.poll()) is not None:
                self._take(frame)
        except EOFError:
            asyncio.get_running_loop().remove_reader(self._service.channel)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _take(self, frame: Frame) -> None:
        kind, number, meta, _ = frame
        if kind == frames.PREDICT or kind == frames.BATCH:
            self._tasks[number] = asyncio.get_running_loop().create_task(self._guarded(frame))
        elif kind == frames.CREDIT:
            if number in self._windows:
                for _ in range(int(meta)):
                    self._windows[number].release()
        elif kind == frames.CANCEL:
            if number in self._tasks and number not in self._cancelled:
                self._cancelled.add(number)
                # Not at once: a task that is cancelled before its first step would answer nothing.
                asyncio.get_running_loop().call_soon(self._tasks[number].cancel)
        elif kind == frames.STOP:
            self._service.channel.stopping = True
            self._stop.set()
        else:
            raise ValueError(f"unexpected frame {chr(kind)}")

    async def _guarded(self, frame: Frame) -> None:
        number = frame[1]
        call = self._service.begin(*frame)
        try:
            await self._answer(call)
        except BaseException:
            # Not the predictor's doing. Let the replica see a dead worker, which it knows how to replace.
            traceback.print_exc()
            os._exit(2)
        finally:
            self._cancelled.discard(number)
            del self._tasks[number]

    async def _answer(self, call: Call) -> None:
        try:
            answer = call.call()
            if inspect.isawaitable(answer):
                answer = await answer
            pieces, events = pieces_of(answer)
            if pieces is not None and not self._service.batching:
                await self._send_stream(call, answer, pieces, events)
            else:
                call.answer(answer)
            sent = True
        except BaseException as error:
            sent = False
            if isinstance(error, asyncio.CancelledError) and call.number in self._cancelled:
                call.send(frames.ERROR, b'{"kind":"cancelled","message":"","traceback":""}')
            else:
                call.fail(error)
        if sent and self._service.predictor.hook is not None:
            try:
                done = call.hook(answer)
                if inspect.isawaitable(done):
                    await done
            except BaseException:
                call.hook_failed()
        call.end()

    async def _send_stream(self, call: Call, answer: object, pieces: Any, events: bool) -> None:
        sender = Sender(call, answer, events)
        window = self._windows[call.number] = asyncio.Semaphore(WINDOW)
        try:
            if hasattr(pieces, "__anext__"):
                async for piece in pieces:
                    for body in sender.frames_of(piece):
                        await window.acquire()
                        sender.send(body)
            else:
                for piece in pieces:
                    for body in sender.frames_of(piece):
                        await window.acquire()
                        sender.send(body)
                    await asyncio.sleep(0)  # For the other requests; this one's code does not wait for anything.
        finally:
            del self._windows[call.number]
            for method in ("aclose", "close"):
                if hasattr(pieces, method):
                    closed = getattr(pieces, method)()
                    if inspect.isawaitable(closed):
                        await closed
                    break
        sender.end()
