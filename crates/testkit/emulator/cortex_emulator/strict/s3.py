"""S3."""

import base64
import hashlib
import ipaddress
import re
import zlib
from collections.abc import Callable
from typing import Any

from moto import settings
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.s3.utils import bucket_policy_is_public

from ..errors import AwsError
from ..gate import GATE
from ..rules import strict

Original = Callable[..., Any]

_BUCKET_NAME = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)")


class Refused(S3ClientError):
    def __init__(self, code: str, message: str):
        super().__init__(code, message)


@strict.around(S3Backend, "create_bucket")
def bucket_names(original: Original, s3: Any, bucket_name: str, *arguments: Any, **named: Any) -> Any:
    """A bucket's name is 3 to 63 lower-case letters, digits, dots and hyphens, and no address.

    AWS: AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not _BUCKET_NAME.fullmatch(bucket_name) or _is_address(bucket_name):
        raise Refused("InvalidBucketName", "The specified bucket is not valid.")
    return original(s3, bucket_name, *arguments, **named)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@strict.around(S3Response, "setup_class")
def bucket_regions(original: Original, response: Any, *arguments: Any, **named: Any) -> None:
    """A bucket answers in its own Region.

    AWS: AmazonS3/latest/API/ErrorResponses.html
    """
    original(response, *arguments, **named)
    request = GATE.request
    if request is None or request.signature is None or not response.bucket_name or request.action == "CreateBucket":
        return
    partition, account = s3_backends.bucket_accounts.get(response.bucket_name, (None, None))
    bucket = s3_backends[account][partition].buckets.get(response.bucket_name) if account else None
    if bucket is not None and bucket.region_name != request.signature.region:
        message = (
            f"The authorization header is malformed; the region '{request.signature.region}' is wrong; expecting "
            f"'{bucket.region_name}'"
        )
        raise AwsError("AuthorizationHeaderMalformed", message)


@strict.around(S3Response, "put_object")
def body_digests(original: Original, response: Any) -> Any:
    """A body that is not what its checksum says is refused.

    AWS: AmazonS3/latest/userguide/checking-object-integrity.html
    """
    headers, body = response.headers, response.body or b""
    found = {
        "content-md5": lambda: hashlib.md5(body, usedforsecurity=False).digest(),
        "x-amz-checksum-sha256": lambda: hashlib.sha256(body).digest(),
        "x-amz-checksum-sha1": lambda: hashlib.sha1(body, usedforsecurity=False).digest(),
        "x-amz-checksum-crc32": lambda: zlib.crc32(body).to_bytes(4, "big"),
    }
    for name, digest in found.items():
        if headers.get(name) and headers[name] != base64.b64encode(digest()).decode():
            raise Refused("BadDigest", f"The {name} you specified did not match the calculated checksum.")
    return original(response)


@strict.around(S3Backend, "put_bucket_policy")
def public_policies(original: Original, s3: Any, bucket_name: str, policy: bytes) -> None:
    """A bucket that blocks public policies takes none.

    AWS: AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    block = s3.get_bucket(bucket_name).public_access_block
    if block is not None and str(block.block_public_policy).lower() == "true" and bucket_policy_is_public(policy):
        message = "User is not authorized to perform: s3:PutBucketPolicy because public policies are blocked by the BlockPublicPolicy setting"
        raise Refused("AccessDenied", message)
    original(s3, bucket_name, policy)


@strict.around(settings, "get_s3_default_max_keys")
def object_pages(original: Original) -> int:
    """A list of objects is answered in parts. (Of 100, where S3 has 1,000.)

    AWS: AmazonS3/latest/API/API_ListObjectsV2.html
    """
    return min(original(), 100)
