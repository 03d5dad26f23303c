"""Runs one Python predictor and answers the requests that the replica sends it.

The replica, a Rust process, starts `worker.py`, speaks to it over a Unix stream socket that it passes as standard
input, and turns what it prints into log lines. The package needs nothing but the standard library of Python 3.9 or
newer, because the interpreter belongs to the user's environment; `orjson` is used if that has it.

A frame, in both directions:

    1 byte   kind
    3 bytes  nothing
    4 bytes  number of the request that it is about, big endian; 0 if about none
    4 bytes  length of the meta part, big endian
    4 bytes  length of the body, big endian
    meta     text in UTF-8, mostly JSON
    body     raw bytes

From the replica:

    i  init: {"path", "python_path", "project", "config", "threads", "batching"}   first, once
    p  predict: request id, line feed, content type, line feed, JSON of [headers, query] if the predictor wants either
    b  a batch: JSON list of [request id, content type, length of the body, headers, query]; the bodies one after the other
    c  cancel: nobody waits for the answer any more
    k  credit: this many more pieces of a stream may be sent (the meta part is a decimal number)
    s  stop: answer what was received, then exit 0
    end of stream, unless after stop; socket closed, at any time: the replica is gone: exit at once

From the worker:

    r  ready: {"headers", "async", "hook"}: whether headers or query are wanted, whether requests can be cancelled,
       whether a `d` follows every answer; as body, JSON of what the predictor says of itself: {"description",
       "payload", "reply", "schemas"}, each only if there is something to say
    f  failed: {"stage": "import" | "class" | "init", "message", "traceback"}, and then exit 1
    R  result: the content type, or {"status", "headers": [[name, value], ...]}; body
    B  result of a batch: JSON list of {"length"} + what an R or an E has; the bodies one after the other
    E  error: {"kind": "bad_request" | "predictor_raised" | "bad_response" | "cancelled", "message", "traceback"}
    H  head of a stream: as R, without a body
    D  a piece of a stream: body of at most 64 KiB; at most `WINDOW` that were not credited are under way
    Z  end of a stream; an E instead cuts it
    d  done: `post_predict` has run, the thread is free again
    L  a line that was printed while a request was answered: request id, line feed, `stdout` or `stderr`; body

Answers come in the order in which they are done, told apart by their number.

With one thread, the main thread reads a frame, answers it and reads the next, so that no request is handed from thread
to thread. With more, the main thread reads and `threads` others take requests from a queue. An `async def` predictor
has one event loop, in the main thread, that reads as well. One more thread waits for the end of the stream, because
that must be noticed while all others are inside the predictor.

The predictor's code may do what Python code does: print, raise anything, read standard input (it is empty), fork, start
processes. None of that may reach the socket or end the worker. What it cannot survive is native code that crashes; the
traceback of that goes to standard error.
"""
