"""JSON Schemas of Python's types."""

from __future__ import annotations

import collections.abc
import enum
import re
import types
import typing
from typing import Any, Collection, Dict, List, Sequence, Union

from .hints import cleaned, field_word, fields_of, is_record, required_of, text_of
from .portable import encoded, is_scalar

# Types within types.
MAX_DEPTH = 32

Schema = Dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9._-]")
UNIONS = (Union, getattr(types, "UnionType", Union))
PLAIN: Dict[object, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
BYTES = (bytes, bytearray, memoryview)
LISTS = (collections.abc.Sequence, collections.abc.Set, collections.deque)
# NumPy's, which need not be there, by their names.
NUMPY = {"bool_": "boolean", "bool": "boolean", "integer": "integer", "floating": "number", "ndarray": "array"}


class Schemas:
    """Of types. Those that have a name are said once."""

    def __init__(self) -> None:
        self.named: Dict[str, Schema] = {}
        self._names: Dict[type, str] = {}

    def of(self, hint: Any, depth: int = 0) -> Schema:
        """Of a type; empty if nothing can be said of it."""
        named, names = dict(self.named), dict(self._names)
        try:
            return self._of(hint, depth + 1) if depth < MAX_DEPTH else {}
        except BaseException:  # A class can be any code.
            self.named, self._names = named, names
            return {}

    def _of(self, hint: Any, depth: int) -> Schema:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            notes = [note for note in arguments[1:] if isinstance(note, str)]
            schema = self.of(arguments[0], depth)
            return {**schema, "description": cleaned(notes[0])} if notes else schema
        if field_word(origin):
            return self.of(arguments[0], depth)
        if origin in UNIONS:
            choices = [self.of(argument, depth) for argument in arguments]
            if not all(choices):
                raise ValueError  # So that nothing is left of those that can be told.
            return {"anyOf": choices}
        if origin is typing.Literal:
            return of_literal(arguments)
        if hint is None:
            return {"type": "null"}
        kind = origin or hint
        return self._of_class(kind, arguments, depth) if isinstance(kind, type) else {}

    def _of_class(self, kind: type, arguments: Any, depth: int) -> Schema:
        if kind in PLAIN:
            return {"type": PLAIN[kind]}
        if kind in BYTES:
            return {"type": "string", "format": "binary"}
        if callable(getattr(kind, "model_json_schema", None)):
            return self._of_model(kind)
        if issubclass(kind, enum.Enum):
            return of_enum(kind)
        if is_record(kind):
            return self._of_record(kind, depth)
        if issubclass(kind, collections.abc.Mapping):
            value = self.of(arguments[1], depth) if len(arguments) == 2 else {}
            return {"type": "object", **({"additionalProperties": value} if value else {})}
        if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
            items = [self.of(argument, depth) for argument in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if issubclass(kind, LISTS) and not issubclass(kind, str):
            items = self.of(arguments[0], depth) if arguments else {}
            return {"type": "array", **({"items": items} if items else {})}
        names = [ancestor.__name__ for ancestor in kind.__mro__ if ancestor.__module__.partition(".")[0] == "numpy"]
        return next(({"type": NUMPY[name]} for name in names if name in NUMPY), {})

    def _of_record(self, kind: type, depth: int) -> Schema:
        """Of fields with names."""
        if kind not in self._names:
            name = self._names[kind] = free_name(kind.__name__, self.named)
            # Its fields may speak of it.
            schema = self.named[name] = {"type": "object"}
            hints = fields_of(kind)
            schema["properties"] = {field: self.of(hint, depth) for field, hint in hints.items()}
            more = {"required": required_of(kind, hints), "description": text_of(kind)}
            schema.update({word: value for word, value in more.items() if value})
        return reference(self._names[kind])

    def _of_model(self, kind: Any) -> Schema:
        """Of a class that tells its schema, as those of Pydantic do."""
        if kind not in self._names:
            schema = kind.model_json_schema(ref_template=REFERENCE)
            encoded(schema)
            self._names[kind] = self._named(kind.__name__, self._without_definitions(schema))
        return reference(self._names[kind])

    def _without_definitions(self, schema: Schema) -> Schema:
        """The schema, what it defines being moved to the others. If one of its names means something else there, all
        that are taken are changed: what they mean may differ by what it refers to."""
        definitions = schema.get("$defs", {})
        clash = any(self.named.get(name, inner) != inner for name, inner in definitions.items())
        names: Dict[str, str] = {}
        for name in definitions:
            if NOT_IN_NAMES.search(name) or (clash and name in self.named):
                names[name] = free_name(name, (*self.named, *definitions, *names.values()))
        changes = {reference(old)["$ref"]: reference(new)["$ref"] for old, new in names.items()}
        for name, inner in definitions.items():
            self.named[names.get(name, name)] = changed(inner, changes)
        return changed({word: value for word, value in schema.items() if word != "$defs"}, changes)

    def _named(self, wanted: str, schema: Schema) -> str:
        """The name under which the schema is among the others from now on."""
        for name in self.named:
            if schema == reference(name):
                return name
        name = free_name(wanted, [name for name, other in self.named.items() if other != schema])
        self.named[name] = schema
        return name


def reference(name: str) -> Dict[str, str]:
    return {"$ref": REFERENCE.format(model=name)}


def free_name(wanted: str, taken: Collection[str]) -> str:
    name = NOT_IN_NAMES.sub("_", wanted)
    while name in taken:
        name += "_"
    return name


def changed(value: Any, changes: Dict[str, str]) -> Any:
    """With other texts for some, wherever they are: references are in `$ref` and in the `mapping` of a discriminator."""
    if isinstance(value, dict):
        return {word: changed(inner, changes) for word, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [changed(inner, changes) for inner in value]
    return changes.get(value, value) if isinstance(value, str) else value


def of_enum(kind: Any) -> Schema:
    if issubclass(kind, enum.Flag):
        return {"type": "integer"}
    return of_values([member.value for member in kind], issubclass(kind, str))


def of_literal(values: Sequence[Any]) -> Schema:
    texts, others = ([plain(value) for value in values if isinstance(value, str) is text] for text in (True, False))
    choices = [of_values(texts, True), of_values(others, False)]
    if not texts or not others:
        return choices[0] if texts else choices[1]
    return {"anyOf": choices} if all(choices) else {}


def plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def of_values(values: List[Any], texts: bool) -> Schema:
    """`texts`: they are `str` in Python, which is not sent as JSON; the values of other enumerations are."""
    if not values or not all(map(is_scalar, values)):
        return {}
    return {**({"type": "string"} if texts else {}), "enum": values}
