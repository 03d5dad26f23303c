"""S3. Bucket policies are judged in `gate`."""

from collections.abc import Callable
from typing import Any

import xmltodict
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, S3Backend

from .. import policy
from ..gate import GATE
from ..rules import fixes

Original = Callable[..., Any]


class MalformedPolicy(S3ClientError):
    code = "MalformedPolicy"

    def __init__(self, message: str):
        super().__init__(self.code, message)


@fixes.around(S3Backend, "create_bucket")
def new_bucket_defaults(original: Original, s3: Any, name: str, *arguments: Any, **named: Any) -> FakeBucket:
    """A new bucket is encrypted, blocks public access and owns what is put into it.

    AWS: AmazonS3/latest/userguide/default-encryption-faq.html
    AWS: AmazonS3/latest/userguide/create-bucket-faq.html
    """
    bucket = original(s3, name, *arguments, **named)
    bucket.encryption = {
        "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
    }
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(name, dict.fromkeys(blocks, "true"))
    bucket.ownership_rule = "BucketOwnerEnforced"
    return bucket


@fixes.around(S3Backend, "create_bucket")
def tags_of_a_new_bucket(original: Original, s3: Any, name: str, *arguments: Any, **named: Any) -> FakeBucket:
    """A bucket has the tags that it was created with.

    AWS: AmazonS3/latest/API/API_CreateBucketConfiguration.html
    """
    bucket = original(s3, name, *arguments, **named)
    if GATE.request is not None and GATE.request.action == "CreateBucket" and GATE.request.body:
        written = xmltodict.parse(GATE.request.body, force_list=("Tag",)).get("CreateBucketConfiguration") or {}
        tags = (written.get("Tags") or {}).get("Tag", [])
        if tags:
            s3.put_bucket_tagging(name, {tag["Key"]: tag["Value"] or "" for tag in tags})
    return bucket


@fixes.around(S3Backend, "put_bucket_policy")
def malformed_bucket_policy(original: Original, s3: Any, bucket_name: str, document: bytes) -> None:
    """A bucket policy that is no policy, or is about another bucket, is refused.

    AWS: AmazonS3/latest/API/API_PutBucketPolicy.html
    """
    try:
        parsed = policy.parsed(document)
    except ValueError as error:
        raise MalformedPolicy("Policies must be valid JSON and the first byte must be '{'") from error
    for problem in policy.problems(parsed, "resource"):
        raise MalformedPolicy(f"Policy is not well-formed: {problem}")
    arn = f"arn:aws:s3:::{bucket_name}"
    for statement in policy.listed(parsed["Statement"]):
        for resource in policy.listed(statement.get("Resource") or statement.get("NotResource")):
            if resource != arn and not resource.startswith(f"{arn}/"):
                raise MalformedPolicy("Policy has invalid resource")
    original(s3, bucket_name, document)
