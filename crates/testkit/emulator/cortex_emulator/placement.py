"""Where a task goes: the ECS container instances, what they have, and which of them fits.

AWS: AmazonECS/latest/developerguide/task-placement.html
"""

import re
from collections import Counter
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES

from .tasks import STOPPED, ServiceTask

# What the agent keeps for the system, about. AWS: AmazonECS/latest/developerguide/memory-management.html
_MEMORY_SHARE = 0.93


def size_of(instance_type: str) -> dict[str, int]:
    """What an instance of that type offers to tasks."""
    facts = INSTANCE_TYPES.get(instance_type, {})
    gpus = facts.get("GpuInfo", {}).get("Gpus", [])
    return {
        "CPU": int(facts.get("VCpuInfo", {}).get("DefaultVCpus", 2)) * 1024,
        "MEMORY": int(facts.get("MemoryInfo", {}).get("SizeInMiB", 4096) * _MEMORY_SHARE),
        "GPU": sum(int(gpu.get("Count", 1)) for gpu in gpus),
    }


def group_of_provider(ecs: Any, provider: Any) -> Any | None:
    """The Auto Scaling group behind a capacity provider."""
    name = provider.auto_scaling_group_provider["autoScalingGroupArn"].rpartition("/")[2]
    return autoscaling_backends[ecs.account_id][ecs.region_name].autoscaling_groups.get(name)


def provider_of_instance(ecs: Any, cluster: Any, instance_id: str) -> str | None:
    for name in cluster.capacity_providers or []:
        provider = ecs._get_provider(name)
        group = group_of_provider(ecs, provider) if provider and provider.auto_scaling_group_provider else None
        if group is not None and any(state.instance.id == instance_id for state in group.instance_states):
            return str(provider.name)
    return None


def remaining(instance: Any) -> dict[str, int]:
    found = {each["name"]: each.get("integerValue", 0) for each in instance.remaining_resources}
    return {name: int(found.get(name, 0)) for name in ("CPU", "MEMORY", "GPU")}


def fits(instance: Any, needs: dict[str, Any]) -> bool:
    free = remaining(instance)
    taken = next((each["stringSetValue"] for each in instance.remaining_resources if each["name"] == "PORTS"), [])
    return all(needs.get(name, 0) <= free[name] for name in free) and not any(
        str(port) in taken for port in needs["PORTS"]
    )


def choose(ecs: Any, service: Any, task: ServiceTask) -> Any | None:
    """The emptiest instance that fits, spread over zones; None if there is none."""
    instances = [
        instance
        for instance in ecs.container_instances.get(service.cluster_name, {}).values()
        if instance.status == "ACTIVE"
        and instance.agent_connected
        and (not task.capacity_provider_name or instance.capacity_provider_name == task.capacity_provider_name)
        and fits(instance, task.resource_requirements)
    ]
    others = [
        other
        for other in ecs.tasks.get(service.cluster_name, {}).values()
        if isinstance(other, ServiceTask) and other.status != STOPPED and other.group == task.group
    ]
    on_instance = Counter(other.container_instance_arn for other in others)
    constraints = [*(service.placement_constraints or []), *(task.definition.placement_constraints or [])]
    instances = [each for each in instances if _allowed(each, constraints, on_instance)]
    in_zone = Counter(other.availability_zone for other in others if other.container_instance_arn)
    return min(
        instances,
        key=lambda each: (
            in_zone[each.attributes.get("ecs.availability-zone")],
            on_instance[each.container_instance_arn],
            -remaining(each)["MEMORY"],
        ),
        default=None,
    )


def _allowed(instance: Any, constraints: list[dict[str, Any]], on_instance: Counter[str]) -> bool:
    for constraint in constraints:
        if constraint["type"] == "distinctInstance" and on_instance[instance.container_instance_arn]:
            return False
        if constraint["type"] == "memberOf" and not _is_member(instance, constraint["expression"]):
            return False
    return True


def _is_member(instance: Any, expression: str) -> bool:
    """`attribute:name == value`, `!=`, `in [a, b]` and `exists`; the rest of the language matches nothing.

    AWS: AmazonECS/latest/developerguide/cluster-query-language.html
    """
    found = re.fullmatch(r"\s*attribute:(\S+)\s+(==|!=|in|exists)\s*(.*?)\s*", expression)
    if found is None:
        return False
    actual = instance.attributes.get(found[1])
    values = [value.strip() for value in found[3].strip("[]").split(",")]
    tests = {
        "exists": actual is not None,
        "==": actual == found[3],
        "!=": actual != found[3],
        "in": actual in values,
    }
    return tests[found[2]]


def fits_on_new(ecs: Any, provider: Any, waiting: list[ServiceTask]) -> int:
    """How many new instances of a capacity provider those tasks need, packed first-fit."""
    group = group_of_provider(ecs, provider)
    if group is None:
        return 0
    size = size_of(group.instance_type)
    bins: list[dict[str, int]] = []
    for task in waiting:
        needs = {name: int(task.resource_requirements.get(name, 0)) for name in size}
        place = next((each for each in bins if all(needs[name] <= each[name] for name in size)), None)
        if place is None:
            if any(needs[name] > size[name] for name in size):
                continue  # fits on no instance of that type, however many there are
            place = dict(size)
            bins.append(place)
        for name in size:
            place[name] -= needs[name]
    return len(bins)


def is_gone(ecs: Any, instance_id: str) -> bool:
    ec2 = ec2_backends[ecs.account_id][ecs.region_name]
    instance = ec2.get_instance_by_id(instance_id)
    return instance is None or instance.state in ("shutting-down", "terminated")
