"""Runs one Python predictor and answers the requests that the replica sends it.

The replica, a Rust process, starts this file as `python -u worker.py`, speaks to it over a Unix stream socket that it
passes as standard input, and turns every line of standard output and standard error into a log line. The module needs
nothing but the standard library of Python 3.9 or newer, because the interpreter belongs to the user's environment.

Frames, in both directions:

    4 bytes  length of the header, big endian
    4 bytes  length of the body, big endian
    header   a JSON object in UTF-8
    body     raw bytes

From the replica:

    {"type": "init", "path", "python_path", "project", "config", "threads"}   first, once
    {"type": "predict", "id", "content_type", "headers", "query"} + body      any number, at any time after "ready"
    {"type": "stop"}                                                          answer what was received, then exit 0
    end of stream, unless after "stop"; socket closed, at any time            the replica is gone: exit at once

From the worker:

    {"type": "ready"}
    {"type": "failed", "stage": "import" | "class" | "init", "message", "traceback"}, and then exit 1
    {"type": "result", "id", "content_type"} + body
    {"type": "error", "id", "kind": "bad_request" | "predictor_raised" | "bad_response", "message", "traceback"}

Answers come in the order in which they are done, told apart by their id.

Threads: the main thread imports and creates the predictor and then only reads frames; `threads` others take requests
from a queue, so that `predict` runs that many times at once; one more waits for the end of the stream, because that
must be noticed while the main thread is inside `__init__` too. A frame is written under a lock.

The predictor's code may do what Python code does: print, raise anything, read standard input (it is empty), fork, start
processes. None of that may reach the socket or end the worker. What it cannot survive is native code that crashes; the
traceback of that goes to standard error.

All in one file, because the replica carries it as one text. The file must stay where it is while the worker runs:
`multiprocessing` reads it again in every process that it spawns.
"""

from __future__ import annotations

import codecs
import contextvars
import dataclasses
import datetime
import faulthandler
import functools
import importlib
import inspect
import json
import math
import os
import queue
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from types import FrameType, ModuleType, TracebackType
from typing import Any, Callable, NoReturn, TypeVar

T = TypeVar("T")

CLASS_NAME = "PythonPredictor"
PREDICT_ARGUMENTS = ("payload", "headers", "query_params")

PREFIX = struct.Struct(">II")
BODY_LIMIT = 2**32 - 1
# Bodies up to this size are copied behind their header, which saves a system call.
SMALL_BODY = 64 * 1024

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
TEXT_TYPE = "text/plain; charset=utf-8"
BYTES_TYPE = "application/octet-stream"

# Python's names of the charsets accepted in a Content-Type. Others that Python knows (idna, punycode, utf-7) are no
# charsets of the web, and some take quadratic time.
CHARSETS = frozenset(
    "ascii utf-8 utf-16 utf-16-be utf-16-le utf-32 utf-32-be utf-32-le iso8859-1 iso8859-2 iso8859-15"
    " cp1250 cp1251 cp1252 koi8-r big5 euc_jp euc_kr gb18030 gb2312 gbk shift_jis".split()
)

# What Python's encoder takes for the key of an object.
KEY_TYPES = (str, int, float, type(None))

OPTIONAL_KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

MESSAGE_LIMIT = 1000

# The id of the request that the current thread answers.
REQUEST_ID: contextvars.ContextVar[int | None] = contextvars.ContextVar("cortex_request_id", default=None)


