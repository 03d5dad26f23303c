"""From a project to a predictor that can be asked."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar

from .answer import type_name
from .payload import decode_payload
from .trouble import describe, format_traceback, project_place

T = TypeVar("T")

CLASS_NAME = "PythonPredictor"
PREDICT_ARGUMENTS = ("payload", "headers", "query_params")
HOOK = "post_predict"
HOOK_ARGUMENTS = ("response", *PREDICT_ARGUMENTS)

OPTIONAL_KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class StartFailure(Exception):
    """The predictor cannot be started for a reason that is ours to explain."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class Predictor:
    """The user's object, and which arguments its methods want."""

    def __init__(self, instance: object) -> None:
        predict: Callable[..., Any] = instance.predict  # type: ignore[attr-defined]
        self.kind = type(instance)
        self.predict = predict
        self.hook: Optional[Callable[..., Any]] = getattr(instance, HOOK, None)
        self.is_async = inspect.iscoroutinefunction(predict) or inspect.isasyncgenfunction(predict)
        wanted = wanted_by(predict, PREDICT_ARGUMENTS)
        if self.hook:
            self._hook_wants = wanted_by(self.hook, HOOK_ARGUMENTS)
            wanted |= self._hook_wants & frozenset(PREDICT_ARGUMENTS)
        self._predict_wants = wanted_by(predict, PREDICT_ARGUMENTS)
        self.wants_payload = "payload" in wanted
        self.wants_head = not wanted.isdisjoint(("headers", "query_params"))
        # The common case, without a dict of arguments that is made to be taken apart again.
        self.payload_only = not self.hook and self._predict_wants == {"payload"}

    def arguments(self, content_type: str, body: bytes, headers: object, query: object) -> Dict[str, object]:
        """All that `predict` and the hook want."""
        arguments: Dict[str, object] = {}
        if self.wants_payload:
            arguments["payload"] = decode_payload(content_type, body)
        if self.wants_head:
            arguments["headers"] = headers or {}
            arguments["query_params"] = dict(query or ())  # type: ignore[call-overload]
        return arguments

    def call(self, arguments: Dict[str, object]) -> Any:
        return self.predict(**{name: arguments[name] for name in self._predict_wants})

    def call_hook(self, response: object, arguments: Dict[str, object]) -> Any:
        """May return something to await."""
        assert self.hook
        given = {**arguments, "response": response}
        return self.hook(**{name: given[name] for name in self._hook_wants})


def wanted_by(function: Callable[..., Any], passed: Tuple[str, ...]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters) & frozenset(passed)


def start(init: Dict[str, Any]) -> Predictor:
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
    """Puts the directories first."""
    sys.path[:] = [*dict.fromkeys(directories), *(entry for entry in sys.path if entry not in directories)]


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
    constructor = vars(predictor_class).get("__init__", predictor_class)
    check_parameters("__init__", predictor_class, ("config",), constructor, project)
    check_parameters("predict", as_method(predictor_class, "predict"), PREDICT_ARGUMENTS, predict, project)
    hook = getattr(predictor_class, HOOK, None)
    if callable(hook):
        check_parameters(HOOK, as_method(predictor_class, HOOK), HOOK_ARGUMENTS, hook, project)
    elif hook is not None:
        raise StartFailure("class", f"`{CLASS_NAME}.{HOOK}` is not a method")


def as_method(predictor_class: type, name: str) -> Callable[..., object]:
    """The method with the parameters that a caller sees, thus without `self`."""
    method: Callable[..., object] = getattr(predictor_class, name)
    without_self = isinstance(inspect.getattr_static(predictor_class, name), (staticmethod, classmethod))
    return method if without_self else functools.partial(method, None)


def check_parameters(
    name: str, called: Callable[..., object], passed: Tuple[str, ...], source: Callable[..., object], project: str
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


def failed(failure: StartFailure, project: str) -> Dict[str, Any]:
    """What the frame says that tells why the predictor did not start."""
    error = failure.__cause__
    message, trace = (describe(error, project), format_traceback(error)) if error else (str(failure), "")
    return {"stage": failure.stage, "message": message, "traceback": trace}
