"""The bucket, what is in it, and the log group, with boto3."""

from typing import Any

from account import LOGS, S3, Attributes, tags, wait


def bucket(of: dict[str, Any]) -> Attributes:
    S3.create_bucket(Bucket=of["bucket"])
    wait(S3, "bucket_exists", Bucket=of["bucket"])
    S3.put_bucket_tagging(Bucket=of["bucket"], Tagging={"TagSet": tags(of)})
    return {"id": of["bucket"], "bucket": of["bucket"]}


def public_access_block(of: dict[str, Any]) -> Attributes:
    settings = {
        "BlockPublicAcls": of["block_public_acls"],
        "BlockPublicPolicy": of["block_public_policy"],
        "IgnorePublicAcls": of["ignore_public_acls"],
        "RestrictPublicBuckets": of["restrict_public_buckets"],
    }
    S3.put_public_access_block(Bucket=of["bucket"], PublicAccessBlockConfiguration=settings)
    return {}


def ownership_controls(of: dict[str, Any]) -> Attributes:
    rules = {"Rules": [{"ObjectOwnership": of["rule"]["object_ownership"]}]}
    S3.put_bucket_ownership_controls(Bucket=of["bucket"], OwnershipControls=rules)
    return {}


def versioning(of: dict[str, Any]) -> Attributes:
    status = {"Status": of["versioning_configuration"]["status"]}
    S3.put_bucket_versioning(Bucket=of["bucket"], VersioningConfiguration=status)
    return {}


def encryption(of: dict[str, Any]) -> Attributes:
    by = {"SSEAlgorithm": of["rule"]["apply_server_side_encryption_by_default"]["sse_algorithm"]}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by}]}
    S3.put_bucket_encryption(Bucket=of["bucket"], ServerSideEncryptionConfiguration=rules)
    return {}


def bucket_policy(of: dict[str, Any]) -> Attributes:
    S3.put_bucket_policy(Bucket=of["bucket"], Policy=of["policy"])
    return {}


def lifecycle(of: dict[str, Any]) -> Attributes:
    rules = []
    for rule in of["rule"]:
        made: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": ""}}
        if "abort_incomplete_multipart_upload" in rule:
            days = rule["abort_incomplete_multipart_upload"]["days_after_initiation"]
            made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        else:
            days = rule["noncurrent_version_expiration"]["noncurrent_days"]
            made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
        rules.append(made)
    S3.put_bucket_lifecycle_configuration(Bucket=of["bucket"], LifecycleConfiguration={"Rules": rules})
    return {}


def s3_object(of: dict[str, Any]) -> Attributes:
    S3.put_object(Bucket=of["bucket"], Key=of["key"], Body=b"\0" * 35_000)
    return {}


def log_group(of: dict[str, Any]) -> Attributes:
    LOGS.create_log_group(logGroupName=of["name"], tags=of["tags"])
    LOGS.put_retention_policy(logGroupName=of["name"], retentionInDays=of["retention_in_days"])
    return {}
