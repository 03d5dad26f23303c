"""S3."""

import json
import re
import threading
import unittest
import urllib.error
import urllib.request
from unittest import mock
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ground import ACCOUNT, EmulatorCase, about, ask, client, given, server, user

BUCKET = "bucket-of-tests"
ARNS = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def deny(condition, action="s3:*", resource=None):
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource or ARNS,
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TLS_ONLY = deny({"Bool": {"aws:SecureTransport": "false"}})


class Buckets(EmulatorCase):
    @about("new_bucket_defaults", mode="plain")
    def test_a_new_bucket_is_closed_and_encrypted(self):
        self.bucket()
        block = self.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
        self.assertEqual(set(block.values()), {True})
        rules = self.s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
        self.assertEqual(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
        owner = self.s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
        self.assertEqual(owner[0]["ObjectOwnership"], "BucketOwnerEnforced")

    @about("tags_of_a_new_bucket", mode="plain")
    def test_a_new_bucket_has_its_tags(self):
        tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": tags})
        self.assertEqual(self.s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"], tags)

    @about("bucket_names")
    def test_names_have_a_form(self):
        for name in ("Bad_Name", "bad..name", "192.168.1.1", "-bad"):
            # botocore checks names too, and less strictly.
            with self.refused("InvalidBucketName"), mock.patch("botocore.handlers.VALID_BUCKET", re.compile(".*")):
                self.s3.create_bucket(Bucket=name)

    @about("bucket_regions")
    def test_a_bucket_answers_in_its_region(self):
        self.bucket()
        with self.refused("AuthorizationHeaderMalformed"):
            elsewhere = client("s3", region="eu-west-1")
            # Or botocore would follow the bucket to its region.
            elsewhere.meta.events.unregister("needs-retry.s3")
            elsewhere.get_object(Bucket=BUCKET, Key="a")

    @about("object_pages")
    def test_lists_are_in_pages(self):
        self.bucket()
        for number in range(120):
            self.s3.put_object(Bucket=BUCKET, Key=f"{number:03}", Body=b"")
        page = self.s3.list_objects_v2(Bucket=BUCKET)
        self.assertTrue(page["IsTruncated"])
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        self.assertEqual(sum(len(each["Contents"]) for each in pages), 120)


class BucketPolicies(EmulatorCase):
    def plain_http(self, method="GET", key="a"):
        """The status of a request that came without TLS."""
        url = self.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        request = urllib.request.Request(url, headers={"x-forwarded-proto": "http"}, method=method)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    @about("bucket_policy_conditions", mode="plain")
    def test_tls_only(self):
        self.bucket()
        self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=TLS_ONLY)
        self.s3.get_object(Bucket=BUCKET, Key="a")
        self.assertEqual(self.plain_http(), 403)

    @about("bucket_policy_conditions", mode="plain")
    def test_a_prefix_for_one_role(self):
        self.bucket()
        role = self.role("control")
        private = f"arn:aws:s3:::{BUCKET}/private/*"
        others = {"StringNotLike": {"aws:PrincipalArn": [role]}}
        self.s3.put_object(Bucket=BUCKET, Key="private/a", Body=b"x")
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=deny(others, "s3:GetObject", private))
        mine = client("s3", ask("roles/assume", role="control"))
        mine.get_object(Bucket=BUCKET, Key="private/a")
        with self.refused("AccessDenied"):
            self.s3.get_object(Bucket=BUCKET, Key="private/a")
        with self.refused("AccessDenied"):
            client("s3", user("alice")).get_object(Bucket=BUCKET, Key="private/a")
        self.s3.put_object(Bucket=BUCKET, Key="private/b", Body=b"x")

    @about("bucket_policy_conditions", mode="plain")
    def test_other_conditions(self):
        self.bucket()
        other = ask("users/create", name="eve", account="999999999999")
        for condition in (
            {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}},
            {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:*"}},
        ):
            self.s3.put_bucket_policy(Bucket=BUCKET, Policy=deny(condition))
            self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
            with self.refused("AccessDenied"):
                client("s3", other).put_object(Bucket=BUCKET, Key="a", Body=b"x")

    @about("bucket_policy_conditions", mode="plain")
    def test_keys_of_a_batch_are_judged_one_by_one(self):
        self.bucket()
        for key in ("a", "private/a", "private/b"):
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        self.role("control")
        mine = client("s3", ask("roles/assume", role="control"))
        others = {"StringNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/control"]}}
        policy = deny(others, "s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/private/*")
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
        objects = {"Objects": [{"Key": "a"}, {"Key": "private/a"}]}
        done = self.s3.delete_objects(Bucket=BUCKET, Delete=objects)
        self.assertEqual([each["Key"] for each in done["Deleted"]], ["a"])
        self.assertEqual([each["Code"] for each in done["Errors"]], ["AccessDenied"])
        done = mine.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "private/b"}]})
        self.assertNotIn("Errors", done)

    @about("malformed_bucket_policy", mode="plain")
    def test_a_policy_is_one_about_this_bucket(self):
        self.bucket()
        condition = {"Bool": {"aws:SecureTransport": "false"}}
        for policy in ("{", "{}", deny(condition, resource="arn:aws:s3:::other/*"), deny({"NoSuch": {"a": "b"}})):
            with self.refused("MalformedPolicy"):
                self.s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)

    @about("public_policies")
    def test_a_public_policy_is_blocked(self):
        self.bucket()
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": ARNS[1]}
        with self.refused("AccessDenied"):
            self.s3.put_bucket_policy(
                Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            )


