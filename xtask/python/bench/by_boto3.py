"""Makes a cluster's resources with boto3 as most scripts do: one after the other, waiting for each with the SDK's waiters.

usage: by_boto3.py CLUSTER.TF.JSON SCALE

SCALE is that of the emulator's delays; the waiters' own steps of 15 seconds are scaled with them.
"""

import sys
from collections.abc import Callable

import balancing
import compute
import network
import storage
from account import Attributes
from shape import Shape, replaced

MAKES: dict[str, Callable[..., Attributes]] = {
    "aws_autoscaling_group": compute.autoscaling_group,
    "aws_cloudwatch_log_group": storage.log_group,
    "aws_default_security_group": network.default_security_group,
    "aws_ecs_capacity_provider": compute.capacity_provider,
    "aws_ecs_cluster": compute.ecs_cluster,
    "aws_ecs_cluster_capacity_providers": compute.cluster_capacity,
    "aws_eip": network.eip,
    "aws_iam_instance_profile": compute.instance_profile,
    "aws_iam_role": compute.role,
    "aws_iam_role_policy": compute.role_policy,
    "aws_internet_gateway": network.internet_gateway,
    "aws_launch_template": compute.launch_template,
    "aws_lb": balancing.load_balancer,
    "aws_lb_listener": balancing.listener,
    "aws_lb_target_group": balancing.target_group,
    "aws_nat_gateway": network.nat_gateway,
    "aws_route": network.route,
    "aws_route_table": network.route_table,
    "aws_route_table_association": network.route_table_association,
    "aws_s3_bucket": storage.bucket,
    "aws_s3_bucket_lifecycle_configuration": storage.lifecycle,
    "aws_s3_bucket_ownership_controls": storage.ownership_controls,
    "aws_s3_bucket_policy": storage.bucket_policy,
    "aws_s3_bucket_public_access_block": storage.public_access_block,
    "aws_s3_bucket_server_side_encryption_configuration": storage.encryption,
    "aws_s3_bucket_versioning": storage.versioning,
    "aws_s3_object": storage.s3_object,
    "aws_security_group": network.security_group,
    "aws_subnet": network.subnet,
    "aws_vpc": network.vpc,
    "aws_vpc_endpoint": network.vpc_endpoint,
    "aws_vpc_security_group_egress_rule": network.egress_rule,
    "aws_vpc_security_group_ingress_rule": network.ingress_rule,
}


def main() -> None:
    made: dict[str, Attributes] = {}
    for address, body in Shape(sys.argv[1]).in_order():
        kind, _, name = address.partition(".")
        settings = replaced(body, lambda to, attribute: made[to][attribute])
        # What its image is called follows from its name.
        more = [name] if kind == "aws_launch_template" else []
        made[address] = MAKES[kind](settings, *more)


if __name__ == "__main__":
    main()
