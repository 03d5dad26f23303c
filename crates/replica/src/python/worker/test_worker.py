"""Tests of the worker, each against a real process over a real socket. Nothing but the standard library.

    python3 -m unittest discover -s crates/replica/src/python/worker -v

No test waits for a time; every wait is for a frame, a line or an exit, and fails after `TIMEOUT` seconds.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Any

WORKER = Path(__file__).resolve().with_name("worker.py")
TIMEOUT = 30.0
JSON = "application/json"

ECHO = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""

# Returns the value of the Python expression that it gets as text.
EVALUATE = """
import dataclasses, datetime, enum

class PythonPredictor:
    def predict(self, payload):
        return eval(payload)

@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    y: object

class Array:
    def __init__(self, values):
        self.values = values
    def tolist(self):
        return self.values

class Scalar:
    def item(self):
        return 7

class Stubborn:
    def tolist(self):
        return Stubborn()

class Broken:
    def tolist(self):
        raise RuntimeError("not on this device")

class Colour(enum.IntEnum):
    RED = 1

loop = []
loop.append(loop)
"""

# Answers "open" at once; anything else waits until the test writes into the named pipe `gate`.
GATED = """
import os

class PythonPredictor:
    def predict(self, payload):
        if payload == "open":
            return payload
        os.write(1, b"waiting\\n")
        os.read(os.open("gate", os.O_RDONLY), 1)
        return payload
