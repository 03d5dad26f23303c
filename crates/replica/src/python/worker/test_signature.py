"""Tests of what a predictor's class says of itself.

    python3 -m unittest discover -s crates/replica/src/python/worker -v
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
import unittest
from typing import (
    Annotated,
    Any,
    AsyncIterator,
    ClassVar,
    Dict,
    Iterator,
    List,
    Literal,
    Optional,
    Set,
    Tuple,
    TypedDict,
    Union,
)

from cortex_worker.hints import MAX_TEXT
from cortex_worker.signature import self_description


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0
    tags: List[str] = dataclasses.field(default_factory=list)


class Node(TypedDict, total=False):
    """One of a tree."""

    point: Annotated[Point, "Where it stands."]
    children: List[Node]


def told(predict: Any, batching: bool = False) -> Dict[str, Any]:
    return described(type("PythonPredictor", (), {"predict": predict}), batching)


def described(predictor_class: type, batching: bool = False) -> Dict[str, Any]:
    """As the replica reads it, which refuses what Python's own parser takes."""

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    said: Dict[str, Any] = json.loads(self_description(predictor_class, batching).decode(), parse_constant=refused)
    return said


class HalfKnown(TypedDict):
    x: int
    y: NowhereToBeFound  # type: ignore[name-defined]  # noqa: F821


@dataclasses.dataclass
class HalfPoint(Point):
    here: int = 0
    there: NowhereToBeFound = None  # type: ignore[name-defined]  # noqa: F821


def annotated(**hints: Any) -> Any:
    """A method with those annotations."""

    def predict(self: object, payload: Any) -> Any: ...

    predict.__annotations__ = {{"reply": "return"}.get(name, name): hint for name, hint in hints.items()}
    return predict


def schema(hint: Any) -> Any:
    """Of a payload with that annotation."""
    return told(annotated(payload=hint)).get("payload")


def record(hint: Any) -> Any:
    """The only schema that has a name."""
    (named,) = told(annotated(payload=hint))["schemas"].values()
    return named


def model(name: str, **schema: Any) -> Any:
    """A class that tells that schema, as it was told how to refer to others."""

    def model_json_schema(ref_template: str) -> Any:
        return json.loads(json.dumps(schema).replace("REF:", ref_template.format(model="")))

    return type(name, (), {"model_json_schema": staticmethod(model_json_schema)})


