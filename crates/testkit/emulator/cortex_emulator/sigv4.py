"""Checks Signature Version 4, in headers and in query strings.

AWS: IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from .request import AwsRequest, Signature

WINDOW = timedelta(minutes=15)

_HEX_DIGEST = re.compile(r"^[0-9a-f]{64}$")


def is_right(request: AwsRequest, signature: Signature, secret: str) -> bool:
    """Whether that secret signed this very request."""
    canonical = _canonical_request(request, signature)
    scope = f"{signature.day}/{signature.region}/{signature.service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", signature.date, scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (signature.day, signature.region, signature.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature.value)


def body_is_the_signed_one(request: AwsRequest) -> bool:
    """A digest in `x-amz-content-sha256` is the body's; other values there announce other ways of signing."""
    digest = request.header("x-amz-content-sha256") or ""
    return not _HEX_DIGEST.match(digest) or hashlib.sha256(request.body).hexdigest() == digest


def is_in_time(signature: Signature) -> bool:
    try:
        date = datetime.strptime(signature.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    age = datetime.now(UTC) - date
    if signature.presigned:
        return -WINDOW <= age <= timedelta(seconds=signature.expires)
    return -WINDOW <= age <= WINDOW and signature.date.startswith(signature.day)


def _canonical_request(request: AwsRequest, signature: Signature) -> str:
    headers = "".join(f"{name}:{' '.join((request.header(name) or '').split())}\n" for name in signature.signed_headers)
    return "\n".join(
        [
            request.method,
            _canonical_path(request.raw_path, signature.service),
            _canonical_query(request.raw_query),
            headers,
            ";".join(signature.signed_headers),
            _payload_digest(request, signature),
        ]
    )


def _canonical_path(raw: str, service: str) -> str:
    # All but S3 encode the encoded path once more.
    path = quote(unquote(raw), safe="/-_.~")
    return path if service == "s3" else quote(path, safe="/-_.~")


def _canonical_query(raw: str) -> str:
    pairs = []
    for part in raw.split("&") if raw else []:
        name, _, value = part.partition("=")
        if name != "X-Amz-Signature":
            pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _payload_digest(request: AwsRequest, signature: Signature) -> str:
    if signature.presigned and signature.service == "s3":
        return "UNSIGNED-PAYLOAD"
    return request.header("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()