class StartFailure(Exception):
    """The predictor cannot be started for a reason that is ours to explain."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class BadRequest(Exception):
    """The body is not what its content type says."""


class BadResponse(Exception):
    """What `predict` returned cannot be sent."""


# --- Frames -----------------------------------------------------------------------------------------------------------


class Channel:
    """The worker's end of the socket. Only the main thread receives; any thread sends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # Not `makefile`, which would keep the descriptor open after `close`.
        self._reader = open(connection.fileno(), "rb", buffering=SMALL_BODY, closefd=False)
        self._write_lock = threading.Lock()

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame. Ends the process if there is none, because then the replica is gone."""
        try:
            header_length, body_length = PREFIX.unpack(self._read_exactly(PREFIX.size))
            header = self._read_exactly(header_length)
            body = self._read_exactly(body_length)
        except (OSError, EOFError):
            os._exit(0)
        return json.loads(header), body

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Writes one frame. Ends the process if the replica is gone."""
        encoded = json.dumps(header).encode()
        head = PREFIX.pack(len(encoded), len(body)) + encoded
        try:
            with self._write_lock:
                if len(body) <= SMALL_BODY:
                    self._connection.sendall(head + body)
                else:
                    self._connection.sendall(head)
                    self._connection.sendall(body)
        except OSError:
            os._exit(0)

    def exit_at_end_of_stream(self) -> NoReturn:
        """Waits until the replica closes its end, whatever else goes on, and ends the process.

        A replica that only has no more to send is not gone; `receive` decides about that.
        """
        poll = select.poll()
        poll.register(self._connection, 0)  # Hang-up is always reported, and nothing else is wanted.
        while not poll.poll():
            pass
        os._exit(0)

    def close(self) -> None:
        self._connection.close()

    def _read_exactly(self, length: int) -> bytes:
        data = self._reader.read(length)
        if len(data) < length:
            raise EOFError
        return data


# --- Payload ----------------------------------------------------------------------------------------------------------


def decode_payload(content_type: str | None, body: bytes) -> object:
    """What `predict` gets as `payload`: parsed JSON, `str`, `bytes`, or `None` for an empty body."""
    if not body:
        return None
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


# --- Answer -----------------------------------------------------------------------------------------------------------


def encode_answer(answer: object) -> tuple[str, bytes]:
    """Content type and body for what `predict` returned."""
    if isinstance(answer, (bytes, bytearray, memoryview)):
        content_type, body = BYTES_TYPE, bytes(answer)
    elif isinstance(answer, str):
        content_type, body = TEXT_TYPE, encode_text(answer, "$")
    else:
        content_type, body = JSON_TYPE, encode_json(answer)
    if len(body) > BODY_LIMIT:
        raise BadResponse(f"the answer has {len(body)} bytes; the limit is {BODY_LIMIT}")
    return content_type, body


def encode_json(answer: object) -> bytes:
    """The answer as JSON: first at the encoder's full speed; if that fails, step by step, to repair or to say where."""
    try:
        return JSON_ENCODER.encode(answer).encode()
    except Exception:
        try:
            return JSON_ENCODER.encode(to_json_values(answer, "$")).encode()
        except RecursionError:
            raise BadResponse("the answer is nested too deeply, or contains itself") from None


