"""One request as the rules before moto see it: which service, which operation, signed by whom and how."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.core.request import Request
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

# Names in credential scopes, and botocore's names for the same.
_MODELS = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
_STS_VERSION = "2011-06-15"
# AWS: AmazonS3/latest/userguide/VirtualHosting.html
_BUCKET_HOST = re.compile(r"^(?P<bucket>.+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?(?::\d+)?$")
_SCOPE = re.compile(r"^(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request$")


@dataclass(frozen=True)
class Signature:
    """What a request says of its own signature."""

    access_key_id: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    date: str
    token: str | None
    presigned: bool
    expires: int = 0


@dataclass
class AwsRequest:
    environ: dict[str, Any]
    body: bytes
    method: str = field(init=False)
    raw_path: str = field(init=False)
    raw_query: str = field(init=False)

    def __post_init__(self) -> None:
        self.method = self.environ["REQUEST_METHOD"]
        uri = self.environ.get("RAW_URI") or self.environ.get("REQUEST_URI") or self.environ.get("PATH_INFO", "/")
        self.raw_path = uri.partition("?")[0] or "/"
        self.raw_query = self.environ.get("QUERY_STRING", "")

    def header(self, name: str) -> str | None:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        return self.environ.get(key)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        """The parameters of a query-protocol request, wherever they are."""
        if (self.header("content-type") or "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)) or self.query
        return self.query

    @cached_property
    def json(self) -> dict[str, Any]:
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @cached_property
    def signature(self) -> Signature | None:
        """None when it is not signed, or not in a way that AWS knows."""
        authorization = self.header("authorization") or ""
        if authorization.startswith("AWS4-HMAC-SHA256 "):
            return self._header_signature(authorization)
        if self.query.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
            return self._query_signature()
        return None

    def _header_signature(self, authorization: str) -> Signature | None:
        parts = (part.strip().partition("=") for part in authorization[len("AWS4-HMAC-SHA256 ") :].split(","))
        fields = {name: value for name, _, value in parts}
        scope = _SCOPE.match(fields.get("Credential", ""))
        if scope is None:
            return None
        return Signature(
            access_key_id=scope["key"],
            day=scope["day"],
            region=scope["region"],
            service=scope["service"].lower(),
            signed_headers=tuple(fields.get("SignedHeaders", "").split(";")),
            value=fields.get("Signature", ""),
            date=self.header("x-amz-date") or "",
            token=self.header("x-amz-security-token"),
            presigned=False,
        )

    def _query_signature(self) -> Signature | None:
        scope = _SCOPE.match(self.query.get("X-Amz-Credential", ""))
        if scope is None:
            return None
        expires = self.query.get("X-Amz-Expires", "0")
        return Signature(
            access_key_id=scope["key"],
            day=scope["day"],
            region=scope["region"],
            service=scope["service"].lower(),
            signed_headers=tuple(self.query.get("X-Amz-SignedHeaders", "").split(";")),
            value=self.query.get("X-Amz-Signature", ""),
            date=self.query.get("X-Amz-Date", ""),
            token=self.query.get("X-Amz-Security-Token"),
            presigned=True,
            expires=int(expires) if expires.isdigit() else 0,
        )

    @property
    def service(self) -> str:
        """The service by the name that signatures use; what cannot be told is S3's, as moto has it."""
        if self.form.get("Version") == _STS_VERSION and "Action" in self.form:
            return "sts"
        return self.signature.service if self.signature else "s3"

    @property
    def region(self) -> str:
        return self.signature.region if self.signature else "us-east-1"

    @cached_property
    def action(self) -> str:
        """The operation, by its name in AWS's own models; empty when it is none."""
        target = self.header("x-amz-target")
        if target:
            return target.rpartition(".")[2]
        if self.service != "s3" and "Action" in self.form:
            return self.form["Action"]
        try:
            operation, _ = get_service_router(self.model_name).match(Request(self.path_style()))
        except (NotFound, NotImplementedError, KeyError, ValueError):
            return ""
        return str(operation.name)

    @property
    def model_name(self) -> str:
        return _MODELS.get(self.service, self.service)

    @property
    def parameters(self) -> dict[str, Any]:
        """What was asked, unparsed: flat for query protocols, nested for JSON."""
        return self.json if self.header("x-amz-target") else self.form

    @cached_property
    def s3_path(self) -> str:
        """S3 only: `/bucket/key`, encoded, also of requests that name the bucket in their host."""
        found = _BUCKET_HOST.match(self.header("host") or "")
        return f"/{found['bucket']}{self.raw_path}" if found else self.raw_path

    def path_style(self) -> dict[str, Any]:
        """The request as moto gets it: the bucket is in the path, whatever the host was that was signed."""
        environ = dict(self.environ)
        if self.service == "s3" and self.s3_path != self.raw_path:
            environ["HTTP_HOST"] = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
            environ["PATH_INFO"] = unquote(self.s3_path, "latin-1")
            uri = f"{self.s3_path}?{self.raw_query}" if self.raw_query else self.s3_path
            environ["RAW_URI"] = environ["REQUEST_URI"] = uri
        return environ

    @cached_property
    def bucket(self) -> str:
        return unquote(self.s3_path).lstrip("/").partition("/")[0]

    @cached_property
    def key(self) -> str:
        return unquote(self.s3_path).lstrip("/").partition("/")[2]

    def knows(self, action: str) -> bool:
        return action in get_service_model(self.model_name).operation_names
