"""One request from its frame to the frames of its answer, whichever thread or task does it."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any, Dict, List, Tuple

from . import frames
from .answer import BadResponse, encode_answer
from .batches import Batch, ids_of
from .frames import Channel
from .loading import Predictor
from .output import CURRENT, Request
from .payload import BadRequest, decode_payload
from .trouble import describe, format_traceback


class Service:
    """What all threads and tasks share."""

    def __init__(self, channel: Channel, predictor: Predictor, project: str, batching: bool) -> None:
        self.channel = channel
        self.predictor = predictor
        self.batching = batching
        self._project = project

    def begin(self, kind: int, number: int, meta: bytes, body: bytes) -> Call:
        call: Call = BatchCall() if kind == frames.BATCH else Call()
        call.service, call.number, call.body = self, number, body
        if kind == frames.BATCH:
            call.entries = json.loads(meta)
            call.request = Request(number, ids_of(call.entries))
        else:
            request_id, call.content_type, call.head = meta.split(b"\n", 2)
            call.request = Request(number, request_id)
        CURRENT.set(call.request)
        return call

    def error(self, error: BaseException) -> Dict[str, str]:
        """What is said of an exception. Whatever the predictor raises, `SystemExit` included, is an answer too."""
        if isinstance(error, BadRequest):
            return {"kind": "bad_request", "message": str(error), "traceback": ""}
        if isinstance(error, BadResponse):
            return {"kind": "bad_response", "message": str(error), "traceback": ""}
        message = describe(error, self._project)
        return {"kind": "predictor_raised", "message": message, "traceback": format_traceback(error)}


class Call:
    """One request under way. Its steps, in this order: `call`, then `answer` or `fail`, `end`."""

    __slots__ = ("service", "number", "body", "content_type", "head", "request", "arguments", "entries")
    service: Service
    number: int
    body: bytes
    content_type: bytes
    head: bytes
    request: Request
    arguments: Dict[str, object]
    entries: List[Any]

    def call(self) -> Any:
        """What `predict` returns, which may be something to await."""
        predictor = self.service.predictor
        if predictor.payload_only:
            return predictor.predict(payload=decode_payload(self.content_type.decode(), self.body))
        headers, query = json.loads(self.head) if self.head else (None, None)
        self.arguments = predictor.arguments(self.content_type.decode(), self.body, headers, query)
        return predictor.call(self.arguments)

    def answer(self, answer: object) -> None:
        self.send(frames.RESULT, *encode_answer(answer))

    def fail(self, error: BaseException) -> None:
        self.send(frames.ERROR, json.dumps(self.service.error(error)).encode())

    def send(self, kind: int, meta: bytes, body: bytes = b"") -> None:
        """Sends what ends the answer, behind what was printed before."""
        if self.request.unfinished:
            self.request.finish_lines()
        self.service.channel.send(kind, self.number, meta, body)

    def hook(self, answer: object) -> Any:
        return self.service.predictor.call_hook(answer, self.arguments)

    def hook_failed(self) -> None:
        """The answer is out, so only the log hears of it."""
        print("post_predict raised:", file=sys.stderr)
        traceback.print_exc(file=sys.stderr)

    def end(self) -> None:
        if self.service.predictor.hook is not None:
            self.request.finish_lines()
            self.service.channel.send(frames.DONE, self.number, b"")
        CURRENT.set(None)


class BatchCall(Call):
    """Many requests under way, of which the predictor sees lists."""

    __slots__ = ("batch",)
    batch: Batch

    def call(self) -> Any:
        predictor = self.service.predictor
        self.batch = Batch(self.entries, self.body, predictor, self.service.error)
        self.arguments = self.batch.arguments()
        # There is nothing to predict if no body could be read.
        return predictor.call(self.arguments) if self.batch.readable else []

    def answer(self, answer: object) -> None:
        self.send(frames.RESULTS, *self.batch.encode(answer))


def pieces_of(answer: object) -> Tuple[Any, bool]:
    """What to iterate over for an answer that is to be sent piece by piece, and whether as server-sent events; `None` for
    any other answer."""
    kind = type(answer)
    if kind is dict or kind is list or kind is str or kind is bytes:
        return None, False
    if is_stream(answer):
        return answer, False
    if hasattr(answer, "status_code"):
        for name in ("body", "body_iterator"):
            body = getattr(answer, name, None)
            if is_stream(body):
                media_type = str(getattr(answer, "media_type", None) or "")
                return body, media_type.startswith("text/event-stream")
    return None, False


def is_stream(value: object) -> bool:
    """Generators, and other iterators that are asked for one item after the other. A list is an answer."""
    return hasattr(value, "__next__") or hasattr(value, "__anext__")
