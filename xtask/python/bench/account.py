"""Clients of the AWS SDK, and how to wait with it."""

import sys
from typing import Any

import boto3

SCALE = float(sys.argv[2])
EC2, ELB, S3, IAM, LOGS, ECS, AUTOSCALING, SSM = (
    boto3.client(name, region_name="us-east-1")
    for name in ("ec2", "elbv2", "s3", "iam", "logs", "ecs", "autoscaling", "ssm")
)

Attributes = dict[str, str]


def wait(client: Any, waiter: str, **what: Any) -> None:
    client.get_waiter(waiter).wait(WaiterConfig={"Delay": 15 * SCALE, "MaxAttempts": 80}, **what)


def tags(of: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in of.get("tags", {}).items()]


def tagged(kind: str, of: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags(of)}]
