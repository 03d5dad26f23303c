"""Writes an Ansible playbook that makes a cluster's resources: one task each, with the modules' own waiting.

usage: playbook.py CLUSTER.TF.JSON > playbook.json

What the collections have no module or parameter for is left out: capacity providers of ECS, security groups of network load
balancers, protection of instances and rebalancing of groups; and the description of the rule that AWS makes by itself, whose
change the emulator does not answer as the module expects.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from shape import Shape, image_parameter, replaced

SHAPE = Shape(sys.argv[1])

# Where a module's result has what a reference means.
RESULTS = {
    "aws_vpc": "vpc.id",
    "aws_internet_gateway": "gateway_id",
    "aws_subnet": "subnet.id",
    "aws_eip": "allocation_id",
    "aws_nat_gateway": "nat_gateway_id",
    "aws_route_table": "route_table.id",
    "aws_security_group": "group_id",
    "aws_lb_target_group": "target_group_arn",
    "aws_launch_template": "template.launch_template_id",
}
# Made by the task of another resource, which they mention by this setting.
PARTS = {
    "aws_lb": [("aws_lb_listener", "load_balancer_arn")],
    "aws_route_table": [("aws_route", "route_table_id"), ("aws_route_table_association", "route_table_id")],
    "aws_s3_bucket": [
        ("aws_s3_bucket_ownership_controls", "bucket"),
        ("aws_s3_bucket_policy", "bucket"),
        ("aws_s3_bucket_public_access_block", "bucket"),
        ("aws_s3_bucket_server_side_encryption_configuration", "bucket"),
        ("aws_s3_bucket_versioning", "bucket"),
    ],
    "aws_security_group": [
        ("aws_vpc_security_group_ingress_rule", "security_group_id"),
        ("aws_vpc_security_group_egress_rule", "security_group_id"),
    ],
}
LEFT_OUT = {"aws_ecs_capacity_provider", "aws_ecs_cluster_capacity_providers"}

Task = tuple[str, dict[str, Any]]


def variable(address: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in address)


def refer(address: str, attribute: str) -> str:
    kind = address.partition(".")[0]
    if kind in RESULTS:
        return "{{ " + f"{variable(address)}.{RESULTS[kind]}" + " }}"
    # These are called what they are told to be called.
    return SHAPE.bodies[address]["bucket" if kind == "aws_s3_bucket" else "name"]


def part(kind: str, setting: str, address: str) -> list[dict[str, Any]]:
    return [replaced(body, refer) for body in SHAPE.parts(kind, setting, address)]


def vpc(of: dict[str, Any], at: str) -> Task:
    settings = {"name": of["tags"]["Name"], "cidr_block": [of["cidr_block"]], "tags": of["tags"]}
    settings |= {"dns_support": of["enable_dns_support"], "dns_hostnames": of["enable_dns_hostnames"]}
    return "amazon.aws.ec2_vpc_net", settings


def default_security_group(of: dict[str, Any], at: str) -> Task:
    closed = {"name": "default", "description": "default VPC security group", "vpc_id": of["vpc_id"]}
    return "amazon.aws.ec2_security_group", {**closed, "rules": [], "rules_egress": []}


def internet_gateway(of: dict[str, Any], at: str) -> Task:
    return "amazon.aws.ec2_vpc_igw", {"vpc_id": of["vpc_id"], "tags": of["tags"]}


def subnet(of: dict[str, Any], at: str) -> Task:
    settings = {"vpc_id": of["vpc_id"], "az": of["availability_zone"], "cidr": of["cidr_block"], "tags": of["tags"]}
    return "amazon.aws.ec2_vpc_subnet", settings


def eip(of: dict[str, Any], at: str) -> Task:
    return "amazon.aws.ec2_eip", {"in_vpc": True, "tags": of["tags"]}


def nat_gateway(of: dict[str, Any], at: str) -> Task:
    settings = {"subnet_id": of["subnet_id"], "allocation_id": of["allocation_id"], "tags": of["tags"]}
    return "amazon.aws.ec2_vpc_nat_gateway", {**settings, "wait": True, "wait_timeout": 900}


def route_table(of: dict[str, Any], at: str) -> Task:
    routes = [
        {"dest": route["destination_cidr_block"], "gateway_id": route.get("gateway_id", route.get("nat_gateway_id"))}
        for route in part("aws_route", "route_table_id", at)
    ]
    subnets = [one["subnet_id"] for one in part("aws_route_table_association", "route_table_id", at)]
    settings = {"vpc_id": of["vpc_id"], "routes": routes, "subnets": subnets, "tags": of["tags"]}
    return "amazon.aws.ec2_vpc_route_table", settings


def vpc_endpoint(of: dict[str, Any], at: str) -> Task:
    settings = {"vpc_id": of["vpc_id"], "service": of["service_name"], "route_table_ids": of["route_table_ids"]}
    return "amazon.aws.ec2_vpc_endpoint", {**settings, "tags": of["tags"]}


def _rule(of: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"proto": of["ip_protocol"]}
    if "from_port" in of:
        rule |= {"from_port": of["from_port"], "to_port": of["to_port"], "rule_desc": of["description"]}
    if "cidr_ipv4" in of:
        return {**rule, "cidr_ip": of["cidr_ipv4"]}
    return {**rule, "group_id": of["referenced_security_group_id"]}


def security_group(of: dict[str, Any], at: str) -> Task:
    ingress = part("aws_vpc_security_group_ingress_rule", "security_group_id", at)
    egress = part("aws_vpc_security_group_egress_rule", "security_group_id", at)
    rules = {"rules": [_rule(one) for one in ingress], "rules_egress": [_rule(one) for one in egress]}
    own = {"name": of["name"], "description": of["description"], "vpc_id": of["vpc_id"], "tags": of["tags"]}
    return "amazon.aws.ec2_security_group", {**own, **rules}


def load_balancer(of: dict[str, Any], at: str) -> Task:
    listeners = [
        {
            "Protocol": body["protocol"],
            "Port": body["port"],
            "DefaultActions": [
                {"Type": "forward", "TargetGroupArn": replaced(body["default_action"]["target_group_arn"], refer)}
            ],
        }
        for body in SHAPE.parts("aws_lb_listener", "load_balancer_arn", at)
    ]
    settings = {
        "name": of["name"],
        "scheme": "internal" if of["internal"] else "internet-facing",
        "subnets": of["subnets"],
        "cross_zone_load_balancing": of["enable_cross_zone_load_balancing"],
        "deletion_protection": of["enable_deletion_protection"],
        "listeners": listeners,
        "tags": of["tags"],
    }
    return "community.aws.elb_network_lb", {**settings, "wait": True, "wait_timeout": 900}


def target_group(of: dict[str, Any], at: str) -> Task:
    health = of["health_check"]
    settings = {
        "name": of["name"],
        "vpc_id": of["vpc_id"],
        "target_type": of["target_type"],
        "protocol": of["protocol"].lower(),
        "port": of["port"],
        "deregistration_delay_timeout": of["deregistration_delay"],
        "deregistration_connection_termination": of["connection_termination"],
        "preserve_client_ip_enabled": of["preserve_client_ip"],
        "health_check_protocol": health["protocol"].lower(),
        "health_check_port": str(health["port"]),
        "health_check_path": health["path"],
        "health_check_interval": health["interval"],
        "health_check_timeout": health["timeout"],
        "healthy_threshold_count": health["healthy_threshold"],
        "unhealthy_threshold_count": health["unhealthy_threshold"],
        "tags": of["tags"],
        "state": "present",
    }
    return "community.aws.elb_target_group", settings


def bucket(of: dict[str, Any], at: str) -> Task:
    block = part("aws_s3_bucket_public_access_block", "bucket", at)[0]
    algorithm = part("aws_s3_bucket_server_side_encryption_configuration", "bucket", at)[0]["rule"]
    settings = {
        "name": of["bucket"],
        "tags": of["tags"],
        "versioning": True,
        "encryption": algorithm["apply_server_side_encryption_by_default"]["sse_algorithm"],
        "object_ownership": part("aws_s3_bucket_ownership_controls", "bucket", at)[0]["rule"]["object_ownership"],
        "public_access": {name: on for name, on in block.items() if name != "bucket"},
        "policy": json.loads(part("aws_s3_bucket_policy", "bucket", at)[0]["policy"]),
    }
    return "amazon.aws.s3_bucket", settings


def lifecycle(of: dict[str, Any], at: str) -> Task:
    abort, expire = of["rule"]
    days = {
        "abort_incomplete_multipart_upload_days": abort["abort_incomplete_multipart_upload"]["days_after_initiation"],
        "noncurrent_version_expiration_days": expire["noncurrent_version_expiration"]["noncurrent_days"],
    }
    return "community.aws.s3_lifecycle", {"name": of["bucket"], "rule_id": "all", "prefix": "", **days}


def s3_object(of: dict[str, Any], at: str) -> Task:
    put = {"bucket": of["bucket"], "object": of["key"], "mode": "put", "content": "0" * 35_000, "permission": []}
    return "amazon.aws.s3_object", put


def log_group(of: dict[str, Any], at: str) -> Task:
    settings = {"log_group_name": of["name"], "retention": of["retention_in_days"], "tags": of["tags"]}
    return "amazon.aws.cloudwatchlogs_log_group", settings


def role(of: dict[str, Any], at: str) -> Task:
    settings = {"name": of["name"], "path": of["path"], "description": of["description"], "tags": of["tags"]}
    trust = json.loads(of["assume_role_policy"])
    return "amazon.aws.iam_role", {**settings, "assume_role_policy_document": trust, "create_instance_profile": False}


def role_policy(of: dict[str, Any], at: str) -> Task:
    settings = {"iam_type": "role", "iam_name": of["role"], "policy_name": of["name"]}
    return "amazon.aws.iam_policy", {**settings, "policy_json": json.loads(of["policy"])}


def instance_profile(of: dict[str, Any], at: str) -> Task:
    settings = {"name": of["name"], "path": of["path"], "role": of["role"], "tags": of["tags"]}
    return "amazon.aws.iam_instance_profile", settings


def launch_template(of: dict[str, Any], at: str) -> Task:
    interface, mapping, metadata = of["network_interfaces"], of["block_device_mappings"], of["metadata_options"]
    parameter = image_parameter(at.partition(".")[2])
    settings = {
        "template_name": of["name"],
        "image_id": "{{ lookup('amazon.aws.ssm_parameter', '" + parameter + "') }}",
        "instance_type": of["instance_type"],
        "iam_instance_profile": of["iam_instance_profile"]["arn"],
        "user_data": of["user_data"],
        "network_interfaces": [
            {
                "device_index": 0,
                "associate_public_ip_address": interface["associate_public_ip_address"],
                "delete_on_termination": True,
                "groups": interface["security_groups"],
            }
        ],
        "block_device_mappings": [
            {
                "device_name": mapping["device_name"],
                "ebs": {
                    "volume_type": mapping["ebs"]["volume_type"],
                    "volume_size": mapping["ebs"]["volume_size"],
                    "encrypted": mapping["ebs"]["encrypted"],
                    "delete_on_termination": True,
                },
            }
        ],
        "metadata_options": metadata,
        "tags": of["tags"],
    }
    return "amazon.aws.ec2_launch_template", settings


def autoscaling_group(of: dict[str, Any], at: str) -> Task:
    settings = {
        "name": of["name"],
        "min_size": of["min_size"],
        "max_size": of["max_size"],
        "desired_capacity": of["desired_capacity"],
        "vpc_zone_identifier": of["vpc_zone_identifier"],
        "target_group_arns": of.get("target_group_arns", []),
        "health_check_type": of["health_check_type"],
        "health_check_period": of["health_check_grace_period"],
        "wait_for_instances": True,
        "wait_timeout": 900,
        "tags": [{tag["key"]: tag["value"], "propagate_at_launch": False} for tag in of["tag"]],
    }
    if "launch_template" in of:
        used = of["launch_template"]["id"]
    else:
        mixed = of["mixed_instances_policy"]
        used = mixed["launch_template"]["launch_template_specification"]["launch_template_id"]
        types = [one["instance_type"] for one in mixed["launch_template"]["override"]]
        settings["mixed_instances_policy"] = {
            "instance_types": types,
            "instances_distribution": mixed["instances_distribution"],
        }
    settings["launch_template"] = {"launch_template_id": used, "version": "$Latest"}
    return "amazon.aws.autoscaling_group", settings


def ecs_cluster(of: dict[str, Any], at: str) -> Task:
    return "community.aws.ecs_cluster", {"name": of["name"], "state": "present"}


MAKES: dict[str, Callable[[dict[str, Any], str], Task]] = {
    "aws_autoscaling_group": autoscaling_group,
    "aws_cloudwatch_log_group": log_group,
    "aws_default_security_group": default_security_group,
    "aws_ecs_cluster": ecs_cluster,
    "aws_eip": eip,
    "aws_iam_instance_profile": instance_profile,
    "aws_iam_role": role,
    "aws_iam_role_policy": role_policy,
    "aws_internet_gateway": internet_gateway,
    "aws_lb": load_balancer,
    "aws_lb_target_group": target_group,
    "aws_launch_template": launch_template,
    "aws_nat_gateway": nat_gateway,
    "aws_route_table": route_table,
    "aws_s3_bucket": bucket,
    "aws_s3_bucket_lifecycle_configuration": lifecycle,
    "aws_s3_object": s3_object,
    "aws_security_group": security_group,
    "aws_subnet": subnet,
    "aws_vpc": vpc,
    "aws_vpc_endpoint": vpc_endpoint,
}

def main() -> None:
    tasks = []
    skipped = LEFT_OUT | {kind for parts in PARTS.values() for kind, _ in parts}
    for address, body in SHAPE.in_order(PARTS):
        kind = address.partition(".")[0]
        if kind in skipped:
            continue
        module, settings = MAKES[kind](replaced(body, refer), address)
        task: dict[str, Any] = {"name": address, module: settings, "register": variable(address)}
        if kind == "aws_autoscaling_group":
            # EC2 does not see the instance profile yet.
            result = variable(address)
            fine = f"{result} is succeeded or 'profile' not in ({result}.msg | default('') | lower)"
            task |= {"until": fine, "retries": 20, "delay": 5}
        tasks.append(task)
    play = {"name": "cluster", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    json.dump([play], sys.stdout, indent=1)


if __name__ == "__main__":
    main()
