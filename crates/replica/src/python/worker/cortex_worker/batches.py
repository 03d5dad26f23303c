"""Several requests that the predictor answers at once."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Tuple

from .answer import BadResponse, encode_answer, type_name
from .loading import Predictor

# A log line names so many requests at most.
NAMED = 16


def ids_of(entries: List[Any]) -> bytes:
    """What a log line of the batch says as its request."""
    ids = ",".join(entry[0] for entry in entries[:NAMED])
    return (ids if len(entries) <= NAMED else ids + ",...").encode()


class Batch:
    """The requests of one frame. One whose body cannot be read is refused by itself, and the predictor does not see it."""

    def __init__(
        self,
        entries: List[Any],
        body: bytes,
        predictor: Predictor,
        say: Callable[[BaseException], Dict[str, str]],
    ) -> None:
        self._say = say
        self._count = len(entries)
        self._refused: Dict[int, Dict[str, str]] = {}
        self.readable: List[Dict[str, object]] = []
        at = 0
        for index, (_, content_type, length, headers, query) in enumerate(entries):
            part = body[at : at + length]
            at += length
            try:
                self.readable.append(predictor.arguments(content_type, part, headers, query))
            except Exception as error:
                self._refused[index] = say(error)

    def arguments(self) -> Dict[str, object]:
        names = self.readable[0] if self.readable else ()
        return {name: [arguments[name] for arguments in self.readable] for name in names}

    def encode(self, answer: object) -> Tuple[bytes, bytes]:
        """Meta part and body of the frame that answers all of them."""
        answers = iter(self._listed(answer))
        said: List[Dict[str, object]] = []
        bodies: List[bytes] = []
        for index in range(self._count):
            refused = self._refused.get(index)
            body = b""
            if refused is None:
                one, body = self._encode_one(next(answers))
            else:
                one = dict(refused)
            said.append({**one, "length": len(body)})
            bodies.append(body)
        return json.dumps(said).encode(), b"".join(bodies)

    def _listed(self, answer: Any) -> List[object]:
        wanted = len(self.readable)
        advice = "; with `server_side_batching` it gets a list of payloads and returns a list of as many answers"
        if isinstance(answer, (str, bytes, bytearray, memoryview, dict, set)) or not hasattr(answer, "__len__"):
            raise BadResponse(f"`predict` returned a `{type_name(answer)}`{advice}")
        if len(answer) != wanted:
            raise BadResponse(f"`predict` got {wanted} payloads and returned {len(answer)} answers{advice}")
        return list(answer)

    def _encode_one(self, answer: object) -> Tuple[Dict[str, object], bytes]:
        """An exception in the place of an answer is the answer to that request alone."""
        try:
            if isinstance(answer, BaseException):
                raise answer
            meta, body = encode_answer(answer)
        except BaseException as error:
            return dict(self._say(error)), b""
        text = meta.decode()
        return (json.loads(text) if text.startswith("{") else {"content_type": text}), body