def to_json_value(value: object) -> object:
    """One step towards JSON for a type that JSON has no form for; the encoder calls it again on what comes out."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (datetime.date, datetime.time)):  # `datetime.datetime` is a `date`.
        return value.isoformat()
    if isinstance(value, (type, bytes, bytearray, memoryview)):
        raise TypeError
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    # The arrays, tensors and scalars of NumPy and of all that follow its interface.
    for method in ("tolist", "item"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    raise TypeError


JSON_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=to_json_value)


def to_json_values(value: object, path: str) -> object:
    """A copy of `value` made of JSON's own types. `path` says where it stands in the answer, which is `$`."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return check_finite(value, path)
    if isinstance(value, str):
        encode_text(value, path)
        return value
    if isinstance(value, dict):
        return {to_json_key(k, path): to_json_values(v, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_values(v, f"{path}[{i}]") for i, v in enumerate(value)]
    return to_json_values(convert_at(value, path), path)


def to_json_key(key: object, path: str) -> object:
    converted = key if isinstance(key, KEY_TYPES) else convert_at(key, path, "a key of type ")
    if not isinstance(converted, KEY_TYPES):
        raise BadResponse(f"a key of type `{type_name(key)}` at {path} of the answer cannot be written as JSON")
    return to_json_values(converted, path)


def convert_at(value: object, path: str, what: str = "") -> object:
    problem = f"{what}`{type_name(value)}` at {path} of the answer cannot be written as JSON"
    try:
        converted = to_json_value(value)
    except Exception as error:
        reason = one_line(error)
        raise BadResponse(f"{problem}: {reason}" if reason else problem) from None
    if type(converted) is type(value):  # No step forward; NumPy's `longdouble` does that.
        raise BadResponse(problem)
    return converted


def check_finite(value: float, path: str) -> float:
    if math.isfinite(value):
        return value
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    raise BadResponse(f"{name} at {path} of the answer cannot be written as JSON; return None or a text instead")


def encode_text(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadResponse(f"the text at {path} of the answer is not valid Unicode: {error.reason}") from None


def type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# --- Exceptions of the predictor --------------------------------------------------------------------------------------


def describe(error: BaseException, project: str) -> str:
    """`ValueError: text (predictor.py, line 12)`: one line that names the innermost line of the user's own code."""
    text = one_line(error)
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return message + user_location(error, project)


def one_line(error: BaseException) -> str:
    # Not `SyntaxError`'s own text, which repeats the place.
    try:
        text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    except Exception:
        return "(its text cannot be read)"
    return text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + " ..."


def user_location(error: BaseException, project: str) -> str:
    """Where in the project it was raised, as ` (predictor.py, line 12)`, or nothing if not there at all."""
    steps = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        steps.append((error.filename or "", error.lineno or 0))
    return next((place for step in reversed(steps) if (place := project_place(*step, project))), "")


def project_place(file: str, line: int, project: str) -> str:
    """The place relative to the project; empty if it is not the user's own code."""
    relative = os.path.relpath(os.path.realpath(file), os.path.realpath(project))
    # Generated code has names such as `<string>`; an environment may lie inside the project.
    own = os.path.isabs(file) and not relative.startswith(os.pardir) and "site-packages" not in relative
    return f" ({relative}, line {line})" if own else ""


def format_traceback(error: BaseException) -> str:
    """The traceback without the steps that lead from this file to the user's code."""
    first = skip_own_steps(error.__traceback__)
    if first is None and not isinstance(error, SyntaxError):
        first = error.__traceback__  # All of it is in this file.
    return "".join(traceback.format_exception(type(error), error, first))


def skip_own_steps(step: TracebackType | None) -> TracebackType | None:
    own = (skip_own_steps.__code__.co_filename, importlib.__file__)
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if file not in own and not file.startswith("<frozen importlib"):
            return step
        step = step.tb_next
    return None


# --- Start ------------------------------------------------------------------------------------------------------------


class Predictor:
    """The user's object and which arguments its `predict` wants."""

    def __init__(self, instance: object) -> None:
        self._predict: Callable[..., object] = instance.predict  # type: ignore[attr-defined]
        self._wanted = frozenset(inspect.signature(self._predict).parameters) & frozenset(PREDICT_ARGUMENTS)

    def answer(self, request: dict[str, Any], body: bytes) -> object:
        arguments: dict[str, object] = {}
        if "payload" in self._wanted:
            arguments["payload"] = decode_payload(request.get("content_type"), body)
        if "headers" in self._wanted:
            arguments["headers"] = request.get("headers") or {}
        if "query_params" in self._wanted:
            arguments["query_params"] = dict(request.get("query") or ())
        return self._predict(**arguments)


def start(init: dict[str, Any]) -> Predictor:
    """Imports the user's module and creates its predictor. Raises `StartFailure`."""
    in_stage("import", lambda: os.chdir(init["project"]))
    module = import_module(init["project"], init["path"], init["python_path"])
    predictor_class = find_class(module, init["path"])
    in_stage("class", lambda: check_class(predictor_class, init["project"]))
    config = {"config": init["config"]} if accepts_config(predictor_class) else {}
    instance = in_stage("init", lambda: predictor_class(**config))
    return in_stage("class", lambda: Predictor(instance))


def in_stage(stage: str, run: Callable[[], T]) -> T:
    """Runs the user's code and notes on what it raises in which stage that was."""
    try:
        return run()
    except StartFailure:
        raise
    except BaseException as error:
        raise StartFailure(stage, "") from error


def import_module(project: str, path: str, python_path: str) -> ModuleType:
    """Imports the file under the name by which other code, and `pickle`, would import it as well."""
    file = os.path.join(project, path)
    if not os.path.isfile(file):
        raise StartFailure("import", f"there is no file {path} in the project")
    set_import_path(python_path, os.path.dirname(file))
    name = module_name(file, python_path)
    if not file.endswith(".py") or not name:
        raise StartFailure("import", f"{path} cannot be imported: its name must end in .py and have no other dot")
    module = in_stage("import", lambda: importlib.import_module(name))
    imported = getattr(module, "__file__", None) or "a part of Python"
    if os.path.realpath(imported) != os.path.realpath(file):
        problem = f"{path} cannot be imported: `{name}` is also the name of {imported}"
        raise StartFailure("import", f"{problem}; rename the file")
    return module


def set_import_path(*directories: str) -> None:
    """Puts the directories first and takes out this file's own, which is of no concern to the user's code."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [*dict.fromkeys(directories), *(entry for entry in sys.path if entry not in (*directories, own))]


def module_name(file: str, python_path: str) -> str:
    """`a.b` for `a/b.py` below the Python path; just `b` where the directories are no package names. Empty if not even
    the file has a name that can be imported."""
    parts = os.path.relpath(file, python_path)[: -len(".py")].split(os.sep)
    if all(part.isidentifier() for part in parts):
        return ".".join(parts)
    return "" if "." in parts[-1] else parts[-1]


def find_class(module: ModuleType, path: str) -> type:
    found = getattr(module, CLASS_NAME, None)
    if inspect.isclass(found):
        return found
    if found is not None:
        raise StartFailure("class", f"`{CLASS_NAME}` in {path} is not a class but of type `{type_name(found)}`")
    classes = [name for name, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    if not classes:
        raise StartFailure("class", f"{path} has no class; the predictor must be a class named `{CLASS_NAME}`")
    listed = ", ".join(f"`{name}`" for name in classes)
    raise StartFailure("class", f"{path} has no class `{CLASS_NAME}`, only {listed}; name the predictor `{CLASS_NAME}`")


def check_class(predictor_class: type, project: str) -> None:
    """Refuses now what would otherwise fail at every request, or fail without saying why."""
    predict = getattr(predictor_class, "predict", None)
    if not callable(predict):
        raise StartFailure("class", f"`{CLASS_NAME}` has no method `predict`")
    if inspect.iscoroutinefunction(predict):
        problem = f"`{CLASS_NAME}.predict` is `async def`, which is not supported; make it `def`"
        raise StartFailure("class", problem + defined_at(predict, project))
    constructor = vars(predictor_class).get("__init__", predictor_class)
    check_parameters("__init__", predictor_class, ("config",), constructor, project)
    check_parameters("predict", as_method(predictor_class, predict), PREDICT_ARGUMENTS, predict, project)


def as_method(predictor_class: type, predict: Callable[..., object]) -> Callable[..., object]:
    """`predict` with the parameters that a caller sees, thus without `self`."""
    without_self = isinstance(inspect.getattr_static(predictor_class, "predict"), (staticmethod, classmethod))
    return predict if without_self else functools.partial(predict, None)


def check_parameters(
    name: str, called: Callable[..., object], passed: tuple[str, ...], source: Callable[..., object], project: str
) -> None:
    """Every parameter must be one that is passed, or have a default."""
    for parameter in inspect.signature(called).parameters.values():
        optional = parameter.default is not parameter.empty or parameter.kind in OPTIONAL_KINDS
        by_name = parameter.kind is not parameter.POSITIONAL_ONLY
        if not optional and not (by_name and parameter.name in passed):
            problem = f"`{CLASS_NAME}.{name}` wants `{parameter.name}`, but what it can get, by name, is "
            allowed = ", ".join(f"`{argument}`" for argument in passed)
            advice = "; anything else needs a default value"
            raise StartFailure("class", problem + allowed + advice + defined_at(source, project))


def accepts_config(predictor_class: type) -> bool:
    parameters = inspect.signature(predictor_class).parameters
    return "config" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def defined_at(function: Callable[..., object], project: str) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return project_place(code.co_filename, code.co_firstlineno, project) if code else ""


def failed(failure: StartFailure, project: str) -> dict[str, Any]:
    """The frame that says why the predictor did not start."""
    error = failure.__cause__
    message, trace = (describe(error, project), format_traceback(error)) if error else (str(failure), "")
    return {"type": "failed", "stage": failure.stage, "message": message, "traceback": trace}


# --- Service ----------------------------------------------------------------------------------------------------------


def serve(channel: Channel, predictor: Predictor, project: str, threads: int) -> None:
    """Hands requests to `threads` threads until told to stop; returns when all that were received are answered."""
    requests: queue.SimpleQueue[tuple[dict[str, Any], bytes] | None] = queue.SimpleQueue()
    arguments = (channel, predictor, project, requests)
    workers = [
        threading.Thread(target=answer_requests, args=arguments, name=f"predict-{number}", daemon=True)
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    while True:
        header, body = channel.receive()
        if header["type"] == "predict":
            requests.put((header, body))
        elif header["type"] == "stop":
            break
        else:
            raise ValueError(f"unexpected frame {header['type']}")
    for _ in workers:
        requests.put(None)
    for worker in workers:
        worker.join()


def answer_requests(
    channel: Channel,
    predictor: Predictor,
    project: str,
    requests: queue.SimpleQueue[tuple[dict[str, Any], bytes] | None],
) -> None:
    """One thread's work: a request after the other, until `None`."""
    for header, body in iter(requests.get, None):
        REQUEST_ID.set(header["id"])
        try:
            channel.send(*answer(predictor, header, body, project))
        except BaseException:
            # Not the predictor's doing, which `answer` reports. Without this thread requests would hang, so let the
            # replica see a dead worker, which it knows how to replace.
            traceback.print_exc()
            os._exit(2)
        REQUEST_ID.set(None)
        del header, body  # Or they would stay in memory until the next request.


def answer(predictor: Predictor, header: dict[str, Any], body: bytes, project: str) -> tuple[dict[str, Any], bytes]:
    """The frame that answers one request. Whatever the predictor raises, `SystemExit` included, is an answer too."""
    try:
        content_type, encoded = encode_answer(predictor.answer(header, body))
        return {"type": "result", "id": header["id"], "content_type": content_type}, encoded
    except BadRequest as error:
        return request_failed(header["id"], "bad_request", str(error)), b""
    except BadResponse as error:
        return request_failed(header["id"], "bad_response", str(error)), b""
    except BaseException as error:
        message = describe(error, project)
        return request_failed(header["id"], "predictor_raised", message, format_traceback(error)), b""


def request_failed(request: int, kind: str, message: str, trace: str = "") -> dict[str, Any]:
    return {"type": "error", "id": request, "kind": kind, "message": message, "traceback": trace}


# --- Process ----------------------------------------------------------------------------------------------------------


def take_socket() -> socket.socket:
    """Takes the socket away from standard input and leaves an empty file there."""
    connection = socket.socket(fileno=os.dup(0))
    connection.setblocking(True)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return connection


def set_up_process(channel: Channel) -> None:
    """Log streams, signals and forks."""
    # A line at a time, which is how the replica logs them; any text, whatever the locale.
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    faulthandler.enable()
    # The project directory is shared by all replicas of a bundle and must stay as it was unpacked.
    sys.dont_write_bytecode = True
    # The replica decides when to stop. A handler instead of `SIG_IGN`, because programs that the predictor starts would
    # inherit the latter, and then nobody could terminate them.
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, ignore_signal)
    os.register_at_fork(after_in_child=lambda: become_ordinary(channel))


def ignore_signal(_number: int, _frame: FrameType | None) -> None:
    pass


def become_ordinary(channel: Channel) -> None:
    """In a process that the predictor forked: let go of the socket, so that its end is seen, and obey signals again."""
    channel.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main() -> None:
    channel = Channel(take_socket())
    set_up_process(channel)
    threading.Thread(target=channel.exit_at_end_of_stream, daemon=True).start()
    init, _ = channel.receive()
    try:
        predictor = start(init)
    except StartFailure as failure:
        channel.send(failed(failure, init["project"]))
        # Not `sys.exit`, which waits for threads that the predictor may have started.
        sys.stdout.flush()
        os._exit(1)
    channel.send({"type": "ready"})
    serve(channel, predictor, init["project"], init["threads"])


if __name__ == "__main__":
    main()
