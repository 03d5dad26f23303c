"""Annotations and docstrings, as far as they can be read."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from typing import Any, Dict, Iterator, List, Set, Tuple

from .portable import is_text

# Of each text.
MAX_TEXT = 4 * 1024

# Words around the type of a field, by name: older Pythons have them from `typing_extensions`.
FIELD_WORDS = ("Required", "NotRequired", "ReadOnly", "Final")


def text_of(documented: object) -> str:
    """Its own docstring, none that is inherited or that Python has made up."""
    text = getattr(documented, "__doc__", None)
    return "" if not isinstance(text, str) or is_generated(documented, text) else cleaned(inspect.cleandoc(text))


def cleaned(text: str) -> str:
    """Short, and without what UTF-8 has no form for."""
    return text[:MAX_TEXT].strip().encode("utf-8", "replace").decode()


def is_generated(documented: object, text: str) -> bool:
    """A dataclass without a docstring is given its signature as one."""
    name = getattr(documented, "__name__", "")
    return isinstance(documented, type) and dataclasses.is_dataclass(documented) and text.startswith(f"{name}(")


def hints_of(owner: Any) -> Dict[str, Any]:
    """Annotations, with names for what they name; `Any` for those that name what cannot be found."""
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except BaseException:  # They can be any code.
        return {name: hint for names in annotated(owner) for name, hint in one_by_one(*names)}


def annotated(owner: Any) -> Iterator[Tuple[Dict[str, Any], Dict[str, Any], Dict[str, Any]]]:
    """Annotations, globals and locals of a function, or of a class and those it inherits from."""
    if not isinstance(owner, type):
        function = inspect.unwrap(owner)
        yield getattr(owner, "__annotations__", {}), getattr(function, "__globals__", {}), {}
        return
    for kind in reversed(owner.__mro__):
        module = sys.modules.get(kind.__module__)
        yield vars(kind).get("__annotations__", {}), getattr(module, "__dict__", {}), dict(vars(kind))


def one_by_one(
    annotations: Dict[str, Any], global_names: Dict[str, Any], local_names: Dict[str, Any]
) -> Iterator[Tuple[str, Any]]:
    for name, annotation in annotations.items():

        def alone() -> None: ...

        alone.__annotations__ = {name: annotation}
        try:
            yield name, typing.get_type_hints(alone, global_names, local_names, include_extras=True)[name]
        except BaseException:
            yield name, Any


def field_word(origin: Any) -> str:
    """`NotRequired` of the origin of `NotRequired[int]`; empty if it is none of these words."""
    name = getattr(origin, "_name", None)
    return name if name in FIELD_WORDS else ""


def field_words(hint: Any) -> Set[str]:
    """Those around a field's type."""
    words = set()
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if not field_word(origin) and origin is not typing.Annotated:
            return words
        words.add(field_word(origin))
        hint = arguments[0]


def is_record(kind: type) -> bool:
    """A dataclass, or a `TypedDict` of `typing` or `typing_extensions`."""
    return dataclasses.is_dataclass(kind) or (issubclass(kind, dict) and hasattr(kind, "__required_keys__"))


def fields_of(kind: type) -> Dict[str, Any]:
    hints = {name: hint for name, hint in hints_of(kind).items() if is_text(name)}
    if not dataclasses.is_dataclass(kind):
        return hints
    # Neither what belongs to the class nor what only its constructor sees.
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(kind)}


def required_of(kind: type, hints: Dict[str, Any]) -> List[str]:
    if not dataclasses.is_dataclass(kind):
        return sorted(name for name, hint in hints.items() if is_required(kind, name, field_words(hint)))
    missing = dataclasses.MISSING
    fields = [field for field in dataclasses.fields(kind) if field.init]
    return [field.name for field in fields if field.default is missing and field.default_factory is missing]


def is_required(kind: Any, name: str, words: Set[str]) -> bool:
    """The class itself does not see words in annotations that were texts when it was made."""
    return "Required" in words or (name in kind.__required_keys__ and "NotRequired" not in words)
