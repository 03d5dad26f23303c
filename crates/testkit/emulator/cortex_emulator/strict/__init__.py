"""Rules that AWS enforces and moto does not."""

from . import (
    addresses,
    autoscaling,
    certificates,
    client_tokens,
    dependent,
    ecs,
    elb,
    elb_interfaces,
    groups,
    iam,
    instances,
    logs,
    nat,
    routes,
    s3,
    vpc,
)

__all__ = [
    "addresses",
    "autoscaling",
    "certificates",
    "client_tokens",
    "dependent",
    "ecs",
    "elb",
    "elb_interfaces",
    "groups",
    "iam",
    "instances",
    "logs",
    "nat",
    "routes",
    "s3",
    "vpc",
]
