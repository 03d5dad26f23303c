"""What the tests stand on: one emulator for all of them, emptied before each.

`@about("rule")` runs a test twice: as it is, when it has to pass, and with that rule switched off, when it has to fail.
So each test shows that its rule is there and that it does something.
"""

import atexit
import functools
import json
import subprocess
import sys
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

HOME = Path(__file__).parent.parent
ACCOUNT = "123456789012"
REGION = "us-east-1"

# Rules that a test is about.
COVERED: set[str] = set()

_CONFIG = Config(
    retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, ignore_configured_endpoint_urls=True
)


class Server:
    def __init__(self) -> None:
        # Tests run in the emulator's own environment.
        self.process = subprocess.Popen(
            [sys.executable, str(HOME / "serve.py"), "--port", "0", "--exit-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        atexit.register(self.process.kill)
        assert self.process.stdout is not None
        self.welcome = json.loads(self.process.stdout.readline())
        self.endpoint = self.welcome["endpoint"]

    def ask(self, name: str, /, **parameters: Any) -> Any:
        """One of the emulator's own functions."""
        request = urllib.request.Request(
            f"{self.endpoint}/_cortex/{name}", json.dumps(parameters).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{name}: {error.read().decode()}") from error


@functools.cache
def server() -> Server:
    return Server()


def ask(name: str, /, **parameters: Any) -> Any:
    return server().ask(name, **parameters)


@functools.cache
def _session() -> boto3.Session:
    return boto3.Session()


@functools.cache
def _client(service: str, region: str, key: str, secret: str, token: str | None) -> Any:
    return _session().client(
        service,
        region_name=region,
        endpoint_url=server().endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=_CONFIG,
    )


def client(service: str, credentials: dict[str, Any] | None = None, region: str = REGION) -> Any:
    """A client with these credentials, else the administrator's."""
    who = credentials or server().welcome["admin"]
    return _client(service, region, who["access_key_id"], who["secret_access_key"], who.get("session_token"))


class EmulatorCase(unittest.TestCase):
    """The clients are made when they are first used."""

    def __getattr__(self, name: str) -> Any:
        services = {
            "ec2", "elbv2", "autoscaling", "ecs", "iam", "sts", "s3", "ssm", "logs", "acm", "quotas", "tagging",
        }  # fmt: skip
        if name not in services:
            raise AttributeError(name)
        return client({"quotas": "service-quotas", "tagging": "resourcegroupstaggingapi"}.get(name, name))

    def refused(self, *codes: str) -> Any:
        """`with self.refused("DependencyViolation"):` the call in it is refused with one of these codes."""
        return _Refused(self, codes)

    # What several tests need.

    def vpc(self, cidr: str = "10.0.0.0/16", gateway: bool = True) -> str:
        vpc_id = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        if gateway:
            igw = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            self.ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc_id)
        return vpc_id

    def gateway_of(self, vpc_id: str) -> str:
        found = self.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc_id]}])
        return found["InternetGateways"][0]["InternetGatewayId"]

    def subnet(self, vpc_id: str, number: int = 0, zone: str = "a") -> str:
        made = self.ec2.create_subnet(
            VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
        )
        return made["Subnet"]["SubnetId"]

    def group(self, vpc_id: str, name: str = "group") -> str:
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc_id)["GroupId"]

    def address(self) -> str:
        return self.ec2.allocate_address(Domain="vpc")["AllocationId"]

    def nat(self, subnet_id: str, **more: Any) -> str:
        made = self.ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=self.address(), **more)
        return made["NatGateway"]["NatGatewayId"]

    def image(self, architecture: str = "x86_64") -> str:
        name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
        return self.ssm.get_parameter(Name=name)["Parameter"]["Value"]

    def instance(self, subnet_id: str, **more: Any) -> str:
        given = {"ImageId": self.image(), "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1} | more
        return self.ec2.run_instances(SubnetId=subnet_id, **given)["Instances"][0]["InstanceId"]

    def state_of(self, instance_id: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance_id])
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]

    def balancer(self, subnets: list[str], name: str = "balancer", **more: Any) -> dict[str, Any]:
        given = {"Type": "network", "Scheme": "internal"} | more
        return self.elbv2.create_load_balancer(Name=name, Subnets=subnets, **given)["LoadBalancers"][0]

    def target_group(self, vpc_id: str, name: str = "targets", **more: Any) -> str:
        given = {"Protocol": "TCP", "Port": 443, "TargetType": "instance"} | more
        return self.elbv2.create_target_group(Name=name, VpcId=vpc_id, **given)["TargetGroups"][0]["TargetGroupArn"]

    def listener(self, balancer_arn: str, group_arn: str, port: int = 443, **more: Any) -> dict[str, Any]:
        action = {"Type": "forward", "TargetGroupArn": group_arn}
        given = {"Protocol": "TCP", "Port": port, "DefaultActions": [action]} | more
        return self.elbv2.create_listener(LoadBalancerArn=balancer_arn, **given)["Listeners"][0]

    def role(self, name: str, service: str = "ec2.amazonaws.com", policies: dict[str, Any] | None = None) -> str:
        return ask("roles/create", name=name, trust=trust(Service=service), policies=policies)["arn"]

    def profile(self, name: str = "node") -> str:
        self.role(name)
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return name

    def template(self, name: str = "nodes", **data: Any) -> str:
        given = {"ImageId": self.image(), "InstanceType": "t3.small"} | data
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=given)
        return made["LaunchTemplate"]["LaunchTemplateId"]

    def scaling_group(self, subnets: list[str], name: str = "nodes", **more: Any) -> dict[str, Any]:
        if "LaunchTemplate" not in more and "MixedInstancesPolicy" not in more:
            more["LaunchTemplate"] = {"LaunchTemplateId": self.template(name), "Version": "$Latest"}
        given = {"MinSize": 0, "MaxSize": 4, "DesiredCapacity": 1, "VPCZoneIdentifier": ",".join(subnets)} | more
        self.autoscaling.create_auto_scaling_group(AutoScalingGroupName=name, **given)
        return self.scaling_group_of(name)

    def scaling_group_of(self, name: str = "nodes") -> dict[str, Any]:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found[0] if found else {}

    def bucket(self, name: str = "bucket-of-tests") -> str:
        self.s3.create_bucket(Bucket=name)
        return name


