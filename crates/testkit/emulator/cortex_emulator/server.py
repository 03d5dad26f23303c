"""The server: moto's, with our checks before it, a record of calls, and errors that SDKs understand.

Requests are handled one at a time: moto's models are plain dictionaries, and the rules look at several of them.
"""

import io
import json
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

from . import control, price_list, scheduler
from .calls import CALLS
from .clock import CLOCK
from .errors import AwsError, render
from .gate import GATE
from .request import AwsRequest
from .rules import fixes

Reply = tuple[int, dict[str, str], bytes]

_CODE = re.compile(rb"<Code>([^<]*)</Code>|\"__type\":\s*\"([^\"]*)\"")


class Handler(MotoRequestHandler):
    # Connections are kept, as AWS keeps them; every reply has a length.
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Application:
    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = get_input_stream(environ).read()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        with self._lock:
            if environ["PATH_INFO"].startswith(control.PREFIX):
                status, headers, content = control.answer(environ, body)
            else:
                status, headers, content = self._answer(AwsRequest(environ, body))
        if environ["REQUEST_METHOD"] != "HEAD":
            headers["content-length"] = str(len(content))
        start_response(f"{status} -", list(headers.items()))
        return [content]

    def _answer(self, request: AwsRequest) -> Reply:
        started = time.perf_counter()
        try:
            CLOCK.settle()
            scheduler.tick()
            status, headers, content = (
                self._refusal(request) or price_list.answer(request) or self._ask_moto(request)
            )
        except Exception as error:
            status, headers, content = render(request.service, request.method, _as_error(request, error))
        finally:
            GATE.request = None
        found = _CODE.search(content) if status >= 400 else None
        CALLS.add(
            service=request.service,
            region=request.region,
            action=request.action,
            resource=request.s3_path if request.service == "s3" else "",
            access_key_id=request.signature.access_key_id if request.signature else "",
            principal=GATE.principal.arn,
            status=status,
            code=(found[1] or found[2] or b"").decode() if found else "",
            milliseconds=round((time.perf_counter() - started) * 1000, 3),
        )
        return status, headers, content

    def _refusal(self, request: AwsRequest) -> Reply | None:
        try:
            GATE.enter(request)
        except AwsError as error:
            return render(request.service, request.method, error)
        return None

    def _ask_moto(self, request: AwsRequest) -> Reply:
        _present_as_signed(request)
        try:
            chunks, status, headers = run_wsgi_app(self._moto, request.path_style(), buffered=True)
            content = b"".join(chunks)
        except Exception as error:
            if not proper_errors.active:
                return 500, {"content-type": "text/html"}, b"<!doctype html><title>Internal Server Error</title>"
            return render(request.service, request.method, _as_error(request, error))
        code = int(status.split()[0])
        plain = {name.lower(): value for name, value in headers.items()}
        # Without content it is an answer to HEAD, whose type says nothing.
        html = content and plain.get("content-type", "").startswith("text/html")
        if proper_errors.active and code in (404, 405) and html:
            return render(request.service, request.method, _unknown(request))
        return code, plain, content


def _present_as_signed(request: AwsRequest) -> None:
    """Moto tells the service by the Authorization header alone; presigned requests to STS have none."""
    signature = request.signature
    if presigned.active and signature and signature.presigned and request.service == "sts":
        scope = f"{signature.access_key_id}/{signature.day}/{signature.region}/{request.service}/aws4_request"
        request.environ["HTTP_AUTHORIZATION"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={signature.value}"
        )


def _as_error(request: AwsRequest, error: Exception) -> AwsError:
    if isinstance(error, AwsError):
        return error
    if isinstance(error, NotImplementedError):
        filters = re.match(r"The filter '([^']*)'", str(error))
        if filters:
            return AwsError("InvalidParameterValue", f"The filter '{filters[1]}' is invalid")
        print(f"emulator: {request.service}:{request.action}: {error}", file=sys.stderr)
        return _unknown(request)
    traceback.print_exception(error)
    return AwsError("InternalFailure", f"{type(error).__name__}: {error}", 500)


def _unknown(request: AwsRequest) -> AwsError:
    message = f"The action {request.action or request.method} is not valid for this web service (or this emulator)."
    if request.service == "s3":
        return AwsError("NotImplemented", message, 501)
    query = not request.header("x-amz-target")
    return AwsError("InvalidAction" if query else "UnknownOperationException", message)


@fixes.rule
def proper_errors() -> None:
    """What is not implemented, an unknown operation or filter, is refused with an error code; nothing is answered in HTML.

    AWS: AWSEC2/latest/APIReference/errors-overview.html
    """


@fixes.rule
def presigned() -> None:
    """A presigned request to STS is one to STS.

    AWS: IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """


def serve(port: int, announce: Callable[[dict[str, Any]], None]) -> None:
    """Until the process ends. `announce` is called when connections are accepted."""
    listening: BaseWSGIServer = make_server("127.0.0.1", port, Application(), threaded=True, request_handler=Handler)
    control.settle(f"http://127.0.0.1:{listening.port}")
    announce(json.loads(json.dumps(control.welcome())))
    listening.serve_forever()
