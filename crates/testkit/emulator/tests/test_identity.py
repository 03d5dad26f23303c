"""Signatures, keys, sessions, policies: STS and IAM."""

import datetime
import json
import re
import unittest
import urllib.error
import urllib.parse
import urllib.request
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ground import ACCOUNT, REGION, EmulatorCase, about, allow, ask, client, given, server, trust, user

EVERYTHING = allow("*")
DOCUMENT = json.dumps(allow("s3:GetObject"))


class Signed:
    """A GetCallerIdentity as one may sign it, and change it after that."""

    def __init__(self, who, method="POST", headers=None, age=0, region=REGION, service="sts"):
        self.method = method
        self.body = b"Action=GetCallerIdentity&Version=2011-06-15" if method == "POST" else b""
        query = "" if self.body else "?Action=GetCallerIdentity&Version=2011-06-15"
        given = {"Host": f"sts.{REGION}.amazonaws.com", "X-Cortex-Cluster": "c", **(headers or {})}
        if self.body:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        request = AWSRequest(method, f"https://sts.{REGION}.amazonaws.com/{query}", data=self.body, headers=given)
        credentials = Credentials(who["access_key_id"], who["secret_access_key"], who.get("session_token"))
        date = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(seconds=age)
        with mock.patch("botocore.auth.get_current_datetime", return_value=date):
            botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
        self.path = f"/{query}"
        self.headers = dict(request.headers.items())

    def send(self):
        """Status and body."""
        request = urllib.request.Request(
            server().endpoint + self.path, self.body or None, self.headers, method=self.method
        )
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Signatures(EmulatorCase):
    def is_caller(self, signed, arn):
        status, body = signed.send()
        self.assertEqual(status, 200, body)
        self.assertIn(f"<Arn>{arn}</Arn>", body)

    def is_refused(self, signed, code, status=403):
        got, body = signed.send()
        self.assertEqual((got, f"<Code>{code}</Code>" in body), (status, True), body)

    @given(mode="plain")
    def test_users_and_roles_are_known(self):
        alice = user("alice")
        arn = f"arn:aws:iam::{ACCOUNT}:user/alice"
        self.is_caller(Signed(alice), arn)
        self.is_caller(Signed(alice, "GET"), arn)
        self.role("dev")
        session = ask("roles/assume", role="dev", session="s1")
        self.is_caller(Signed(session), f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/s1")

    @given(mode="plain")
    def test_what_was_changed_is_refused(self):
        alice = user("alice")
        signed = Signed(alice)
        signed.body += b"&More=1"
        self.is_refused(signed, "SignatureDoesNotMatch")
        for header, value in (("X-Cortex-Cluster", "d"), ("Host", "sts.eu-west-1.amazonaws.com")):
            signed = Signed(alice)
            signed.headers[header] = value
            self.is_refused(signed, "SignatureDoesNotMatch")
        self.is_refused(Signed({**alice, "secret_access_key": "wrong"}), "SignatureDoesNotMatch")
        self.is_refused(Signed({**alice, "access_key_id": "AKIA0000000000000000"}), "InvalidClientTokenId")
        self.is_refused(Signed(alice, service="s3"), "SignatureDoesNotMatch")
        self.is_refused(Signed(alice, region="eu-west-1"), "SignatureDoesNotMatch")

    @given(mode="plain")
    def test_a_session_needs_its_token(self):
        self.role("dev")
        session = ask("roles/assume", role="dev")
        self.is_refused(Signed({**session, "session_token": "other"}), "InvalidClientTokenId")
        self.is_refused(Signed({**session, "session_token": None}), "InvalidClientTokenId")

    @given(mode="plain")
    def test_unsigned_is_refused(self):
        signed = Signed(user("alice"))
        del signed.headers["Authorization"]
        self.is_refused(signed, "MissingAuthenticationToken")

    @about("date_window")
    def test_dates_are_near(self):
        alice = user("alice")
        for age in (1000, -1000, 86400):
            self.is_refused(Signed(alice, age=age), "SignatureDoesNotMatch")
        self.assertEqual(Signed(alice, age=600).send()[0], 200)

    @about("inactive_keys")
    def test_an_inactive_key_is_none(self):
        alice = user("alice")
        ask("keys/deactivate", access_key_id=alice["access_key_id"])
        self.is_refused(Signed(alice), "InvalidClientTokenId")
        ask("keys/activate", access_key_id=alice["access_key_id"])
        self.assertEqual(Signed(alice).send()[0], 200)

    @given()
    def test_a_deleted_key_is_none(self):
        alice = user("alice")
        ask("keys/delete", access_key_id=alice["access_key_id"])
        self.is_refused(Signed(alice), "InvalidClientTokenId")

    @given()
    def test_a_deleted_user_is_nobody_and_comes_back_as_another(self):
        alice = user("alice")
        before = Signed(alice).send()[1]
        ask("users/delete", name="alice")
        self.is_refused(Signed(alice), "InvalidClientTokenId")
        after = Signed(user("alice")).send()[1]
        ids = [re.search("AIDA[A-Z0-9]+", text).group() for text in (before, after)]
        self.assertNotEqual(ids[0], ids[1])

    @about("session_end")
    def test_sessions_end(self):
        self.role("dev")
        session = ask("roles/assume", role="dev")
        ask("keys/expire", access_key_id=session["access_key_id"])
        self.is_refused(Signed(session), "ExpiredToken")

    @about("presigned", mode="plain")
    def test_presigned_is_to_sts(self):
        credentials = server().welcome["admin"]
        sts = client("sts", credentials)
        url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
        with urllib.request.urlopen(url) as reply:
            self.assertIn("user/emulator-admin", reply.read().decode())

    @about("caller_identity", mode="plain")
    def test_root_and_federated_users(self):
        self.is_caller(Signed(ask("root/create")), f"arn:aws:iam::{ACCOUNT}:root")
        self.is_caller(Signed(ask("federated/create", name="bob")), f"arn:aws:sts::{ACCOUNT}:federated-user/bob")

    @given(mode="plain")
    def test_users_of_another_account(self):
        other = ask("users/create", name="eve", account="999999999999")
        self.is_caller(Signed(other), "arn:aws:iam::999999999999:user/eve")

    @about("session_tokens", mode="plain")
    def test_session_tokens_are_the_users(self):
        made = client("sts", user("alice")).get_session_token()["Credentials"]
        session = {
            "access_key_id": made["AccessKeyId"],
            "secret_access_key": made["SecretAccessKey"],
            "session_token": made["SessionToken"],
        }
        self.is_caller(Signed(session), f"arn:aws:iam::{ACCOUNT}:user/alice")


class Roles(EmulatorCase):
    def assume(self, role, who=None, **more):
        return client("sts", who).assume_role(RoleArn=role, RoleSessionName="session", **more)["Credentials"]

    @about("assume_role_trust")
    def test_a_role_is_assumed_by_those_it_trusts(self):
        with self.refused("AccessDenied"):
            self.assume(self.role("node"))
        with self.refused("AccessDenied"):
            self.assume(f"arn:aws:iam::{ACCOUNT}:role/none")
        alice = user("alice")
        mine = ask("roles/create", name="mine", trust=trust(AWS=alice["arn"]))["arn"]
        self.assume(mine, alice)
        with self.refused("AccessDenied"):
            self.assume(mine, user("bob"))
        with self.refused("ValidationError"):
            self.assume(mine, alice, DurationSeconds=7200)

    @given(auth="full")
    def test_an_account_trusted_gives_the_permission_itself(self):
        role = ask("roles/create", name="dev", trust=trust(AWS=f"arn:aws:iam::{ACCOUNT}:root"))["arn"]
        with self.refused("AccessDenied"):
            self.assume(role, user("alice"))
        self.assume(role, user("bob", allow("sts:AssumeRole", resource=role)))

    @given()
    def test_instances_have_the_role_of_their_profile(self):
        instance = self.instance(self.subnet(self.vpc()), IamInstanceProfile={"Name": self.profile()})
        mine = ask("instances/credentials", instance_id=instance)
        arn = client("sts", mine).get_caller_identity()["Arn"]
        self.assertEqual(arn, f"arn:aws:sts::{ACCOUNT}:assumed-role/node/{instance}")


class Policies(EmulatorCase):
    @given(mode="plain", auth="full")
    def test_actions_resources_and_conditions_count(self):
        self.bucket()
        read = allow("s3:GetObject", resource="arn:aws:s3:::bucket-of-tests/bin/*")
        write = allow("s3:PutObject", resource="arn:aws:s3:::bucket-of-tests/${aws:username}/*")
        alice = client("s3", user("alice", read, write))
        self.s3.put_object(Bucket="bucket-of-tests", Key="bin/a", Body=b"x")
        alice.get_object(Bucket="bucket-of-tests", Key="bin/a")
        alice.put_object(Bucket="bucket-of-tests", Key="alice/a", Body=b"x")
        with self.refused("AccessDenied"):
            alice.get_object(Bucket="bucket-of-tests", Key="alice/a")
        with self.refused("AccessDenied"):
            alice.put_object(Bucket="bucket-of-tests", Key="bob/a", Body=b"x")
        with self.refused("UnauthorizedOperation"):
            client("ec2", user("bob")).describe_vpcs()
        tagged = allow("ec2:DeleteVpc", Condition={"StringEquals": {"aws:ResourceTag/mine": "yes"}})
        carol = client("ec2", user("carol", tagged))
        vpc = self.vpc(gateway=False)
        with self.refused("UnauthorizedOperation"):
            carol.delete_vpc(VpcId=vpc)
        self.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "mine", "Value": "yes"}])
        carol.delete_vpc(VpcId=vpc)

    @given(mode="plain", auth="full")
    def test_a_denial_wins_and_the_wrong_secret_is_refused_everywhere(self):
        deny = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}}
        alice = user("alice", EVERYTHING, deny)
        with self.refused("UnauthorizedOperation"):
            client("ec2", alice).describe_vpcs()
        client("s3", alice).list_buckets()
        wrong = {**alice, "secret_access_key": "wrong"}
        for service, call, code in (
            ("ec2", "describe_vpcs", "AuthFailure"),
            ("s3", "list_buckets", "SignatureDoesNotMatch"),
            ("ecs", "list_clusters", "InvalidSignatureException"),
            ("iam", "list_roles", "SignatureDoesNotMatch"),
        ):
            with self.refused(code):
                getattr(client(service, wrong), call)()

    @about("simulate_principal_policy", mode="plain")
    def test_permissions_are_simulated(self):
        alice = user("alice", allow("ec2:CreateVpc"))
        found = self.iam.simulate_principal_policy(
            PolicySourceArn=alice["arn"], ActionNames=["ec2:CreateVpc", "ec2:DeleteVpc"]
        )["EvaluationResults"]
        self.assertEqual([each["EvalDecision"] for each in found], ["allowed", "implicitDeny"])

    @about("dry_run", mode="plain")
    def test_a_dry_run_does_nothing(self):
        before = ask("inventory")
        with self.refused("DryRunOperation"):
            self.ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
        self.assertEqual(ask("inventory"), before)


