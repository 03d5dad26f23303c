"""JSON that every reader takes: Python writes, and has, more than others read."""

from __future__ import annotations

import json
import math
from typing import Any

# As JSON.
MAX_BYTES = 256 * 1024
# Lists and objects within one another.
MAX_NESTING = 96


def encoded(said: Any) -> bytes:
    """As JSON that every reader takes; raises `ValueError` if that is impossible."""
    if not is_json(said, MAX_NESTING):
        raise ValueError
    text = json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
    if len(text) > MAX_BYTES:
        raise ValueError
    return text


def is_json(value: Any, nesting: int) -> bool:
    if isinstance(value, dict):
        return all(map(is_text, value)) and is_json(list(value.values()), nesting)
    if isinstance(value, (list, tuple)):
        return nesting > 0 and all(is_json(inner, nesting - 1) for inner in value)
    return is_scalar(value)


def is_scalar(value: Any) -> bool:
    """Whether JSON has a form for it that means the same to everybody."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or is_text(value) or (isinstance(value, int) and -(2**63) <= value < 2**64)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value == value.encode("utf-8", "replace").decode()