class _Refused:
    def __init__(self, case: unittest.TestCase, codes: tuple[str, ...]):
        self.case, self.codes = case, codes

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> bool:
        if error is None:
            self.case.fail(f"not refused with {' or '.join(self.codes)}")
        if not isinstance(error, ClientError):
            return False
        self.case.assertIn(error.response["Error"]["Code"], self.codes, error)
        return True


def about(*rules: str, mode: str = "strict", auth: str = "sts", **delays: float) -> Callable[[Any], Any]:
    """The test needs each of these rules. `delays` are in seconds; the test moves the clock with `pass_time`."""
    COVERED.update(rules)

    def decorate(test: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(test)
        def run(case: EmulatorCase) -> None:
            _prepare([], mode, auth, delays)
            test(case)
            for rule in rules:
                _prepare([rule], mode, auth, delays)
                try:
                    test(case)
                except Exception:
                    continue
                finally:
                    ask("rules", disable=[])
                case.fail(f"passes without the rule {rule}")

        return run

    return decorate


def given(mode: str = "strict", auth: str = "sts", **delays: float) -> Callable[[Any], Any]:
    """A test that is about no rule in particular."""

    def decorate(test: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(test)
        def run(case: EmulatorCase) -> None:
            _prepare([], mode, auth, delays)
            test(case)

        return run

    return decorate


def _prepare(disabled: list[str], mode: str, auth: str, delays: dict[str, float]) -> None:
    ask("reset")
    ask("mode", mode=mode, auth=auth)
    ask("delays", scale=0, **delays)
    ask("rules", disable=disabled)


def pass_time(seconds: float) -> None:
    ask("advance", seconds=seconds)


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust(**principal: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def user(name: str, *policies: dict[str, Any]) -> dict[str, Any]:
    """Credentials of a new user with these policies."""
    return ask("users/create", name=name, policies={f"policy-{index}": each for index, each in enumerate(policies)})