class Dependent(EmulatorCase):
    @about("pass_role", auth="full")
    def test_passing_a_role_needs_a_permission(self):
        self.profile()
        subnet, image = self.subnet(self.vpc()), self.image()
        alice = client("ec2", user("alice", allow("ec2:*")))
        launch = {
            "SubnetId": subnet,
            "ImageId": image,
            "InstanceType": "t3.small",
            "MinCount": 1,
            "MaxCount": 1,
            "IamInstanceProfile": {"Name": "node"},
        }
        with self.refused("UnauthorizedOperation"):
            alice.run_instances(**launch)
        to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
        passing = allow("iam:PassRole", resource=f"arn:aws:iam::{ACCOUNT}:role/node", Condition=to_ec2)
        client("ec2", user("bob", allow("ec2:*"), passing)).run_instances(**launch)

    @about("pass_role", auth="full")
    def test_also_of_a_template_and_of_a_task_definition(self):
        template = self.template(IamInstanceProfile={"Name": self.profile()})
        subnet = self.subnet(self.vpc())
        policies = allow("autoscaling:*", "ec2:*", "ecs:*", "iam:CreateServiceLinkedRole")
        alice = user("alice", policies)
        with self.refused("AccessDenied"):
            client("autoscaling", alice).create_auto_scaling_group(
                AutoScalingGroupName="nodes",
                MinSize=0,
                MaxSize=1,
                VPCZoneIdentifier=subnet,
                LaunchTemplate={"LaunchTemplateId": template},
            )
        with self.refused("AccessDeniedException"):
            client("ecs", alice).register_task_definition(
                family="f",
                containerDefinitions=[{"name": "a", "image": "a", "memory": 64}],
                taskRoleArn=self.role("task", "ecs-tasks.amazonaws.com"),
            )

    @about("tag_on_create", auth="full")
    def test_tagging_needs_a_permission(self):
        tags = [{"ResourceType": "vpc", "Tags": [{"Key": "mine", "Value": "yes"}]}]
        create = {"CidrBlock": "10.0.0.0/16", "TagSpecifications": tags}
        with self.refused("UnauthorizedOperation"):
            client("ec2", user("alice", allow("ec2:CreateVpc"))).create_vpc(**create)
        by_create = {"StringEquals": {"ec2:CreateAction": "CreateVpc", "aws:RequestTag/mine": "yes"}}
        bob = user("bob", allow("ec2:CreateVpc"), allow("ec2:CreateTags", Condition=by_create))
        client("ec2", bob).create_vpc(**create)
        with self.refused("AccessDeniedException"):
            carol = client("logs", user("carol", allow("logs:CreateLogGroup")))
            carol.create_log_group(logGroupName="g", tags={"mine": "yes"})

    @about("linked_roles", auth="full")
    def test_the_first_cluster_makes_the_services_role(self):
        with self.refused("AccessDeniedException"):
            client("ecs", user("alice", allow("ecs:*"))).create_cluster(clusterName="c")
        linked = allow("iam:CreateServiceLinkedRole")
        client("ecs", user("bob", allow("ecs:*"), linked)).create_cluster(clusterName="c")
        self.assertEqual(list(ask("inventory")["service_linked_role"]), ["AWSServiceRoleForECS"])
        client("ecs", user("carol", allow("ecs:*"))).create_cluster(clusterName="d")

    @about("pass_role", auth="full")
    def test_also_to_put_it_into_a_profile(self):
        self.role("node")
        self.iam.create_instance_profile(InstanceProfileName="node")
        put = {"InstanceProfileName": "node", "RoleName": "node"}
        with self.refused("AccessDenied"):
            client("iam", user("alice", allow("iam:AddRoleToInstanceProfile"))).add_role_to_instance_profile(**put)
        bob = user("bob", allow("iam:AddRoleToInstanceProfile", "iam:PassRole"))
        client("iam", bob).add_role_to_instance_profile(**put)

    @about("launch_by_template", auth="full")
    def test_a_group_needs_what_its_template_launches(self):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "mine", "Value": "yes"}]}]
        template = self.template(IamInstanceProfile={"Name": self.profile()}, TagSpecifications=tags)
        subnet = self.subnet(self.vpc())
        mine = {"StringEquals": {"aws:ResourceTag/mine": "yes"}}
        by_template = {"ArnLike": {"ec2:LaunchTemplate": f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/*"}}
        parts = [f"arn:aws:ec2:{REGION}:*:{kind}/*" for kind in ("image", "subnet", "instance", "volume", "network-interface")]
        tagging = {"StringEquals": {"ec2:CreateAction": "RunInstances", "aws:RequestTag/mine": "yes"}}
        policies = [
            allow("autoscaling:*", "iam:*"),
            allow("ec2:RunInstances", resource=f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/*", Condition=mine),
            allow("ec2:RunInstances", resource=parts, Condition=by_template),
            allow("ec2:CreateTags", Condition=tagging),
        ]

        def group(who):
            client("autoscaling", who).create_auto_scaling_group(
                AutoScalingGroupName="nodes",
                MinSize=0,
                MaxSize=1,
                VPCZoneIdentifier=subnet,
                LaunchTemplate={"LaunchTemplateId": template},
            )

        # Not theirs.
        with self.refused("AccessDenied"):
            group(user("alice", *policies))
        self.ec2.create_tags(Resources=[template], Tags=[{"Key": "mine", "Value": "yes"}])
        with self.refused("AccessDenied"):
            group(user("bob", *policies[:-1]))
        group(user("carol", *policies))

    @about("tags_of_what_is_made", auth="full")
    def test_tags_in_a_request_are_not_those_of_the_vpc(self):
        tagged = {"StringEquals": {"aws:RequestTag/mine": "yes"}}
        alice = client("ec2", user("alice", allow("ec2:*", Condition=tagged)))
        vpc = self.vpc(gateway=False)
        tags = [{"ResourceType": "subnet", "Tags": [{"Key": "mine", "Value": "yes"}]}]
        create = {"VpcId": vpc, "CidrBlock": "10.0.7.0/24", "TagSpecifications": tags}
        with self.refused("UnauthorizedOperation"):
            alice.create_subnet(**create)
        inside = allow("ec2:CreateSubnet", resource=f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/*")
        client("ec2", user("bob", allow("ec2:*", Condition=tagged), inside)).create_subnet(**create)

    @about("managed_groups", auth="full")
    def test_a_capacity_provider_needs_to_tag_its_group(self):
        group = self.scaling_group([self.subnet(self.vpc())])["AutoScalingGroupARN"]
        create = {"name": "p", "autoScalingGroupProvider": {"autoScalingGroupArn": group}}
        with self.refused("AccessDeniedException"):
            client("ecs", user("alice", allow("ecs:*"))).create_capacity_provider(**create)
        bob = user("bob", allow("ecs:*", "autoscaling:CreateOrUpdateTags"))
        client("ecs", bob).create_capacity_provider(**create)

    @about("bucket_with_settings", auth="full")
    def test_a_bucket_is_made_with_tags_by_who_may_tag(self):
        tags = {"Tags": [{"Key": "mine", "Value": "yes"}]}
        create = {"Bucket": "bucket-of-tests", "CreateBucketConfiguration": tags, "ObjectOwnership": "BucketOwnerEnforced"}
        for name, policy in (
            ("alice", allow("s3:CreateBucket", "s3:PutBucketOwnershipControls")),
            ("bob", allow("s3:CreateBucket", "s3:TagResource")),
        ):
            with self.refused("AccessDenied"):
                client("s3", user(name, policy)).create_bucket(**create)
        carol = user("carol", allow("s3:CreateBucket", "s3:TagResource", "s3:PutBucketOwnershipControls"))
        client("s3", carol).create_bucket(**create)

    @about("delete_each_object", auth="full")
    def test_of_several_objects_each_is_asked_for(self):
        bucket = self.bucket()
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        version = self.s3.put_object(Bucket=bucket, Key="mine/a", Body=b"x")["VersionId"]
        self.s3.put_object(Bucket=bucket, Key="theirs/a", Body=b"x")
        alice = client("s3", user("alice", allow("s3:DeleteObject", resource=f"arn:aws:s3:::{bucket}/mine/*")))
        objects = [{"Key": "mine/a"}, {"Key": "theirs/a"}]
        found = alice.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        self.assertEqual([error["Key"] for error in found.get("Errors", [])], ["theirs/a"])
        found = alice.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/a", "VersionId": version}]})
        self.assertEqual([error["Code"] for error in found["Errors"]], ["AccessDenied"])

    @given(auth="full")
    def test_who_asked_for_what_is_kept(self):
        alice = user("alice", allow("ec2:DescribeVpcs"))
        client("ec2", alice).describe_vpcs()
        with self.refused("UnauthorizedOperation"):
            client("ec2", alice).describe_subnets()
        asked = [(each["action"], each["allowed"]) for each in ask("permissions") if each["principal"] == alice["arn"]]
        self.assertEqual(asked, [("ec2:DescribeVpcs", True), ("ec2:DescribeSubnets", False)])
        ask("users/policies", name="alice", policies={"p": allow("ec2:DescribeSubnets")})
        client("ec2", alice).describe_subnets()


class Iam(EmulatorCase):
    @about("aws_managed_policies", mode="plain")
    def test_policies_of_aws_exist(self):
        self.role("node")
        arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        self.iam.attach_role_policy(RoleName="node", PolicyArn=arn)

    @about("user_ids", mode="plain")
    def test_ids_tell_users_from_roles(self):
        user = self.iam.create_user(UserName="alice")["User"]
        self.assertRegex(user["UserId"], "^AIDA[A-Z0-9]{16,}$")

    @about("linked_role_once", mode="plain")
    def test_a_service_linked_role_is_made_once(self):
        self.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        with self.refused("InvalidInput"):
            self.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

    @about("policy_in_use")
    def test_an_attached_policy_stays(self):
        self.role("node")
        arn = self.iam.create_policy(PolicyName="p", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        self.iam.attach_role_policy(RoleName="node", PolicyArn=arn)
        with self.refused("DeleteConflict"):
            self.iam.delete_policy(PolicyArn=arn)

    @about("trust_policies")
    def test_a_trust_policy_is_one(self):
        wrong = [
            "{}",
            "no",
            json.dumps(allow("sts:AssumeRole")),
            json.dumps(trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/nobody")),
        ]
        for document in wrong:
            with self.refused("MalformedPolicyDocument"):
                self.iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)

    @about("policy_sizes")
    def test_policies_have_a_size(self):
        self.role("node")
        resources = [f"arn:aws:s3:::bucket-of-some-length/{number:08}" for number in range(300)]
        large = json.dumps(allow("s3:GetObject", resource=resources))
        with self.refused("LimitExceeded"):
            self.iam.put_role_policy(RoleName="node", PolicyName="p", PolicyDocument=large)
        with self.refused("LimitExceeded"):
            self.iam.create_policy(PolicyName="p", PolicyDocument=large)

    @about("iam_names")
    def test_names_have_a_form(self):
        document = json.dumps(trust(Service="ec2.amazonaws.com"))
        for name, path in (("a b", "/"), ("x" * 65, "/"), ("r", "cortex")):
            with self.refused("ValidationError"):
                self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)


if __name__ == "__main__":
    unittest.main()
