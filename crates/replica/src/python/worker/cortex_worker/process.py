"""The process: its socket, its signals, its children, its life."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Optional

from . import frames
from .frames import Channel
from .loading import StartFailure, failed, start
from .output import CURRENT, replace_streams
from .serving import Service
from .signature import self_description
from .tasks import serve_tasks
from .threads import serve_alone, serve_threads

# The replica sends this to a worker that hangs, to have in the log where, before it kills it.
TELL_WHERE = signal.SIGUSR2


def main() -> None:
    channel = Channel(take_socket())
    set_up_process(channel)
    threading.Thread(target=channel.exit_at_end_of_stream, daemon=True).start()
    _, _, meta, _ = channel.receive()
    init = json.loads(meta)
    try:
        predictor = start(init)
    except StartFailure as failure:
        channel.send(frames.FAILED, 0, json.dumps(failed(failure, init["project"])).encode())
        # Not `sys.exit`, which waits for threads that the predictor may have started.
        sys.stdout.flush()
        os._exit(1)
    batching = bool(init.get("batching"))
    ready = {
        "headers": predictor.wants_head,
        "async": predictor.is_async,
        "hook": bool(predictor.hook),
    }
    channel.send(frames.READY, 0, json.dumps(ready).encode(), self_description(predictor.kind, batching))
    service = Service(channel, predictor, init["project"], batching)
    if predictor.is_async:
        serve_tasks(service)
    elif init["threads"] == 1:
        serve_alone(service)
    else:
        serve_threads(service, init["threads"])


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
    replace_streams(channel)
    faulthandler.enable(file=2)
    faulthandler.register(TELL_WHERE, file=2)
    # The project directory is shared by all replicas of a bundle and must stay as it was unpacked.
    sys.dont_write_bytecode = True
    # The replica decides when to stop. A handler instead of `SIG_IGN`, because programs that the predictor starts would
    # inherit the latter, and then nobody could terminate them.
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, ignore_signal)
    os.register_at_fork(after_in_child=lambda: become_ordinary(channel))


def ignore_signal(_number: int, _frame: Optional[FrameType]) -> None:
    pass


def become_ordinary(channel: Channel) -> None:
    """In a process that the predictor forked: let go of the socket, so that its end is seen, and obey signals again."""
    channel.close()
    CURRENT.set(None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
