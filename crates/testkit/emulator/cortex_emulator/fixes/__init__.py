"""Moto's bugs, put right. Always on."""

from . import compute, ecs, elb, groups, iam, launch_templates, network, provisioning, s3, ssm, sts

__all__ = ["compute", "ecs", "elb", "groups", "iam", "launch_templates", "network", "provisioning", "s3", "ssm", "sts"]
