"""What a predictor says of itself for the API's OpenAPI document: docstrings, and annotations as JSON Schemas.

A promise to readers, not a check: whatever cannot be told is left out, and no request is refused for it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import inspect
import json
import types
import typing
from typing import Any, Callable, Dict, List, Optional, Union

# Of each text, and of all of it as JSON.
MAX_TEXT = 4 * 1024
MAX_BYTES = 256 * 1024
# Types within types.
MAX_DEPTH = 32

Schema = Dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
PLAIN: Dict[object, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
BYTES = (bytes, bytearray, memoryview)
LISTS = (collections.abc.Sequence, collections.abc.Set, collections.deque)
# NumPy's, which need not be there, by their names.
NUMPY = {"bool_": "boolean", "bool": "boolean", "integer": "integer", "floating": "number", "ndarray": "array"}


def self_description(predictor_class: type, batching: bool) -> Dict[str, Any]:
    """`description`, `payload`, `reply` and the `schemas` that these refer to; each only if there is something to tell."""
    try:
        said = said_by(predictor_class, batching)
        if len(json.dumps(said)) <= MAX_BYTES:
            return said
    except Exception:  # Annotations can be any code.
        pass
    return {}


def said_by(predictor_class: type, batching: bool) -> Dict[str, Any]:
    predict: Callable[..., Any] = predictor_class.predict  # type: ignore[attr-defined]
    schemas = Schemas()
    found: Dict[str, Any] = {}
    for name, hint in hints_of(predict).items():
        # What is worked on together is asked for and answered one by one.
        schema = schemas.of(item_of(hint) if batching else hint)
        if schema:
            found[name] = schema
    said = {
        "description": documentation(predictor_class, predict),
        "payload": found.get("payload"),
        "reply": found.get("return"),
        "schemas": schemas.named,
    }
    return {name: value for name, value in said.items() if value}


def documentation(predictor_class: type, predict: Callable[..., Any]) -> str:
    texts = (text_of(predictor_class), text_of(predict))
    return "\n\n".join(text for text in texts if text)


def text_of(documented: object) -> str:
    """Its own docstring, none that is inherited."""
    text = getattr(documented, "__doc__", None)
    return inspect.cleandoc(text)[:MAX_TEXT].strip() if isinstance(text, str) else ""


def hints_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """Annotations, with names for what they name if all can be found."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return {}


def item_of(hint: Any) -> Any:
    """`X` of `list[X]`."""
    arguments = typing.get_args(hint)
    return arguments[0] if len(arguments) == 1 else Any


class Schemas:
    """JSON Schemas of types. Those that have a name are said once."""

    def __init__(self) -> None:
        self.named: Dict[str, Schema] = {}
        self._names: Dict[type, str] = {}

    def of(self, hint: Any, depth: int = 0) -> Schema:
        """Of a type; empty if nothing can be said of it."""
        if depth > MAX_DEPTH:
            return {}
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            notes = [note for note in arguments[1:] if isinstance(note, str)]
            schema = self.of(arguments[0], depth + 1)
            return {**schema, "description": notes[0][:MAX_TEXT]} if notes else schema
        if origin in (Union, types.UnionType):
            choices = [self.of(argument, depth + 1) for argument in arguments]
            return {"anyOf": choices} if all(choices) else {}
        if origin is typing.Literal:
            return {"enum": [value for value in arguments if isinstance(value, (str, int, type(None)))]}
        if hint is None:
            return {"type": "null"}
        kind = origin or hint
        return self._of_class(kind, arguments, depth) if isinstance(kind, type) else {}

    def _of_class(self, kind: type, arguments: Any, depth: int) -> Schema:
        inner = depth + 1
        if kind in PLAIN:
            return {"type": PLAIN[kind]}
        if kind in BYTES:
            return {"type": "string", "format": "binary"}
        if callable(getattr(kind, "model_json_schema", None)):
            return self._of_model(kind)
        if issubclass(kind, enum.Enum):
            return {"enum": [member.value for member in kind if isinstance(member.value, (str, int))]}
        if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
            return self._of_record(kind, inner)
        if issubclass(kind, collections.abc.Mapping):
            value = self.of(arguments[1], inner) if len(arguments) == 2 else {}
            return {"type": "object", **({"additionalProperties": value} if value else {})}
        if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
            items = [self.of(argument, inner) for argument in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if issubclass(kind, LISTS) and not issubclass(kind, str):
            items = self.of(arguments[0], inner) if arguments else {}
            return {"type": "array", **({"items": items} if items else {})}
        names = [ancestor.__name__ for ancestor in kind.__mro__ if ancestor.__module__.partition(".")[0] == "numpy"]
        return next(({"type": NUMPY[name]} for name in names if name in NUMPY), {})

    def _of_record(self, kind: type, depth: int) -> Schema:
        """Of fields with names."""
        if kind in self._names:
            return {"$ref": REFERENCE.format(model=self._names[kind])}
        name = self._name(kind)
        # Its fields may speak of it.
        schema = self.named[name] = {"type": "object"}
        hints = hints_of_fields(kind)
        schema["properties"] = {field: self.of(hint, depth) for field, hint in hints.items()}
        required = required_of(kind)
        if required:
            schema["required"] = required
        text = "" if dataclasses.is_dataclass(kind) and is_generated(kind) else text_of(kind)
        if text:
            schema["description"] = text
        return {"$ref": REFERENCE.format(model=name)}

    def _of_model(self, kind: Any) -> Schema:
        """Of a class that tells its schema, as those of Pydantic do."""
        if kind not in self._names:
            schema = kind.model_json_schema(ref_template=REFERENCE)
            for name, inner in schema.pop("$defs", {}).items():
                self.named.setdefault(name, inner)
            self.named[self._name(kind)] = schema
        return {"$ref": REFERENCE.format(model=self._names[kind])}

    def _name(self, kind: type) -> str:
        name = kind.__name__
        while name in self.named:
            name += "_"
        self._names[kind] = name
        return name


def hints_of_fields(kind: type) -> Dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except Exception:
        return dict.fromkeys(getattr(kind, "__annotations__", {}), Any)


def required_of(kind: type) -> List[str]:
    if not dataclasses.is_dataclass(kind):
        return sorted(kind.__required_keys__)  # type: ignore[attr-defined]
    missing = dataclasses.MISSING
    fields = [field for field in dataclasses.fields(kind) if field.init]
    return [field.name for field in fields if field.default is missing and field.default_factory is missing]


def is_generated(kind: type) -> bool:
    """A dataclass without a docstring is given its signature as one."""
    text: Optional[str] = kind.__doc__
    return bool(text and text.startswith(f"{kind.__name__}("))
