"""Tests of streams, async predictors, hooks, batches and answers with a status: see `test_worker.py`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from test_worker import JSON, Worker, WorkerTest

STREAM = """
import os, sys
class Response:
    status_code, headers, media_type = 201, {"x-a": "b"}, "text/event-stream"
    def __init__(self, body):
        self.body = body
class PythonPredictor:
    %s predict(self, payload):
        def pieces():
            try:
                for piece in eval(payload):
                    if piece is ValueError:
                        raise ValueError("midway")
                    yield piece
            finally:
                print("closed")
        return pieces() if not payload.startswith("#") else Response(x for x in eval(payload[1:]))
"""


class StreamTest(WorkerTest):
    def stream(self, worker: Worker, expression: str) -> tuple[dict[str, Any], list[bytes], dict[str, Any]]:
        """Head, pieces and what ended it, of which each piece is credited."""
        # A number of its own, as the replica gives it: after the end of a stream its thread still clears up.
        self.number = number = getattr(self, "number", 0) + 1
        worker.request(number, expression.encode(), "text/plain")
        head, _ = worker.receive()
        pieces = []
        while True:
            frame, body = worker.receive()
            if frame["type"] != "piece":
                return head, pieces, frame
            pieces.append(body)
            worker.send(b"k", number, b"1")


class Streams(StreamTest):
    def test_every_kind_of_piece(self) -> None:
        for definition, threads in (("def", 1), ("def", 2), ("async def", 3)):
            worker = self.ready(STREAM % definition, threads)
            for expression, content_type, pieces in (
                ("['a', 'ü']", "text/plain; charset=utf-8", [b"a", "ü".encode()]),
                ("[b'a', b'b']", "application/octet-stream", [b"a", b"b"]),
                ("[{'a': 1}, 2]", "application/x-ndjson", [b'{"a":1}\n', b"2\n"]),
                ("[b'x' * 70000]", "application/octet-stream", [b"x" * 65536, b"x" * 4464]),
                ("range(100)", "application/x-ndjson", [b"%d\n" % n for n in range(100)]),
            ):
                with self.subTest(expression, definition=definition):
                    head, received, end = self.stream(worker, expression)
                    self.assertEqual(head, {"type": "head", "id": self.number, "content_type": content_type})
                    self.assertEqual((received, end), (pieces, {"type": "end", "id": self.number}))

    def test_events_of_a_response(self) -> None:
        for definition in ("def", "async def"):
            worker = self.ready(STREAM % definition)
            head, pieces, _ = self.stream(worker, "#['data: a\\n\\n', {'b': 1}]")
            self.assertEqual(head["status"], 201)
            self.assertEqual(head["headers"], [["x-a", "b"], ["content-type", "text/event-stream"]])
            self.assertEqual(pieces, [b"data: a\n\n", b'data: {"b":1}\n\n'])

    def test_what_is_raised_before_the_first_piece_and_after(self) -> None:
        for definition in ("def", "async def"):
            worker = self.ready(STREAM % definition)
            self.assert_error(worker.predict(b"[ValueError]", "text/plain"), "predictor_raised", "ValueError: midway")
            head, pieces, end = self.stream(worker, "['a', ValueError]")
            self.assertEqual((head["type"], pieces, end["type"]), ("head", [b"a"], "error"))
            self.assertIn("midway", end["traceback"])

    def test_a_slow_caller_holds_it_up_and_one_who_leaves_ends_it(self) -> None:
        for definition, threads in (("def", 1), ("def", 2), ("async def", 2)):
            with self.subTest(definition, threads=threads):
                worker = self.ready("import itertools\n" + STREAM % definition, threads)
                self.assertEqual(worker.predict(b"itertools.count()", "text/plain")[0]["type"], "head")
                for _ in range(16):
                    self.assertEqual(worker.receive()[0]["type"], "piece")
                # Nothing more comes until one is credited; then just that one does, and the end after the cancellation.
                worker.send(b"k", 1, b"1")
                self.assertEqual(worker.receive(), ({"type": "piece", "id": 1}, b"16\n"))
                worker.send(b"c", 1)
                self.assertIn(worker.receive()[0]["type"], ("end", "error"))
                self.assertEqual(worker.lines, [("request-1", "stdout", "closed")])

    def test_async_generator(self) -> None:
        worker = self.ready(
            """
            import asyncio
            class PythonPredictor:
                async def predict(self, payload):
                    for n in range(payload):
                        await asyncio.sleep(0)
                        yield n
            """
        )
        head, _ = worker.predict(b"3")
        self.assertEqual(head["content_type"], "application/x-ndjson")
        self.assertEqual([worker.receive()[1] for _ in range(3)], [b"0\n", b"1\n", b"2\n"])
        self.assertEqual(worker.receive()[0]["type"], "end")


class Async(WorkerTest):
    GATE = """
    import asyncio
    class PythonPredictor:
        def __init__(self):
            self.gate = None
        async def predict(self, payload):
            if self.gate is None:
                self.gate = asyncio.Event()
            if payload == "open":
                self.gate.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                print("cancelled")
                raise
            print(payload)
            return payload
    """

    def test_many_at_once_with_their_own_output(self) -> None:
        worker = self.ready(self.GATE, threads=8)
        for number in range(1, 5):
            worker.request(number, json.dumps(f"n{number}").encode())
        worker.request(9, b'"open"')
        answers = {header["id"]: body for header, body in (worker.receive() for _ in range(5))}
        self.assertEqual(answers, {1: b"n1", 2: b"n2", 3: b"n3", 4: b"n4", 9: b"open"})
        expected = {(f"request-{n}", "stdout", text.decode()) for n, text in answers.items()}
        self.assertEqual(set(worker.lines), expected)
        self.assertEqual(worker.stop(), (0, "", ""))

    def test_cancel(self) -> None:
        worker = self.ready(self.GATE, threads=8)
        # At once: it must answer even if its task has not begun.
        worker.request(1, b'"a"')
        worker.send(b"c", 1)
        self.assert_error(worker.receive(), "cancelled", "")
        worker.request(2, b'"open"')
        self.assertEqual(worker.receive()[1], b"open")

    def test_await_without_async(self) -> None:
        text = "import asyncio\nclass PythonPredictor:\n  def predict(self, payload): return asyncio.sleep(0)\n"
        self.assert_error(self.ready(text).predict(b"1"), "bad_response", "make it `async def`")

    def test_stop_waits_for_what_was_received(self) -> None:
        worker = self.ready(self.GATE, threads=8)
        worker.request(1, b'"a"')
        worker.request(2, b'"open"')
        worker.send(b"s")
        self.assertEqual({worker.receive()[0]["id"] for _ in range(2)}, {1, 2})
        self.assertEqual(worker.exit()[0], 0)


class Hook(WorkerTest):
    def test_it_runs_after_the_answer_with_all_of_it(self) -> None:
        for definition, threads in (("def", 1), ("def", 2), ("async def", 1)):
            with self.subTest(definition, threads=threads):
                worker = self.ready(
                    f"""
                    class PythonPredictor:
                        def predict(self, payload): return payload + 1
                        {definition} post_predict(self, response, payload, headers, query_params):
                            print(response, payload, headers, query_params)
                            if payload == 7: raise ValueError("late")
                    """.replace("def predict", f"{definition} predict"),
                    threads,
                )
                self.assert_json(worker.predict(b"1", headers={"a": "b"}, query=[["q", "1"]]), 2)
                self.assertEqual(worker.receive()[0], {"type": "done", "id": 1})
                self.assertEqual(worker.lines, [("request-1", "stdout", "2 1 {'a': 'b'} {'q': '1'}")])
                self.assert_json(worker.predict(b"7"), 8)
                self.assertEqual(worker.receive()[0]["type"], "done")
                self.assertIn(("request-1", "stderr", "ValueError: late"), worker.lines)
                # No response, no hook, but the thread is free.
                self.assert_error(worker.predict(b"null"), "predictor_raised", "TypeError")
                self.assertEqual(worker.receive()[0]["type"], "done")


class Responses(WorkerTest):
    RESPOND = """
    import http, types
    class PythonPredictor:
        def predict(self, payload):
            return types.SimpleNamespace(**eval(payload))
    """

    def test_status_headers_and_type(self) -> None:
        worker = self.ready(self.RESPOND)
        for fields, status, headers, body in (
            ("dict(status_code=202, body={'a': 1})", 202, [["content-type", JSON]], b'{"a":1}'),
            ("dict(status_code=http.HTTPStatus.NOT_FOUND, body='no', media_type='text/html')", 404,
             [["content-type", "text/html"]], b"no"),
            ("dict(status_code=200, body=b'x', headers=[('Content-Type', 'a/b'), ('x-y', 1), ('x-y', 2)])", 200,
             [["Content-Type", "a/b"], ["x-y", "1"], ["x-y", "2"]], b"x"),
            ("dict(status_code=204, body=None)", 204, [], b""),
        ):
            with self.subTest(fields):
                header, got = worker.predict(fields.encode(), "text/plain")
                self.assertEqual((header["status"], header["headers"], got), (status, headers, body))

    def test_what_no_response_can_be(self) -> None:
        worker = self.ready(self.RESPOND)
        for fields, message in (
            ("dict(status_code='x', body=1)", "status_code of the answer is 'x'"),
            ("dict(status_code=101, body=1)", "a number from 200 to 599"),
            ("dict(status_code=204, body=1)", "which a response of status 204 cannot have"),
            ("dict(status_code=200, body=1, headers=3)", "neither a dict nor a list of pairs"),
        ):
            with self.subTest(fields):
                self.assert_error(worker.predict(fields.encode(), "text/plain"), "bad_response", message)


class Batches(WorkerTest):
    def batching(self, expression: str, definition: str = "def") -> Worker:
        text = f"class PythonPredictor:\n  {definition} predict(self, payload, query_params):\n    return {expression}\n"
        return self.ready(text, batching=True)

    def test_each_gets_its_own(self) -> None:
        for definition in ("def", "async def"):
            worker = self.batching("[[p, q['n']] for p, q in zip(payload, query_params)]", definition)
            said, answers = worker.batch(b"1", b'"b"', b"[]")
            self.assertEqual(answers, [[1, "0"], ["b", "1"], [[], "2"]])
            self.assertEqual([entry["content_type"] for entry in said], [JSON] * 3)

    def test_one_that_fails_fails_alone(self) -> None:
        worker = self.batching("[ValueError('odd') if p % 2 else p for p in payload]")
        said, answers = worker.batch(b"2", b"{", b"3", b"4")
        self.assertEqual(answers, [2, None, None, 4])
        self.assertEqual([entry.get("kind") for entry in said], [None, "bad_request", "predictor_raised", None])
        said, _ = worker.batch(b"{", b"[")
        self.assertEqual([entry["kind"] for entry in said], ["bad_request"] * 2)

    def test_answers_that_are_no_list_of_as_many(self) -> None:
        for expression, message in (
            ("[1]", "got 2 payloads and returned 1 answers"),
            ("{'a': 1, 'b': 2}", "returned a `dict`; with `server_side_batching`"),
            ("'ab'", "returned a `str`"),
            ("(p for p in payload)", "returned a `generator`"),
        ):
            with self.subTest(expression):
                worker = self.batching(expression)
                entries = [[f"r{n}", JSON, 1, None, None] for n in range(2)]
                worker.send(b"b", 1, json.dumps(entries).encode(), b"12")
                self.assert_error(worker.receive(), "bad_response", message)


class Output(WorkerTest):
    def test_lines_of_each_request_and_of_none(self) -> None:
        worker = self.ready(
            """
            import os, sys, threading
            class PythonPredictor:
                def predict(self, payload):
                    print("a", end="")
                    print("b\\nc")
                    sys.stderr.write("unfinished")
                    thread = threading.Thread(target=print, args=("of a thread",))
                    thread.start()
                    thread.join()
                    os.write(1, b"native\\n")
                    return sys.stdout.fileno()
            """
        )
        self.assert_json(worker.predict(b"1"), 1)
        texts = [("stdout", "ab"), ("stdout", "c"), ("stderr", "unfinished")]
        self.assertEqual(worker.lines, [("request-1", *text) for text in texts])
        self.assertEqual(worker.stop(), (0, "of a thread\nnative\n", ""))


class Documentation(WorkerTest):
    PAGE = Path(__file__).resolve().parents[5] / "docs" / "predictors.md"

    def test_the_examples_run(self) -> None:
        examples = re.findall(r"```python\n(.*?)```", self.PAGE.read_text(), re.DOTALL)
        for example, payload, frame, expected in zip(
            examples,
            (b'{"values": [1, 2]}', b"", b'{"text": "a b"}', b'{"seconds": 0}', None),
            ("result", "result", "head", "result", "results"),
            (b'{"sum":3}', b'{"error":"nothing to predict"}', b'data: {"token":"a"}\n\n', b"done", None),
        ):
            with self.subTest(example):
                worker = self.ready(example, batching=payload is None)
                if payload is None:
                    said, answers = worker.batch(b"4", b"-1")
                    self.assertEqual((answers[0], said[1]["kind"]), (2.0, "predictor_raised"))
                    continue
                header, body = worker.predict(payload)
                self.assertEqual(header["type"], frame)
                self.assertEqual(worker.receive()[1] if frame == "head" else body, expected)
        self.assertEqual(len(examples), 5)
