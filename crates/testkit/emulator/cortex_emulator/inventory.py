"""Everything there is, by kind and identifier: two of these tell what a test has left behind.

Leaves out what AWS shows for a while although it is gone (terminated instances, deleted NAT gateways, inactive
clusters and task definitions). Service-linked roles are a kind of their own: they outlive what made them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from moto.acm.models import acm_backends
from moto.autoscaling.models import autoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends

Items = Iterator[tuple[str, dict[str, Any]]]


def take(regions: list[str] | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Of all accounts and regions that were used, and of these (which have a default VPC, used or not)."""
    for region in regions or ["us-east-1"]:
        assert ec2_backends[DEFAULT_ACCOUNT_ID][region]
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for _, kinds in _KINDS for kind in kinds}
    for backends, kinds in _KINDS:
        for account, region, backend in list(backends.iter_backends()):
            for kind, items in kinds.items():
                for identifier, item in items(backend):
                    place = {"account": account, "region": region}
                    found[kind][identifier] = {**place, **item}
    return {kind: dict(sorted(items.items())) for kind, items in sorted(found.items())}


def _ec2_items(attribute: str, *fields: str) -> Callable[[Any], Items]:
    def items(backend: Any) -> Items:
        for identifier, resource in list(getattr(backend, attribute).items()):
            facts = {field: _plain(getattr(resource, field, None)) for field in fields}
            yield identifier, {**facts, "tags": dict(backend.tags.get(identifier, {}))}

    return items


def _subnets(ec2: Any) -> Items:
    for subnet in ec2.describe_subnets():
        facts = {"vpc_id": subnet.vpc_id, "cidr_block": subnet.cidr_block, "zone": subnet.availability_zone}
        yield subnet.id, {**facts, "tags": dict(ec2.tags.get(subnet.id, {}))}


def _groups(ec2: Any) -> Items:
    for by_id in list(ec2.groups.values()):
        for group in by_id.values():
            facts = {"vpc_id": group.vpc_id, "name": group.name}
            rules = {"ingress": len(group.ingress_rules), "egress": len(group.egress_rules)}
            yield group.id, {**facts, **rules, "tags": dict(ec2.tags.get(group.id, {}))}


def _addresses(ec2: Any) -> Items:
    for address in ec2.addresses:
        facts = {"public_ip": address.public_ip, "association": address.association_id}
        yield address.allocation_id, {**facts, "tags": dict(ec2.tags.get(address.allocation_id, {}))}


def _nat_gateways(ec2: Any) -> Items:
    for nat in ec2.nat_gateways.values():
        if nat.state != "deleted":
            facts = {"state": nat.state, "subnet_id": nat.subnet_id, "vpc_id": nat.vpc_id}
            yield nat.id, {**facts, "tags": dict(ec2.tags.get(nat.id, {}))}


def _instances(ec2: Any) -> Items:
    for instance in ec2.all_instances():
        if instance.state != "terminated":
            facts = {"state": instance.state, "subnet_id": instance.subnet_id, "type": instance.instance_type}
            yield instance.id, {**facts, "tags": dict(ec2.tags.get(instance.id, {}))}


def _auto_scaling_groups(autoscaling: Any) -> Items:
    for group in autoscaling.autoscaling_groups.values():
        sizes = {"min": group.min_size, "max": group.max_size, "desired": group.desired_capacity}
        yield group.name, {**sizes, "tags": {tag["Key"]: tag["Value"] for tag in group.tags}}


def _load_balancers(elb: Any) -> Items:
    for balancer in elb.load_balancers.values():
        facts = {"name": balancer.name, "scheme": balancer.scheme, "state": balancer.state}
        yield balancer.arn, {**facts, "tags": elb.tagging_service.get_tag_dict_for_resource(balancer.arn)}


def _listeners(elb: Any) -> Items:
    for balancer in elb.load_balancers.values():
        for arn, listener in balancer.listeners.items():
            yield arn, {"port": listener.port, "protocol": listener.protocol}


def _target_groups(elb: Any) -> Items:
    for group in elb.target_groups.values():
        facts = {"name": group.name, "port": group.port, "vpc_id": group.vpc_id}
        yield group.arn, {**facts, "tags": elb.tagging_service.get_tag_dict_for_resource(group.arn)}


def _roles(linked: bool) -> Callable[[Any], Items]:
    def items(iam: Any) -> Items:
        for role in iam.get_roles():
            if role.path.startswith("/aws-service-role/") == linked:
                policies = sorted([*role.policies, *role.managed_policies])
                tags = {tag["Key"]: tag["Value"] for tag in role.tags}
                inline = {name: json.loads(policy) for name, policy in role.policies.items()}
                yield role.name, {"path": role.path, "policies": policies, "inline": inline, "tags": tags}

    return items


