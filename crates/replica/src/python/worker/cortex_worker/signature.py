"""What a predictor says of itself for the API's OpenAPI document: docstrings, and annotations as JSON Schemas.

A promise to readers, not a check: whatever cannot be told is left out, and no request is refused for it.
"""

from __future__ import annotations

import typing
from typing import Any, Callable, Dict

from .hints import hints_of, text_of
from .portable import encoded
from .schemas import Schemas


def self_description(predictor_class: type, batching: bool) -> bytes:
    """JSON of `description`, `payload`, `reply` and the `schemas` that these refer to; each only if there is something
    to tell."""
    said: Dict[str, Any] = {}
    try:
        predict: Callable[..., Any] = predictor_class.predict  # type: ignore[attr-defined]
        said = {"description": documentation(predictor_class, predict)}
        return written({**said, **types_of(predict, batching)})
    except BaseException:  # Annotations can be any code.
        return written(said)


def written(said: Dict[str, Any]) -> bytes:
    return encoded({name: value for name, value in said.items() if value})


def documentation(predictor_class: type, predict: Callable[..., Any]) -> str:
    texts = (text_of(predictor_class), text_of(predict))
    return "\n\n".join(text for text in texts if text)


def types_of(predict: Callable[..., Any], batching: bool) -> Dict[str, Any]:
    schemas = Schemas()
    hints = hints_of(predict)
    payload, reply = (hints.get(name, Any) for name in ("payload", "return"))
    if batching:
        # What is worked on together is asked for and answered one by one.
        payload, reply = item_of(payload), item_of(reply)
    return {"payload": schemas.of(payload), "reply": schemas.of(reply), "schemas": schemas.named}


def item_of(hint: Any) -> Any:
    """`X` of `list[X]`."""
    arguments = typing.get_args(hint)
    return arguments[0] if len(arguments) == 1 else Any