class Objects(EmulatorCase):
    @about("body_digests")
    def test_a_wrong_digest_is_refused(self):
        self.bucket()
        for given in ({"ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, {"ChecksumSHA256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}):
            with self.refused("BadDigest"):
                self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", **given)

    @given(auth="full")
    def test_one_of_many_creates(self):
        """If-None-Match: also with full checks, and large bodies, there is one winner."""
        self.bucket()
        won, lost = [], []

        def put():
            s3 = client("s3")
            try:
                s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 100_000, IfNoneMatch="*")
                won.append(1)
            except s3.exceptions.ClientError as error:
                lost.append(error.response["Error"]["Code"])

        threads = [threading.Thread(target=put) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(won), set(lost)), (1, {"PreconditionFailed"}))

    @given(auth="full")
    def test_conditional_writes(self):
        self.bucket()
        first = self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["ETag"]
        self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"2", IfMatch=first)
        with self.refused("PreconditionFailed"):
            self.s3.put_object(Bucket=BUCKET, Key="a", Body=b"3", IfMatch=first)
        with self.refused("NoSuchKey", "404"):
            self.s3.put_object(Bucket=BUCKET, Key="b", Body=b"3", IfMatch=first)

    @given(auth="full")
    def test_multipart_and_odd_keys(self):
        self.bucket()
        key = "a b/ü+=&c@d"
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        where = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
        part = self.s3.upload_part(**where, PartNumber=1, Body=b"x" * 6_000_000)["ETag"]
        self.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
        self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], 6_000_000)
        self.s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": key})
        self.assertEqual(len(self.s3.list_objects_v2(Bucket=BUCKET)["Contents"]), 2)

    @given(auth="full")
    def test_the_bucket_may_be_in_the_host(self):
        self.bucket()
        for key in ("one", "bin/a b"):
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
            host = f"{BUCKET}.s3.us-east-1.amazonaws.com"
            request = AWSRequest("GET", f"http://{host}/{quote(key)}")
            administrator = server().welcome["admin"]
            who = Credentials(administrator["access_key_id"], administrator["secret_access_key"])
            S3SigV4Auth(who, "s3", "us-east-1").add_auth(request)
            url = f"{server().endpoint}/{quote(key)}"
            sent = urllib.request.Request(url, headers={**dict(request.headers.items()), "Host": host})
            with urllib.request.urlopen(sent) as reply:
                self.assertEqual(reply.read(), key.encode())
        last = ask("calls")["calls"][-1]
        self.assertEqual((last["action"], last["resource"]), ("GetObject", f"/{BUCKET}/bin/a%20b"))


if __name__ == "__main__":
    unittest.main()