def _instance_profiles(iam: Any) -> Items:
    for profile in iam.get_instance_profiles():
        yield profile.name, {"path": profile.path, "roles": [role.name for role in profile.roles]}


def _policies(iam: Any) -> Items:
    for arn in iam.managed_policies:
        if ":aws:policy/" not in arn:
            yield arn, {}


def _users(iam: Any) -> Items:
    for user in iam.users.values():
        yield user.name, {"keys": [key.access_key_id for key in user.access_keys]}


def _clusters(ecs: Any) -> Items:
    for cluster in ecs.clusters.values():
        if cluster.status != "INACTIVE":
            yield cluster.arn, {"name": cluster.name, "tags": _ecs_tags(cluster)}


def _capacity_providers(ecs: Any) -> Items:
    for provider in ecs.capacity_providers.values():
        yield provider.capacity_provider_arn, {"name": provider.name, "tags": _ecs_tags(provider)}


def _services(ecs: Any) -> Items:
    for service in ecs.services.values():
        if service.status != "INACTIVE":
            facts = {"status": service.status, "desired": service.desired_count, "running": service.running_count}
            yield service.arn, {**facts, "tags": _ecs_tags(service)}


def _task_definitions(ecs: Any) -> Items:
    for revisions in ecs.task_definitions.values():
        for definition in revisions.values():
            if definition.status == "ACTIVE":
                yield definition.arn, {"tags": _ecs_tags(definition)}


def _tasks(ecs: Any) -> Items:
    for tasks in ecs.tasks.values():
        for task in tasks.values():
            if task.last_status != "STOPPED":
                yield task.task_arn, {"status": task.last_status, "group": task.group}


def _container_instances(ecs: Any) -> Items:
    for instances in ecs.container_instances.values():
        for instance in instances.values():
            yield instance.container_instance_arn, {"instance": instance.ec2_instance_id}


def _buckets(s3: Any) -> Items:
    for bucket in s3.buckets.values():
        keys = sum(len(versions) for _, versions in bucket.keys.lists())
        yield bucket.name, {"versions": keys, "uploads": len(bucket.multiparts)}


def _parameters(ssm: Any) -> Items:
    for name in list(ssm._parameters.keys()):
        if not name.startswith("/aws/"):
            yield name, {}


def _names(attribute: str) -> Callable[[Any], Items]:
    return lambda backend: ((str(name), {}) for name in list(getattr(backend, attribute)))


def _ecs_tags(resource: Any) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in resource.tags or []}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


_KINDS: list[tuple[Any, dict[str, Callable[[Any], Items]]]] = [
    (
        ec2_backends,
        {
            "address": _addresses,
            "instance": _instances,
            "internet_gateway": _ec2_items("internet_gateways", "attachment_state"),
            "key_pair": _ec2_items("key_pairs"),
            "launch_template": _ec2_items("launch_templates", "name"),
            "nat_gateway": _nat_gateways,
            "network_acl": _ec2_items("network_acls", "vpc_id"),
            "network_interface": _ec2_items("enis", "vpc_id", "subnet_id", "status", "description"),
            "route_table": _ec2_items("route_tables", "vpc_id"),
            "security_group": _groups,
            "subnet": _subnets,
            "volume": _ec2_items("volumes", "size"),
            "vpc": _ec2_items("vpcs", "cidr_block"),
            "vpc_endpoint": _ec2_items("vpc_end_points", "vpc_id", "service_name", "state"),
        },
    ),
    (
        autoscaling_backends,
        {
            "auto_scaling_group": _auto_scaling_groups,
            "launch_configuration": _names("launch_configurations"),
            "scaling_policy": _names("policies"),
        },
    ),
    (
        elbv2_backends,
        {"listener": _listeners, "load_balancer": _load_balancers, "target_group": _target_groups},
    ),
    (
        iam_backends,
        {
            "instance_profile": _instance_profiles,
            "policy": _policies,
            "role": _roles(linked=False),
            "service_linked_role": _roles(linked=True),
            "user": _users,
        },
    ),
    (
        ecs_backends,
        {
            "capacity_provider": _capacity_providers,
            "container_instance": _container_instances,
            "ecs_cluster": _clusters,
            "service": _services,
            "task": _tasks,
            "task_definition": _task_definitions,
        },
    ),
    (s3_backends, {"bucket": _buckets}),
    (logs_backends, {"log_group": _names("groups")}),
    (ssm_backends, {"parameter": _parameters}),
    (acm_backends, {"certificate": _names("_certificates")}),
    (cloudwatch_backends, {"alarm": _names("alarms"), "dashboard": _names("dashboards")}),
]