"""


HEAD = struct.Struct(">BxxxIII")
TYPES = {
    "r": "ready",
    "f": "failed",
    "R": "result",
    "B": "results",
    "E": "error",
    "H": "head",
    "D": "piece",
    "Z": "end",
    "d": "done",
}


def frame(kind: bytes, number: int, meta: bytes, body: bytes) -> bytes:
    return HEAD.pack(kind[0], number, len(meta), len(body)) + meta + body


class Worker:
    """A running worker and the replica's end of its socket."""

    def __init__(self, project: Path) -> None:
        self.project = project
        # Request id, stream and text of what was printed while a request was answered.
        self.lines: list[tuple[str, str, str]] = []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(TIMEOUT)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(WORKER)],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        theirs.close()

    def send(self, kind: bytes, number: int = 0, meta: bytes = b"", body: bytes = b"") -> None:
        self.socket.sendall(frame(kind, number, meta, body))

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame that is not a line of output, which `lines` keeps."""
        while True:
            kind, number, meta_length, body_length = HEAD.unpack(self._read(HEAD.size))
            meta, body = self._read(meta_length), self._read(body_length)
            if kind == ord("L"):
                request_id, stream = meta.split(b"\n")
                self.lines.append((request_id.decode(), stream.decode(), body.decode()))
                continue
            text = meta.decode()
            header: Any = {"type": TYPES[chr(kind)]}
            if chr(kind) not in "rf":
                header["id"] = number
            if chr(kind) == "B":
                header["answers"] = json.loads(text)
            elif text.startswith("{"):
                header.update(json.loads(text))
            elif chr(kind) in "RH":
                header["content_type"] = text
            return header, body

    def init(self, **changes: Any) -> dict[str, Any]:
        """Starts the predictor; the first frame that the worker sends."""
        self.send_init(**changes)
        return self.receive()[0]

    def send_init(self, **changes: Any) -> None:
        project = str(self.project)
        settings = {"path": "predictor.py", "python_path": project, "project": project, "config": {}, "threads": 1}
        self.send(b"i", 0, json.dumps({**settings, **changes}).encode())

    def request(
        self,
        number: int,
        body: bytes = b"",
        content_type: str | None = JSON,
        headers: dict[str, str] | None = None,
        query: list[list[str]] | None = None,
    ) -> None:
        head = json.dumps([headers, query]) if headers or query else ""
        self.send(b"p", number, f"request-{number}\n{content_type or ''}\n{head}".encode(), body)

    def batch(self, *bodies: bytes) -> tuple[list[dict[str, Any]], list[object]]:
        """What is said of each answer, and the answers."""
        entries = [[f"request-{n}", JSON, len(body), {"x-n": str(n)}, [["n", str(n)]]] for n, body in enumerate(bodies)]
        self.send(b"b", 1, json.dumps(entries).encode(), b"".join(bodies))
        header, joined = self.receive()
        assert header["type"] == "results", header
        answers: list[object] = []
        for said in header["answers"]:
            body, joined = joined[: said["length"]], joined[said["length"] :]
            answers.append(json.loads(body) if body else None)
        return header["answers"], answers

    def predict(self, body: bytes = b"", content_type: str | None = JSON, **rest: Any) -> tuple[dict[str, Any], bytes]:
        self.request(1, body, content_type, **rest)
        return self.receive()

    def stop(self) -> tuple[int, str, str]:
        self.send(b"s")
        return self.exit()

    def exit(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a worker that ends by itself."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, out.decode(), err.decode()

    def wait_for_output(self) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        assert ready, "no output in time"
        return os.read(self.process.stdout.fileno(), 4096)

    def at_end(self) -> bool:
        """Whether nothing more comes, as opposed to a timeout."""
        return self.socket.recv(1) == b""

    def close(self) -> None:
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=TIMEOUT)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError("the worker closed its end")
            data += part
        return bytes(data)


class WorkerTest(unittest.TestCase):
    def worker(self, predictor: str | None, **files: str) -> Worker:
        """A worker, not yet told to start, in a project of `predictor.py` and other modules (`a__b` is `a/b.py`)."""
        project = Path(tempfile.mkdtemp(prefix="cortex-worker-test-")).resolve()
        self.addCleanup(shutil.rmtree, project)
        for name, text in {"predictor": predictor, **files}.items():
            if text is not None:
                file = project / (name.replace("__", "/") + ".py")
                file.parent.mkdir(exist_ok=True)
                file.write_text(textwrap.dedent(text))
        worker = Worker(project)
        self.addCleanup(worker.close)
        return worker

    def ready(self, predictor: str, threads: int = 1, config: object = None, **init: Any) -> Worker:
        files = {name: init.pop(name) for name in ("helper",) if name in init}
        worker = self.worker(predictor, **files)
        self.assertEqual(worker.init(threads=threads, config=config or {}, **init)["type"], "ready")
        return worker

    def failure(self, predictor: str | None, stage: str, **files: str) -> dict[str, Any]:
        """The failure of a predictor that must not start."""
        worker = self.worker(predictor, **files)
        return self.failed_init(worker, stage)

    def failed_init(self, worker: Worker, stage: str, **changes: Any) -> dict[str, Any]:
        frame = worker.init(**changes)
        self.assertEqual((frame["type"], frame["stage"]), ("failed", stage), frame)
        self.assertNotIn("\n", frame["message"])
        self.assertNotIn("cortex_worker", frame["traceback"])
        self.assertEqual(worker.exit()[0], 1)
        return frame

    def assert_json(self, answer: tuple[dict[str, Any], bytes], expected: object) -> None:
        self.assertEqual((answer[0]["type"], answer[0].get("content_type")), ("result", JSON), answer)
        self.assertEqual(json.loads(answer[1]), expected)

    def assert_error(self, answer: tuple[dict[str, Any], bytes], kind: str, message: str) -> None:
        self.assertEqual((answer[0]["type"], answer[0].get("kind")), ("error", kind), answer)
        self.assertIn(message, answer[0]["message"])
        self.assertNotIn("\n", answer[0]["message"])
        self.assertEqual(answer[1], b"")


class Start(WorkerTest):
    def test_ready_with_config_and_project_as_working_directory(self) -> None:
        worker = self.ready(
            """
            import os
            class PythonPredictor:
                def __init__(self, config):
                    self.seen = [config, os.getcwd()]
                def predict(self):
                    return self.seen
            """,
            config={"a": [1, {"b": None}]},
        )
        self.assert_json(worker.predict(), [{"a": [1, {"b": None}]}, str(worker.project)])

    def test_accepted_forms_of_init(self) -> None:
        for parameters, expected in (
            ("self", {}),
            ("self, config", {"config": 1}),
            ("self, config, retries=3, *args, **rest", {"config": 1, "retries": 3, "args": [], "rest": {}}),
            ("self, **rest", {"rest": {"config": 1}}),
            ("self, *, config", {"config": 1}),
        ):
            with self.subTest(parameters):
                worker = self.ready(
                    f"""
                    class PythonPredictor:
                        def __init__({parameters}):
                            self.seen = {{k: v for k, v in locals().items() if k != "self"}}
                        def predict(self):
                            return self.seen
                    """,
                    config=1,
                )
                self.assert_json(worker.predict(), expected)

    def test_init_with_an_unknown_argument(self) -> None:
        frame = self.failure(
            """
            class PythonPredictor:
                def __init__(self, config, python_client):
                    pass
                def predict(self, payload):
                    pass
            """,
            "class",
        )
        self.assertIn("`PythonPredictor.__init__` wants `python_client`", frame["message"])
        self.assertIn("`config`", frame["message"])
        self.assertIn("(predictor.py, line 3)", frame["message"])

    def test_unusable_forms_of_predict(self) -> None:
        for definition, message in (
            ("def forecast(self): pass", "no method `predict`"),
            ("predict = 3", "no method `predict`"),
            ("def predict(self, image): pass", "wants `image`, but what it can get, by name, is `payload`, `headers`"),
            ("def predict(self, payload, /): pass", "wants `payload`"),
            ("def predict(self, payload): pass\n    def post_predict(self, answer): pass", "`PythonPredictor.post_predict` wants `answer`"),
        ):
            with self.subTest(definition):
                frame = self.failure(f"class PythonPredictor:\n    {definition}\n", "class")
                self.assertIn(message, frame["message"])

    def test_static_and_inherited_predict(self) -> None:
        worker = self.ready(
            """
            class Base:
                @staticmethod
                def predict(payload):
                    return payload
            class PythonPredictor(Base):
                pass
            """
        )
        self.assert_json(worker.predict(b"[1]"), [1])

    def test_missing_class_lists_those_found(self) -> None:
        frame = self.failure("import json\nfrom pathlib import Path\nclass Model: pass\nclass Other: pass\n", "class")
        expected = (
            "predictor.py has no class `PythonPredictor`, only `Model`, `Other`; name the predictor `PythonPredictor`"
        )
        self.assertEqual(frame["message"], expected)
        self.assertIn("has no class;", self.failure("x = 1", "class")["message"])
        self.assertIn("not a class", self.failure("def PythonPredictor(config): pass", "class")["message"])

    def test_import_raises(self) -> None:
        frame = self.failure("x = 1\nimport no_such_module\n", "import")
        message = "ModuleNotFoundError: No module named 'no_such_module' (predictor.py, line 2)"
        self.assertEqual(frame["message"], message)
        self.assertIn("import no_such_module", frame["traceback"])

    def test_import_raises_in_another_file_of_the_project(self) -> None:
        frame = self.failure("import helper\n", "import", helper="\n\nraise ValueError('one\\ntwo')\n")
        self.assertEqual(frame["message"], "ValueError: one two (helper.py, line 3)")

    def test_raised_in_a_library_names_the_users_line(self) -> None:
        frame = self.failure("import json\n\njson.loads('{')\n", "import")
        self.assertIn("JSONDecodeError: ", frame["message"])
        self.assertIn("(predictor.py, line 3)", frame["message"])
        self.assertIn("decoder.py", frame["traceback"])

    def test_syntax_error(self) -> None:
        frame = self.failure("x = 1\ndef f(:\n", "import")
        self.assertRegex(frame["message"], r"^SyntaxError: .* \(predictor\.py, line 2\)$")

    def test_exit_at_import(self) -> None:
        frame = self.failure("import sys\nsys.exit('no licence')\n", "import")
        self.assertEqual(frame["message"], "SystemExit: no licence (predictor.py, line 2)")

    def test_init_raises(self) -> None:
        frame = self.failure(
            """
            class PythonPredictor:
                def __init__(self, config):
                    self.model = config["model"]
                def predict(self, payload):
                    pass
            """,
            "init",
        )
        self.assertEqual(frame["message"], "KeyError: 'model' (predictor.py, line 4)")
        self.assertIn('self.model = config["model"]', frame["traceback"])

    def test_failure_is_not_held_up_by_the_users_threads(self) -> None:
        text = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n1 / 0\n"
        self.assertIn("ZeroDivisionError", self.failure(text, "import")["message"])

    def test_missing_file(self) -> None:
        self.assertEqual(self.failure(None, "import")["message"], "there is no file predictor.py in the project")

    def test_names_that_cannot_be_imported(self) -> None:
        for path, message in (
            ("json.py", "`json` is also the name of"),
            ("sys.py", "`sys` is also the name of a part of Python"),
            ("v1.2.py", "no other dot"),
            ("model.txt", "must end in .py"),
        ):
            with self.subTest(path):
                worker = self.worker(None)
                (worker.project / path).write_text(ECHO)
                self.assertIn(message, self.failed_init(worker, "import", path=path)["message"])

    def test_siblings_of_a_file_in_a_directory(self) -> None:
        text = "import plain\nfrom . import relative\n" + ECHO
        worker = self.worker(None, src__predictor=text, src__plain="", src__relative="")
        self.assertEqual(worker.init(path="src/predictor.py")["type"], "ready")

    def test_file_name_that_is_no_identifier(self) -> None:
        worker = self.worker(None)
        (worker.project / "my-predictor.py").write_text(ECHO)
        self.assertEqual(worker.init(path="my-predictor.py")["type"], "ready")

    def test_python_path_comes_first(self) -> None:
        text = "import sys, colorsys\n" + EVALUATE
        worker = self.worker(text, lib__colorsys="")
        self.assertEqual(worker.init(python_path=str(worker.project / "lib"))["type"], "ready")
        ours = [str(worker.project / "lib"), str(worker.project)]
        self.assert_json(worker.predict(b"sys.path[:2]", "text/plain"), ours)
        self.assert_json(worker.predict(b"[colorsys.__file__]", "text/plain"), [f"{ours[0]}/colorsys.py"])
        self.assert_json(worker.predict(f"{str(WORKER.parent)!r} in sys.path".encode(), "text/plain"), False)

    def test_pickle_by_module_name(self) -> None:
        worker = self.ready("import pickle\n" + EVALUATE)
        self.assert_json(worker.predict(b"pickle.loads(pickle.dumps(Point(1, 2)))", "text/plain"), {"x": 1, "y": 2})
        self.assert_json(worker.predict(b"[Point.__module__]", "text/plain"), ["predictor"])

    def test_project_stays_as_it_was(self) -> None:
        worker = self.ready("import helper\n" + ECHO, helper="")
        self.assertEqual(sorted(p.name for p in worker.project.iterdir()), ["helper.py", "predictor.py"])


class Payload(WorkerTest):
    DESCRIBE = """
    class PythonPredictor:
        def predict(self, payload):
            return [type(payload).__name__, payload if not isinstance(payload, bytes) else payload.decode("latin-1")]
    """

    def test_every_type(self) -> None:
        worker = self.ready(self.DESCRIBE)
        form = "application/x-www-form-urlencoded"
        for content_type, body, expected in (
            (JSON, b'{"a": [1, 2.5]}', ["dict", {"a": [1, 2.5]}]),
            ("Application/JSON; Charset=UTF-8", '"ü"'.encode(), ["str", "ü"]),
            ('application/json; charset="iso-8859-1"', '"ü"'.encode("latin-1"), ["str", "ü"]),
            ("application/vnd.api+json", b"[1]", ["list", [1]]),
            (JSON, b"\xef\xbb\xbf[1]", ["list", [1]]),
            ("text/plain", "ü".encode(), ["str", "ü"]),
            ("text/csv; charset=latin1", "ü".encode("latin-1"), ["str", "ü"]),
            (None, b"[1]", ["list", [1]]),
            ("", b"[1]", ["list", [1]]),
            (None, b"[1", ["bytes", "[1"]),
            (None, b"\xff\xd8", ["bytes", "\xff\xd8"]),
            (form, b'{"a": 1}', ["dict", {"a": 1}]),
            (form, b"a=1&b=2", ["bytes", "a=1&b=2"]),
            ("image/png", b"[1]", ["bytes", "[1]"]),
            ("application/octet-stream", b"\x00\xff", ["bytes", "\x00\xff"]),
            (JSON, b"", ["NoneType", None]),
            (JSON, b"null", ["NoneType", None]),
            ("text/plain", b"", ["NoneType", None]),
            (None, b"", ["NoneType", None]),
        ):
            with self.subTest(content_type=content_type, body=body):
                self.assert_json(worker.predict(body, content_type), expected)

    def test_bad_requests(self) -> None:
        worker = self.ready(self.DESCRIBE)
        for content_type, body, message in (
            (JSON, b'{"a": 1,\n "b" 2}', "not valid JSON: Expecting ':' delimiter at line 2, column 6"),
            (JSON, b'{"a": "\xff"}', "not valid utf-8: invalid start byte at byte 7"),
            (JSON, b"[NaN]", "`NaN` is not a JSON number"),
            (JSON, b"[" * 1_000_000, "nested too deeply"),
            (JSON + "; charset=klingon", b"[]", "charset `klingon`"),
            (JSON + "; charset=idna", b"[]", "charset `idna`"),
            ("text/plain", b"\xff", "not valid utf-8"),
        ):
            with self.subTest(content_type=content_type, body=body[:20]):
                self.assert_error(worker.predict(body, content_type), "bad_request", message)
        self.assert_json(worker.predict(b"1"), ["int", 1])

    def test_only_what_predict_names(self) -> None:
        values = {"payload": [1], "headers": {"x-a": "b"}, "query_params": {"k": "2", "l": ""}}
        for names in ((), ("payload",), ("headers",), ("query_params", "payload"), tuple(values)):
            with self.subTest(names):
                worker = self.ready(
                    f"""
                    class PythonPredictor:
                        def predict(self, {"".join(name + ", " for name in names)} other=None, **rest):
                            return {{k: v for k, v in locals().items() if k in {tuple(values)}}} | rest
                    """
                )
                answer = worker.predict(b"[1]", headers={"x-a": "b"}, query=[["k", "1"], ["l", ""], ["k", "2"]])
                self.assert_json(answer, {name: values[name] for name in names})

    def test_a_body_that_is_not_wanted_is_not_parsed(self) -> None:
        worker = self.ready("class PythonPredictor:\n    def predict(self): return 1\n")
        self.assert_json(worker.predict(b"{"), 1)


class Answer(WorkerTest):
    def test_every_type(self) -> None:
        worker = self.ready(EVALUATE)
        octets, text = "application/octet-stream", "text/plain; charset=utf-8"
        for expression, content_type, body in (
            ("b'\\x00\\xff'", octets, b"\x00\xff"),
            ("bytearray(b'ab')", octets, b"ab"),
            ("memoryview(b'abcd')[::2]", octets, b"ac"),
            ("'grün'", text, "grün".encode()),
            ("''", text, b""),
            ("None", JSON, b"null"),
            ("True", JSON, b"true"),
            ("1.5", JSON, b"1.5"),
            ("{'a': 'grün', 'b': (1, 2)}", JSON, '{"a":"grün","b":[1,2]}'.encode()),
            ("{1, 1}", JSON, b"[1]"),
            ("[Array([[1, 2], [3, 4]]), Scalar(), Colour.RED]", JSON, b"[[[1,2],[3,4]],7,1]"),
            ("Array([Scalar()])", JSON, b"[7]"),
            ("Point(1.0, Point(2.0, [Scalar()]))", JSON, b'{"x":1.0,"y":{"x":2.0,"y":[7]}}'),
            ("{Scalar(): 1, 2: [Scalar()], None: 3}", JSON, b'{"7":1,"2":[7],"null":3}'),
            (
                "[datetime.datetime(2026, 1, 2, 3, 4, 5), datetime.date(2026, 1, 2), datetime.time(3, 4)]",
                JSON,
                b'["2026-01-02T03:04:05","2026-01-02","03:04:00"]',
            ),
        ):
            with self.subTest(expression):
                header, received = worker.predict(expression.encode(), "text/plain")
                self.assertEqual(header, {"type": "result", "id": 1, "content_type": content_type})
                self.assertEqual(received, body)

    def test_bad_responses(self) -> None:
        worker = self.ready(EVALUATE)
        for expression, message in (
            ("float('nan')", "NaN at $ of the answer"),
            ("{'a': [0, {'b': float('inf')}]}", "Infinity at $.a[1].b of"),
            ("[Array([1.0, float('-inf')])]", "-Infinity at $[0][1] of"),
            ("{'p': Point(1, object())}", "`object` at $.p.y of"),
            ("[1j]", "`complex` at $[0] of"),
            ("[b'x']", "`bytes` at $[0] of"),
            ("[Point]", "`type` at $[0] of"),
            ("[n for n in [(m for m in [1])]]", "`generator` at $[0] of"),
            ("[Stubborn()]", "`predictor.Stubborn` at $[0] of"),
            ("[Broken()]", "`predictor.Broken` at $[0] of the answer cannot be written as JSON: not on this device"),
            ("{(1, 2): 3}", "a key of type `tuple` at $ of"),
            ("{'a': {float('nan'): 3}}", "NaN at $.a of"),
            ("loop", "nested too deeply, or contains itself"),
            ("['\\ud800']", "the text at $[0] of the answer is not valid Unicode"),
            ("'\\ud800'", "the text at $ of the answer is not valid Unicode"),
        ):
            with self.subTest(expression):
                self.assert_error(worker.predict(expression.encode(), "text/plain"), "bad_response", message)
        self.assert_json(worker.predict(b"[1]", "text/plain"), [1])


class Errors(WorkerTest):
    RAISE = """
    class PythonPredictor:
        def predict(self, payload):
            exec(payload)

    class Mute(Exception):
        def __str__(self):
            raise ValueError

    def deep():
        raise ValueError(
            "two\\nlines")
    """

    def test_whatever_is_raised_is_an_answer(self) -> None:
        worker = self.ready(self.RAISE)
        for statement, message in (
            ("deep()", "ValueError: two lines (predictor.py, line "),
            ("exit(3)", "SystemExit: 3 (predictor.py, line 4)"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt (predictor.py, line 4)"),
            ("raise MemoryError", "MemoryError (predictor.py, line 4)"),
            ("raise Mute", "Mute: (its text cannot be read)"),
            ("raise ValueError('x' * 9000)", "x ..."),
            ("f = lambda: f()\nglobals().update(f=f)\nf()", "RecursionError: "),
        ):
            with self.subTest(statement):
                answer = worker.predict(statement.encode(), "text/plain")
                self.assert_error(answer, "predictor_raised", message)
                self.assertIn("exec(payload)", answer[0]["traceback"])
                self.assertNotIn("cortex_worker", answer[0]["traceback"])
        self.assert_json(worker.predict(b"pass", "text/plain"), None)

    def test_native_crash_leaves_a_traceback(self) -> None:
        worker = self.ready(self.RAISE)
        worker.request(1, b"import os; os.abort()", "text/plain")
        self.assertTrue(worker.at_end())
        code, _, err = worker.exit()
        self.assertEqual(code, -signal.SIGABRT)
        self.assertIn("in predict", err)


class Concurrency(WorkerTest):
    def test_requests_overlap(self) -> None:
        worker = self.ready(
            """
            import threading
            class PythonPredictor:
                def __init__(self, config):
                    self.barrier = threading.Barrier(4)
                def predict(self, payload):
                    self.barrier.wait(timeout=30)
                    return payload
            """,
            threads=4,
        )
        for number in range(8):
            worker.request(number, json.dumps([number]).encode())
        answers = {header["id"]: json.loads(body) for header, body in (worker.receive() for _ in range(8))}
        self.assertEqual(answers, {number: [number] for number in range(8)})

    def test_answers_come_when_they_are_done(self) -> None:
        worker = self.ready(
            """
            import threading
            class PythonPredictor:
                def __init__(self, config):
                    self.event = threading.Event()
                def predict(self, payload):
                    if payload == "wait":
                        assert self.event.wait(timeout=30)
                    if payload == "go":
                        self.event.set()
                    return payload
            """,
            threads=2,
        )
        worker.request(10, b'"wait"')
        worker.request(11, b'"pass"')
        self.assertEqual(worker.receive()[0]["id"], 11)
        worker.request(12, b'"go"')
        self.assertEqual({worker.receive()[0]["id"] for _ in range(2)}, {10, 12})

    def test_one_thread_keeps_the_order(self) -> None:
        worker = self.ready(ECHO, threads=1)
        for number in range(100):
            worker.request(number, b"[]")
        self.assertEqual([worker.receive()[0]["id"] for _ in range(100)], list(range(100)))

    def test_every_request_has_its_id(self) -> None:
        worker = self.ready(
            """
            import sys
            class PythonPredictor:
                def predict(self):
                    return sys.modules["cortex_worker.output"].CURRENT.get().number
            """,
            threads=2,
        )
        for number in range(10):
            worker.request(number)
        self.assertTrue(all(header["id"] == json.loads(body) for header, body in (worker.receive() for _ in range(10))))


class Frames(WorkerTest):
    def test_big_bodies(self) -> None:
        worker = self.ready(ECHO)
        body = os.urandom(8 * 1024 * 1024)
        header, received = worker.predict(body, "application/octet-stream")
        self.assertEqual(header["type"], "result")
        self.assertTrue(received == body)

    def test_big_json(self) -> None:
        worker = self.ready(ECHO)
        value = ["x" * 1000] * 8000
        self.assert_json(worker.predict(json.dumps(value).encode()), value)

    def test_sizes_about_the_buffer(self) -> None:
        worker = self.ready(ECHO)
        for size in (1, 65535, 65536, 65537, 200_000):
            self.assertEqual(worker.predict(b"a" * size, "image/png")[1], b"a" * size)

    def test_frames_in_pieces(self) -> None:
        worker = self.ready(ECHO)
        for byte in frame(b"p", 5, b"r\n" + JSON.encode() + b"\n", b"[1]"):
            worker.socket.sendall(bytes([byte]))
        self.assert_json(worker.receive(), [1])

    def test_unknown_frame(self) -> None:
        worker = self.ready(ECHO)
        worker.send(b"x")
        code, _, err = worker.exit()
        self.assertEqual(code, 1)
        self.assertIn("unexpected frame x", err)


class End(WorkerTest):
    def gated(self, threads: int = 1) -> tuple[Worker, int]:
        """A worker whose request 1 waits, and the gate to open with a byte."""
        worker = self.ready(GATED, threads)
        os.mkfifo(worker.project / "gate")
        gate = os.open(worker.project / "gate", os.O_RDWR)
        self.addCleanup(os.close, gate)
        worker.request(1, b'"wait"')
        self.assertEqual(worker.wait_for_output(), b"waiting\n")
        return worker, gate

    def test_stop_finishes_what_was_received(self) -> None:
        worker, gate = self.gated()
        worker.request(2, b'"open"')
        worker.send(b"s")
        os.write(gate, b"x")
        self.assertEqual([worker.receive()[0]["id"] for _ in range(2)], [1, 2])
        self.assertTrue(worker.at_end())
        self.assertEqual(worker.exit()[0], 0)

    def test_stop_when_idle(self) -> None:
        text = "import atexit\natexit.register(print, 'cleaned up')\n" + ECHO
        self.assertEqual(self.ready(text, threads=3).stop(), (0, "cleaned up\n", ""))

    def test_end_of_stream_when_idle(self) -> None:
        worker = self.ready(ECHO)
        worker.socket.close()
        self.assertEqual(worker.exit(), (0, "", ""))

    def test_end_of_stream_during_a_request(self) -> None:
        worker, _ = self.gated()
        worker.socket.close()
        self.assertEqual(worker.exit(), (0, "", ""))

    def test_end_of_stream_while_stopping(self) -> None:
        worker, _ = self.gated()
        worker.send(b"s")
        worker.socket.close()
        self.assertEqual(worker.exit(), (0, "", ""))

    def test_stop_and_no_more_to_send(self) -> None:
        worker, gate = self.gated()
        worker.send(b"s")
        worker.socket.shutdown(socket.SHUT_WR)
        os.write(gate, b"x")
        self.assertEqual(worker.receive()[0]["id"], 1)
        self.assertEqual(worker.exit()[0], 0)

    def test_no_more_to_send_without_stop(self) -> None:
        worker, gate = self.gated()
        worker.socket.shutdown(socket.SHUT_WR)
        os.write(gate, b"x")
        self.assertEqual(worker.receive()[0]["id"], 1)
        self.assertTrue(worker.at_end())
        self.assertEqual(worker.exit()[0], 0)

    def test_end_of_stream_in_init(self) -> None:
        worker = self.worker("print('loading')\nimport threading\nthreading.Event().wait()\n")
        worker.send_init()
        self.assertEqual(worker.wait_for_output(), b"loading\n")
        worker.socket.close()
        self.assertEqual(worker.exit(), (0, "", ""))

    def test_end_of_stream_before_init(self) -> None:
        worker = self.worker(ECHO)
        worker.socket.close()
        self.assertEqual(worker.exit(), (0, "", ""))

    def test_signals_are_ignored(self) -> None:
        worker, gate = self.gated()
        for number in (signal.SIGTERM, signal.SIGINT):
            worker.process.send_signal(number)
        os.write(gate, b"x")
        self.assertEqual(worker.receive()[1], b"wait")
        self.assertEqual(worker.stop()[0], 0)


class Process(WorkerTest):
    def test_output(self) -> None:
        worker = self.ready(
            """
            import sys
            class PythonPredictor:
                def predict(self, payload):
                    print("to stdout: grün")
                    print("to stderr: \\ud800", file=sys.stderr)
                    return 1
            """
        )
        self.assert_json(worker.predict(), 1)
        expected = [("request-1", "stdout", "to stdout: grün"), ("request-1", "stderr", "to stderr: \\ud800")]
        self.assertEqual(worker.lines, expected)
        self.assertEqual(worker.stop(), (0, "", ""))

    def test_standard_input_is_empty(self) -> None:
        worker = self.ready("import os, sys\n" + EVALUATE)
        self.assert_json(worker.predict(b"[sys.stdin.read(), os.read(0, 1).decode()]", "text/plain"), ["", ""])
        self.assert_json(worker.predict(b"[1]", "text/plain"), [1])

    def test_a_forked_process_does_not_hold_the_socket(self) -> None:
        worker = self.ready(
            """
            import os
            gate = os.pipe()
            class PythonPredictor:
                def predict(self):
                    child = os.fork()
                    if child == 0:
                        os.close(gate[1])
                        os.read(gate[0], 1)
                        os._exit(0)
                    return child
            """
        )
        _, body = worker.predict()
        self.addCleanup(self.kill, json.loads(body))
        worker.send(b"s")
        self.assertTrue(worker.at_end())

    def test_multiprocessing(self) -> None:
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                worker = self.ready(
                    f"""
                    import multiprocessing, threading
                    class Number:
                        def __init__(self, value):
                            self.value = value
                    def square(number):
                        return Number(number.value ** 2)
                    def forever():
                        threading.Event().wait()
                    class PythonPredictor:
                        def __init__(self, config):
                            self.context = multiprocessing.get_context({method!r})
                        def predict(self, payload):
                            sleeper = self.context.Process(target=forever)
                            sleeper.start()
                            with self.context.Pool(1) as pool:
                                answer = pool.apply(square, (Number(payload),)).value
                            sleeper.terminate()
                            sleeper.join(20)
                            return [answer, sleeper.exitcode]
                    """
                )
                self.assert_json(worker.predict(b"7"), [49, -signal.SIGTERM])
                self.assertEqual(worker.stop()[0], 0)

    @staticmethod
    def kill(process: int) -> None:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    unittest.main()
