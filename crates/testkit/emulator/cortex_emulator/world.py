"""Questions about what moto stores that several rules ask."""

from collections.abc import Iterator
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

# AWS: ElasticLoadBalancing/latest/APIReference/API_CreateLoadBalancer.html
ELB_OWNER = "amazon-elb"


def tags_of(arn: str) -> dict[str, str]:
    """The tags of a resource of EC2, Elastic Load Balancing, Auto Scaling or ECS's capacity providers; none for others
    and for what is not there."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[3] or not parts[4].isdigit():
        return {}
    _, _, service, region, account, rest = parts
    if service == "ec2":
        return dict(ec2_backends[account][region].tags.get(rest.partition("/")[2], {}))
    if service == "elasticloadbalancing":
        return elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(arn)
    if service == "autoscaling":
        group = autoscaling_backends[account][region].autoscaling_groups.get(arn.rpartition("/")[2])
        return {tag["Key"]: tag["Value"] for tag in group.tags} if group else {}
    if service == "ecs" and rest.startswith("capacity-provider/"):
        provider = ecs_backends[account][region].capacity_providers.get(rest.rpartition("/")[2])
        return {tag["key"]: tag["value"] for tag in provider.tags or []} if provider else {}
    return {}


def interfaces(ec2: EC2Backend, vpc_id: str) -> Iterator[Any]:
    return (eni for eni in list(ec2.enis.values()) if eni.vpc_id == vpc_id)


def interfaces_in(ec2: EC2Backend, subnet_id: str) -> list[Any]:
    return [eni for eni in ec2.enis.values() if eni.subnet_id == subnet_id]


def interfaces_with(ec2: EC2Backend, group_id: str) -> list[Any]:
    return [eni for eni in ec2.enis.values() if any(group.id == group_id for group in eni.group_set)]


def references_to(ec2: EC2Backend, group_id: str) -> list[str]:
    """The other security groups that have rules about this one."""
    groups = [group for by_id in ec2.groups.values() for group in by_id.values() if group.id != group_id]
    return [
        group.id
        for group in groups
        if any(rule.source_group.get("GroupId") == group_id for rule in group.ingress_rules + group.egress_rules)
    ]


def internet_gateway(ec2: EC2Backend, vpc_id: str) -> Any | None:
    gateways = (gateway for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id)
    return next(gateways, None)


def all_groups(ec2: EC2Backend, vpc_id: str) -> list[Any]:
    return list(ec2.groups.get(vpc_id, {}).values())


def live_endpoints(ec2: EC2Backend, vpc_id: str) -> list[Any]:
    return [endpoint for endpoint in ec2.vpc_end_points.values() if endpoint.vpc_id == vpc_id]


def group_of(ec2: EC2Backend, instance_id: str) -> Any | None:
    """The Auto Scaling group that this instance belongs to."""
    groups = autoscaling_backends[ec2.account_id][ec2.region_name].autoscaling_groups.values()
    return next((group for group in groups if any(state.instance.id == instance_id for state in group.instance_states)), None)
