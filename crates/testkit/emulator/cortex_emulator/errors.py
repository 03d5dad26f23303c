"""Errors as AWS words them on the wire, for what is refused before moto sees it.

Rules inside moto raise `AwsError` too: it is one of moto's exceptions, and moto renders it.
"""

import json
import uuid
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException

# Names in credential scopes that are not the names of botocore's models.
_PROTOCOLS = {
    "ec2": "ec2",
    "s3": "s3",
    **dict.fromkeys(
        ["autoscaling", "cloudformation", "elasticloadbalancing", "iam", "monitoring", "rds", "sns", "sqs", "sts"],
        "query",
    ),
}


class AwsError(ServiceException):
    """`status` counts only where we render it ourselves."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(code, message)
        self.status = status


def render(service: str, method: str, error: AwsError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the reply."""
    request_id = str(uuid.uuid4())
    protocol = _PROTOCOLS.get(service, "json")
    code, message = escape(error.code), escape(error.message)
    headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
    if protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif protocol == "query":
        kind = "Receiver" if error.status >= 500 else "Sender"
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    elif protocol == "s3":
        headers = {"content-type": "application/xml", "x-amz-request-id": request_id}
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        )
    else:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": request_id}
        headers["x-amzn-errortype"] = error.code
        body = json.dumps({"__type": error.code, "message": error.message})
    return error.status, headers, b"" if method == "HEAD" else body.encode()
