"""From what `predict` returned to what is sent."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import uuid
from typing import Callable, Dict, List, Optional, Tuple

from .frames import LIMIT
from .payload import JSON_TYPE
from .trouble import one_line

try:
    import orjson
except ImportError:
    orjson = None

TEXT_TYPE = "text/plain; charset=utf-8"
BYTES_TYPE = "application/octet-stream"
LINES_TYPE = "application/x-ndjson"
EVENTS_TYPE = "text/event-stream"

JSON_META = JSON_TYPE.encode()

# What Python's encoder takes for the key of an object.
KEY_TYPES = (str, int, float, type(None))


class BadResponse(Exception):
    """What `predict` returned cannot be sent."""


def encode_answer(answer: object) -> Tuple[bytes, bytes]:
    """The meta part of the frame, which says the content type, and the body for what `predict` returned."""
    kind = type(answer)
    if kind is dict or kind is list:
        return JSON_META, checked(encode_json(answer))
    if is_response(answer):
        return encode_response(answer)
    content_type, body = encode_body(answer)
    return content_type.encode(), checked(body)


def checked(body: bytes) -> bytes:
    if len(body) > LIMIT:
        raise BadResponse(f"the answer has {len(body)} bytes; the limit is {LIMIT}")
    return body


def encode_body(answer: object) -> Tuple[str, bytes]:
    """Content type and body."""
    if isinstance(answer, (bytes, bytearray, memoryview)):
        return BYTES_TYPE, bytes(answer)
    if isinstance(answer, str):
        return TEXT_TYPE, encode_text(answer, "$")
    return JSON_TYPE, encode_json(answer)


def is_response(answer: object) -> bool:
    """Whether it says its own status: no import is needed for that, the responses of Starlette and FastAPI do."""
    return hasattr(answer, "status_code") and (hasattr(answer, "body") or hasattr(answer, "body_iterator"))


def encode_response(answer: object) -> Tuple[bytes, bytes]:
    content_type, body = encode_body(answer.body) if answer.body is not None else ("", b"")  # type: ignore[attr-defined]
    return response_head(answer, content_type, bool(body)), checked(body)


def response_head(answer: object, content_type: str, has_body: bool) -> bytes:
    """Status and headers of a response of its own. `content_type` if it names none."""
    try:
        status = int(answer.status_code)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        status = 0
    if not 200 <= status <= 599:
        raise BadResponse(f"the status_code of the answer is {answer.status_code!r}; a number from 200 to 599 is needed")  # type: ignore[attr-defined]
    if has_body and status in (204, 304):
        raise BadResponse(f"the answer has a body, which a response of status {status} cannot have")
    headers = header_list(getattr(answer, "headers", None))
    content_type = getattr(answer, "media_type", None) or content_type
    if content_type and all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("content-type", content_type))
    return json.dumps({"status": status, "headers": headers}).encode()


def header_list(headers: object) -> List[Tuple[str, str]]:
    """Names and values of a mapping, or of a list of pairs if names repeat."""
    items = headers.items() if hasattr(headers, "items") else headers or ()
    try:
        return [(str(name), str(value)) for name, value in items]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise BadResponse("the headers of the answer are neither a dict nor a list of pairs") from None


def encode_json(answer: object) -> bytes:
    """The answer as JSON: first at the encoder's full speed; if that fails, step by step, to repair or to say where."""
    if orjson:
        try:
            body: bytes = orjson.dumps(answer, to_json_value, ORJSON_OPTIONS)
        except Exception:
            pass  # Python's own encoder accepts more, and says more.
        else:
            # It writes NaN and infinity as null, which are errors.
            if b"null" not in body:
                return body
    try:
        return (QUICK_ENCODER(answer) if QUICK_ENCODER else JSON_ENCODER.encode(answer)).encode()
    except Exception:
        try:
            return JSON_ENCODER.encode(to_json_values(answer, "$")).encode()
        except RecursionError:
            raise BadResponse("the answer is nested too deeply, or contains itself") from None


def encode_piece(piece: object, events: bool) -> Tuple[str, bytes]:
    """Content type and body of one piece of a stream."""
    if isinstance(piece, (bytes, bytearray, memoryview, str)):
        return encode_body(piece)
    if events:
        return EVENTS_TYPE, b"data: " + encode_json(piece) + b"\n\n"
    return LINES_TYPE, encode_json(piece) + b"\n"


def to_json_value(value: object) -> object:
    """One step towards JSON for a type that JSON has no form for; the encoder calls it again on what comes out."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (datetime.date, datetime.time)):  # `datetime.datetime` is a `date`.
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (type, bytes, bytearray, memoryview)):
        raise TypeError
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    # The arrays, tensors and scalars of NumPy and of all that follow its interface.
    for method in ("tolist", "item"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    raise TypeError


ORJSON_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS if orjson else 0
)
JSON_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=to_json_value)


def quick_encoder() -> Optional[Callable[[object], str]]:
    """What `JSON_ENCODER` makes anew for each answer, made once; `None` where Python has it not or has it otherwise.
    It does not look for lists that contain themselves: those end where the recursion does."""
    try:
        from json.encoder import c_make_encoder, encode_basestring

        encode = c_make_encoder(None, to_json_value, encode_basestring, None, ":", ",", False, False, False)
        sample = {"a": [1, 0.5, "\u00e9\n", None, True, {}, []]}
        if "".join(encode(sample, 0)) == JSON_ENCODER.encode(sample):
            return lambda answer: "".join(encode(answer, 0))
    except Exception:
        pass
    return None


QUICK_ENCODER = quick_encoder()


def to_json_values(value: object, path: str) -> object:
    """A copy of `value` made of JSON's own types. `path` says where it stands in the answer, which is `$`."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return check_finite(value, path)
    if isinstance(value, str):
        encode_text(value, path)
        return value
    if isinstance(value, dict):
        return {to_json_key(k, path): to_json_values(v, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_values(v, f"{path}[{i}]") for i, v in enumerate(value)]
    return to_json_values(convert_at(value, path), path)


def to_json_key(key: object, path: str) -> object:
    converted = key if isinstance(key, KEY_TYPES) else convert_at(key, path, "a key of type ")
    if not isinstance(converted, KEY_TYPES):
        raise BadResponse(f"a key of type `{type_name(key)}` at {path} of the answer cannot be written as JSON")
    return to_json_values(converted, path)


def convert_at(value: object, path: str, what: str = "") -> object:
    problem = f"{what}`{type_name(value)}` at {path} of the answer cannot be written as JSON"
    try:
        converted = to_json_value(value)
    except Exception as error:
        reason = one_line(error)
        raise BadResponse(f"{problem}: {reason}" if reason else problem) from None
    if type(converted) is type(value):  # No step forward; NumPy's `longdouble` does that.
        raise BadResponse(problem)
    return converted


def check_finite(value: float, path: str) -> float:
    if math.isfinite(value):
        return value
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    raise BadResponse(f"{name} at {path} of the answer cannot be written as JSON; return None or a text instead")


def encode_text(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadResponse(f"the text at {path} of the answer is not valid Unicode: {error.reason}") from None


def type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
