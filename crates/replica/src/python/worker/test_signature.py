"""Tests of what a predictor's class says of itself.

    python3 -m unittest discover -s crates/replica/src/python/worker -v
"""

from __future__ import annotations

import dataclasses
import enum
import json
import unittest
from typing import Annotated, Any, AsyncIterator, Dict, Iterator, List, Literal, Optional, Tuple, TypedDict, Union

from cortex_worker.signature import MAX_TEXT, self_description


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


class Model:
    """Stands in for one of Pydantic's."""

    @staticmethod
    def model_json_schema(ref_template: str) -> Dict[str, Any]:
        inner = ref_template.format(model="Inner")
        return {"type": "object", "properties": {"inner": {"$ref": inner}}, "$defs": {"Inner": {"type": "integer"}}}


def told(predict: Any, batching: bool = False) -> Dict[str, Any]:
    return self_description(type("PythonPredictor", (), {"predict": predict}), batching)


def schema(hint: Any) -> Any:
    """Of a payload with that annotation."""

    def predict(self: object, payload: Any) -> None: ...

    predict.__annotations__ = {"payload": hint}
    return told(predict).get("payload")


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
            self_description(PythonPredictor, False),
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
            (set[str], strings),
            (Tuple[str, ...], strings),
            (dict, {"type": "object"}),
            (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
            (Union[int, List[str]], {"anyOf": [{"type": "integer"}, strings]}),
            (Literal["a", 1], {"enum": ["a", 1]}),
            (Color, {"enum": ["red", "blue"]}),
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

        for hint in (Any, object, Strange, Union[int, Strange], Iterator[str], AsyncIterator[bytes], "NowhereToBeFound"):
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

    def test_a_class_that_tells_its_schema_is_believed(self) -> None:
        def predict(self: object, payload: Model) -> None: ...

        said = told(predict)
        self.assertEqual(said["payload"], {"$ref": "#/components/schemas/Model"})
        inner = {"$ref": "#/components/schemas/Inner"}
        self.assertEqual(said["schemas"]["Model"], {"type": "object", "properties": {"inner": inner}})
        self.assertEqual(said["schemas"]["Inner"], {"type": "integer"})

    def test_of_batches_one_is_told(self) -> None:
        def predict(self: object, payload: List[int]) -> List[Dict[str, float]]:
            raise NotImplementedError

        said = told(predict, batching=True)
        numbers = {"type": "object", "additionalProperties": {"type": "number"}}
        self.assertEqual(said, {"payload": {"type": "integer"}, "reply": numbers})

    def test_annotations_can_be_any_code_and_any_size(self) -> None:
        class Hostile:
            @staticmethod
            def model_json_schema(ref_template: str) -> Dict[str, Any]:
                raise RuntimeError("no")

        class Endless:
            @staticmethod
            def model_json_schema(ref_template: str) -> Dict[str, Any]:
                return {"description": "x" * 1_000_000}

        for hint in (Hostile, Endless):
            self.assertIsNone(schema(hint))

        def predict(self: object, payload: int) -> None: ...

        predict.__doc__ = "x" * 1_000_000
        self.assertEqual(len(told(predict)["description"]), MAX_TEXT)
        json.dumps(told(predict))


if __name__ == "__main__":
    unittest.main()
