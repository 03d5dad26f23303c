"""From a request's body to the `payload` that `predict` gets."""

from __future__ import annotations

import codecs
import json
from typing import Callable, NoReturn, Optional

try:
    import orjson
except ImportError:
    fast_loads: Optional[Callable[[bytes], object]] = None
else:
    fast_loads = orjson.loads

JSON_TYPE = "application/json"
JSON_BLANKS = " \t\n\r"
FORM_TYPE = "application/x-www-form-urlencoded"

# Python's names of the charsets accepted in a Content-Type. Others that Python knows (idna, punycode, utf-7) are no
# charsets of the web, and some take quadratic time.
CHARSETS = frozenset(
    "ascii utf-8 utf-16 utf-16-be utf-16-le utf-32 utf-32-be utf-32-le iso8859-1 iso8859-2 iso8859-15"
    " cp1250 cp1251 cp1252 koi8-r big5 euc_jp euc_kr gb18030 gb2312 gbk shift_jis".split()
)


class BadRequest(Exception):
    """The body is not what its content type says."""


def decode_payload(content_type: str | None, body: bytes) -> object:
    """What `predict` gets as `payload`: parsed JSON, `str`, `bytes`, or `None` for an empty body."""
    if not body:
        return None
    if content_type == JSON_TYPE:
        return parse_json(body, "utf-8")
    media_type, charset = split_content_type(content_type or "")
    if media_type == JSON_TYPE or media_type.endswith("+json"):
        return parse_json(body, charset)
    if media_type.startswith("text/"):
        return decode_text(body, charset)
    # `curl -d` says "form" unless told otherwise, and what people send with it to a model is JSON.
    if media_type in ("", FORM_TYPE):
        try:
            return parse_json(body, charset)
        except BadRequest:
            return body
    return body


def split_content_type(content_type: str) -> tuple[str, str]:
    """Media type in lower case and charset, `utf-8` if none is given."""
    media_type, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), value.strip().strip('"')
    return media_type.strip().lower(), "utf-8"


def decode_text(body: bytes, charset: str) -> str:
    try:
        codec = codecs.lookup(charset).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in CHARSETS:
        raise BadRequest(f"the charset `{charset}` of the content type is not supported; use utf-8")
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not valid {codec}: {error.reason} at byte {error.start}") from None


def parse_json(body: bytes, charset: str) -> object:
    """Parsed JSON; by `orjson` if the environment has it, which differs in one thing: a whole number of more than 64 bits
    becomes a float. What it refuses is parsed again, since Python's own parser accepts more and says more."""
    if fast_loads and charset == "utf-8":
        try:
            return fast_loads(body)
        except ValueError:
            pass
    if charset == "utf-8":
        # Without the parts of `decode` that look for blanks. What that does not read is read again, to say what is wrong.
        try:
            text = body.decode()
            value, end = JSON_DECODER.scan_once(text, 0)
        except (StopIteration, ValueError, RecursionError):
            pass
        else:
            if end == len(text) or not text[end:].strip(JSON_BLANKS):
                return value
    text = decode_text(body, charset)
    try:
        return JSON_DECODER.decode(text[1:] if text.startswith("\ufeff") else text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not valid JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise BadRequest("the body is not acceptable JSON: it is nested too deeply") from None
    except ValueError as error:  # A number with more digits than Python converts.
        raise BadRequest(f"the body is not acceptable JSON: {error}") from None


def refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"the body is not valid JSON: `{name}` is not a JSON number")


JSON_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