class TestSelfDescription(unittest.TestCase):
    def test_docstrings_of_class_and_method(self) -> None:
        class PythonPredictor:
            """Tells digits apart."""

            def predict(self, payload: Dict[str, float]) -> str:
                """Of one picture.

                As 64 numbers.
                """
                return ""

        self.assertEqual(
            described(PythonPredictor),
            {
                "description": "Tells digits apart.\n\nOf one picture.\n\nAs 64 numbers.",
                "payload": {"type": "object", "additionalProperties": {"type": "number"}},
                "reply": {"type": "string"},
            },
        )

    def test_nothing_is_said_of_what_says_nothing(self) -> None:
        def predict(self, payload):  # type: ignore[no-untyped-def]
            return payload

        self.assertEqual(told(predict), {})

    def test_plain_types(self) -> None:
        strings = {"type": "array", "items": {"type": "string"}}
        for hint, expected in [
            (int, {"type": "integer"}),
            (bool, {"type": "boolean"}),
            (None, {"type": "null"}),
            (bytes, {"type": "string", "format": "binary"}),
            (list, {"type": "array"}),
            (List[str], strings),
            (Set[str], strings),
            (Tuple[str, ...], strings),
            (dict, {"type": "object"}),
            (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
            (Union[int, List[str]], {"anyOf": [{"type": "integer"}, strings]}),
            (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
            (Literal[1, None], {"enum": [1, None]}),
            (Literal["a", 1], {"anyOf": [{"type": "string", "enum": ["a"]}, {"enum": [1]}]}),
            (Annotated[float, "Between 0 and 1.", 7], {"type": "number", "description": "Between 0 and 1."}),
            (
                Tuple[int, float],
                {
                    "type": "array",
                    "prefixItems": [{"type": "integer"}, {"type": "number"}],
                    "minItems": 2,
                    "maxItems": 2,
                },
            ),
        ]:
            with self.subTest(hint=hint):
                self.assertEqual(schema(hint), expected)

    def test_what_cannot_be_told_is_left_out(self) -> None:
        class Strange:
            pass

        unknown = (Any, object, Strange, Union[int, Strange], Iterator[str], AsyncIterator[bytes], "NowhereToBeFound")
        beyond_json = (Literal[2**64], Literal["\udcff"], Literal["a", 2**64], Literal[b"a"])
        for hint in (*unknown, *beyond_json):
            with self.subTest(hint=hint):
                self.assertIsNone(schema(hint))

    def test_records_are_said_once_and_may_hold_themselves(self) -> None:
        def predict(self: object, payload: Node) -> List[Point]:
            raise NotImplementedError

        reference = {"$ref": "#/components/schemas/Node"}
        point = {"$ref": "#/components/schemas/Point"}
        self.assertEqual(
            told(predict),
            {
                "payload": reference,
                "reply": {"type": "array", "items": point},
                "schemas": {
                    "Node": {
                        "type": "object",
                        "description": "One of a tree.",
                        "properties": {
                            "point": {**point, "description": "Where it stands."},
                            "children": {"type": "array", "items": reference},
                        },
                    },
                    "Point": {
                        "type": "object",
                        "properties": {
                            "x": {"type": "number"},
                            "y": {"type": "number"},
                            "tags": {"type": "array", "items": {"type": "string"}},
                        },
                        "required": ["x"],
                    },
                },
            },
        )

    def test_of_batches_one_is_told(self) -> None:
        def predict(self: object, payload: List[int]) -> List[Dict[str, float]]:
            raise NotImplementedError

        said = told(predict, batching=True)
        numbers = {"type": "object", "additionalProperties": {"type": "number"}}
        self.assertEqual(said, {"payload": {"type": "integer"}, "reply": numbers})

    def test_numpy_is_known_by_its_names(self) -> None:
        def of_numpy(name: str, *bases: type) -> type:
            return type(name, bases, {"__module__": "numpy"})

        floating = of_numpy("floating", of_numpy("generic"))
        self.assertEqual(schema(of_numpy("float32", floating)), {"type": "number"})
        self.assertEqual(schema(List[of_numpy("ndarray")]), {"type": "array", "items": {"type": "array"}})
        self.assertIsNone(schema(of_numpy("void", of_numpy("generic"))))

    def test_enumerations_are_told_if_all_of_them_is_json(self) -> None:
        class Rate(enum.Enum):
            LOW = 0.1
            NONE = None

        class Edge(enum.Enum):
            LOW = 1
            HIGH = float("inf")

        class Shape(enum.Enum):
            FLAT = (1, 2)

        class Unit(str, enum.Enum):
            MM = "mm"

        class Mode(enum.Flag):
            READ = 1
            WRITE = 2

        for hint, expected in [
            # Only of texts in Python is it said that they are texts: the values of others are sent as JSON.
            (Color, {"enum": ["red", "blue"]}),
            (Unit, {"type": "string", "enum": ["mm"]}),
            (Rate, {"enum": [0.1, None]}),
            (Literal[Color.RED], {"enum": ["red"]}),
            (Literal[Unit.MM], {"type": "string", "enum": ["mm"]}),
            (Mode, {"type": "integer"}),
            (enum.Enum, None),
            (Edge, None),
            (Shape, None),
            (Literal[Edge.HIGH], None),
        ]:
            with self.subTest(hint=hint):
                self.assertEqual(schema(hint), expected)

    def test_fields_are_those_that_are_sent(self) -> None:
        @dataclasses.dataclass
        class Box:
            limit: ClassVar[int] = 7
            seed: dataclasses.InitVar[int]
            size: int

        expected = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
        self.assertEqual(record(Box), expected)

    def test_what_a_name_in_a_record_stands_for_need_not_be_found(self) -> None:
        self.assertEqual(record(HalfKnown)["properties"], {"x": {"type": "integer"}, "y": {}})
        point = record(HalfPoint)["properties"]
        self.assertEqual(point["x"], {"type": "number"})
        self.assertEqual((point["here"], point["there"]), ({"type": "integer"}, {}))
        self.assertEqual(told(annotated(payload=Union[Point, Any])), {}, "nor what else it names")
        both = told(annotated(payload="NowhereToBeFound", reply="int"))
        self.assertEqual(both, {"reply": {"type": "integer"}})

    @unittest.skipUnless(hasattr(typing, "NotRequired"), "they are not there")
    def test_words_around_the_type_of_a_field(self) -> None:
        # `from __future__ import annotations` hides them from the class.
        for hidden in (True, False):
            hints = {"a": "int", "b": "NotRequired[int]", "c": "Annotated[NotRequired[int], 'Why.']"}
            fields = hints if hidden else {name: eval(hint, vars(typing)) for name, hint in hints.items()}
            namespace = {"__annotations__": fields, "__module__": typing.__name__}
            told_of = record(types.new_class("Words", (TypedDict,), exec_body=lambda space: space.update(namespace)))
            self.assertEqual(told_of["required"], ["a"])
            self.assertEqual(told_of["properties"]["b"], {"type": "integer"})
            self.assertEqual(told_of["properties"]["c"], {"type": "integer", "description": "Why."})

    def test_a_docstring_is_what_somebody_wrote(self) -> None:
        @dataclasses.dataclass
        class PythonPredictor:
            config: int

            def predict(self, payload): ...  # type: ignore[no-untyped-def]

        self.assertEqual(described(PythonPredictor), {})
        PythonPredictor.__doc__ = "Torn: \ud800."
        self.assertEqual(described(PythonPredictor), {"description": "Torn: ?."})

    def test_a_class_that_tells_its_schema_is_believed(self) -> None:
        defined = {"Inner": {"type": "integer"}, "Loop": {"items": {"$ref": "REF:Loop"}}}
        said = told(
            annotated(
                payload=model("Model", properties={"inner": {"$ref": "REF:Inner"}}, **{"$defs": defined}),
                reply=model("Loop", **{"$ref": "REF:Loop", "$defs": defined}),
            )
        )
        self.assertEqual(said["payload"], {"$ref": "#/components/schemas/Model"})
        self.assertEqual(said["reply"], {"$ref": "#/components/schemas/Loop"})
        inner, loop = ({"$ref": f"#/components/schemas/{name}"} for name in ("Inner", "Loop"))
        expected = {"Model": {"properties": {"inner": inner}}, "Inner": {"type": "integer"}, "Loop": {"items": loop}}
        self.assertEqual(said["schemas"], expected)

    def test_names_are_those_that_openapi_allows(self) -> None:
        defined = {"A/\u00e9": {"type": "null"}}
        odd = model("Response[int]", properties={"a": {"$ref": "REF:A/\u00e9"}}, **{"$defs": defined})
        said = told(annotated(payload=odd, reply=Dict[str, dataclasses.make_dataclass("Gr\u00f6\u00dfe", [])]))
        self.assertEqual(said["payload"], {"$ref": "#/components/schemas/Response_int_"})
        self.assertEqual(said["reply"]["additionalProperties"], {"$ref": "#/components/schemas/Gr__e"})
        self.assertEqual(set(said["schemas"]), {"Response_int_", "A__", "Gr__e"})
        properties = said["schemas"]["Response_int_"]["properties"]
        self.assertEqual(properties, {"a": {"$ref": "#/components/schemas/A__"}})

    def test_the_same_name_may_stand_for_two_things(self) -> None:
        def outer(inner: str) -> Any:
            by_kind = {"propertyName": "kind", "mapping": {"box": "REF:Box"}}
            box = {"properties": {"inner": {"$ref": "REF:Inner"}}}
            # `Box` reads the same in both, but is not.
            defined = {"Inner": {"type": inner}, "Box": box}
            return model("Outer", discriminator=by_kind, oneOf=[{"$ref": "REF:Box"}], **{"$defs": defined})

        said = told(annotated(payload=Tuple[outer("string"), outer("integer"), outer("integer")]))
        names = [item["$ref"].rpartition("/")[2] for item in said["payload"]["prefixItems"]]
        for name, expected in zip(names, ("string", "integer", "integer")):
            schemas = said["schemas"]
            told_of = schemas[name]
            self.assertEqual(told_of["discriminator"]["mapping"]["box"], told_of["oneOf"][0]["$ref"])
            box = schemas[told_of["oneOf"][0]["$ref"].rpartition("/")[2]]
            inner = schemas[box["properties"]["inner"]["$ref"].rpartition("/")[2]]
            self.assertEqual(inner, {"type": expected})

    def test_annotations_can_be_any_code_and_what_they_do_not_spoil_is_told(self) -> None:
        def of(run: Any) -> Any:
            return type("Hostile", (), {"model_json_schema": staticmethod(run)})

        def raising(error: BaseException) -> Any:
            def run(ref_template: str) -> None:
                raise error

            return of(run)

        endless: Dict[str, Any] = {}
        endless["items"] = endless
        for hint in (
            raising(RuntimeError("no")),
            raising(KeyboardInterrupt()),
            raising(SystemExit(1)),
            of(lambda ref_template: endless),
            of(lambda ref_template: {"description": "x" * 1_000_000}),
            of(lambda ref_template: {"default": float("inf")}),
            of(lambda ref_template: {"default": float("nan")}),
            of(lambda ref_template: {"default": 10**400}),
            of(lambda ref_template: {"description": "\udcff"}),
            of(lambda ref_template: {"$defs": 1}),
            of(lambda ref_template: {"default": object()}),
        ):
            with self.subTest(hint=hint):
                self.assertEqual(told(annotated(payload=hint, reply=int)), {"reply": {"type": "integer"}})
                field = dataclasses.make_dataclass("Record", [("bad", hint), ("good", int)])
                self.assertEqual(record(field)["properties"], {"bad": {}, "good": {"type": "integer"}})

    def test_the_description_is_told_even_if_the_types_are_too_much(self) -> None:
        large = [model(f"Large{number}", description="x" * 200_000) for number in range(2)]
        predict = annotated(payload=large[0], reply=large[1])
        predict.__doc__ = "x" * 1_000_000
        self.assertEqual(told(predict), {"description": "x" * MAX_TEXT})


if __name__ == "__main__":
    unittest.main()
