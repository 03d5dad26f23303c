"""What the predictor's exceptions are called, in one line for the replica and as a traceback for the log."""

from __future__ import annotations

import importlib
import os
import traceback
from types import TracebackType

MESSAGE_LIMIT = 1000

# This program's own files, and the one that imports the user's.
PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
OWN_FILES = (os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), "worker.py"), importlib.__file__)


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
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        ours = file.startswith((PACKAGE, "<frozen importlib")) or file in OWN_FILES
        if not ours:
            return step
        step = step.tb_next
    return None
