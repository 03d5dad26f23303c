"""Auto Scaling groups."""

import copy
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from moto.autoscaling.models import (
    ASG_NAME_TAG,
    AutoScalingBackend,
    FakeAutoScalingGroup,
    InstanceState,
)
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from ..rules import fixes

Original = Callable[..., Any]


@fixes.around(AutoScalingBackend, "notify_terminate_instances")
def replacements_are_targets(original: Original, autoscaling: Any, instance_ids: list[str]) -> None:
    """What replaces a lost instance is registered with the group's target groups as the lost one was.

    AWS: autoscaling/ec2/userguide/attach-load-balancer-asg.html
    """
    original(autoscaling, instance_ids)
    for name in list(autoscaling.autoscaling_groups):
        autoscaling.update_attached_target_groups(name)


@fixes.around(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
def spread_over_zones(_original: Original, group: Any, count_needed: int, tags: dict[str, str]) -> None:
    """A group spreads its instances over its zones, and launches the template version that it was given.

    AWS: autoscaling/ec2/userguide/auto-scaling-benefits.html
    AWS: autoscaling/ec2/userguide/launch-templates.html
    """
    for _ in range(count_needed):
        subnet = _emptiest_subnet(group)
        try:
            instance = _launch(group, subnet, {**tags, ASG_NAME_TAG: group.name})
        except ServiceException as error:
            # Whoever asked for more instances is not told: it is a failed activity of the group.
            group.cortex_failures = [*getattr(group, "cortex_failures", []), f"{error.code}: {error.message}"]
            return
        instance.autoscaling_group = group
        state = InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
        state.cortex_template = _template(group)
        group.instance_states.append(state)


def _emptiest_subnet(group: Any) -> Any | None:
    if not group.vpc_zone_identifier:
        return None
    subnets = group.ec2_backend.describe_subnets(subnet_ids=group.vpc_zone_identifier.split(","))
    used = Counter(state.availability_zone for state in group.instance_states)
    return min(subnets, key=lambda subnet: (used[subnet.availability_zone], subnet.availability_zone))


def _launch(group: Any, subnet: Any | None, tags: dict[str, str]) -> Any:
    named: dict[str, Any] = {
        "tags": {"instance": {**group.instance_tags, **tags}},
        "instance_type": _instance_type(group),
        "is_instance_type_default": False,
        "subnet_id": subnet.id if subnet else None,
        "placement": subnet.availability_zone if subnet else group.availability_zones[0],
        "region_name": group.region,
        "launch_template": _template(group),
        "launch_config": group.launch_config,
        "associate_public_ip": group.launch_config.associate_public_ip_address if group.launch_config else None,
    }
    if _next_is_spot(group):
        named["instance_market_options"] = "spot"
    reservation = group.ec2_backend.run_instances(group.image_id, 1, group.user_data, group.security_groups, **named)
    return reservation.instances[0]


def _template(group: Any) -> dict[str, str] | None:
    template = group.ec2_launch_template
    if template is None:
        return None
    version = template.get_version(group.launch_template_version)
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": str(version.number),
    }


def _policy(group: Any, part: str) -> dict[str, Any]:
    return (group.mixed_instances_policy or {}).get(part) or {}


def _instance_type(group: Any) -> str:
    overrides = _policy(group, "LaunchTemplate").get("Overrides") or []
    return next((each["InstanceType"] for each in overrides if each.get("InstanceType")), group.instance_type)


def _next_is_spot(group: Any) -> bool:
    distribution = _policy(group, "InstancesDistribution")
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    above = distribution.get("OnDemandPercentageAboveBaseCapacity")
    percentage = 100 if above is None else int(above)
    if not distribution:
        return False
    total = len(group.instance_states) + 1
    on_demand = sum(state.instance.lifecycle != "spot" for state in group.instance_states)
    return on_demand >= base + math.ceil(max(total - base, 0) * percentage / 100)


@spread_over_zones.around(InstanceState, "launch_template")
def _(original: Original, state: Any) -> dict[str, Any] | None:
    return getattr(state, "cortex_template", None) or original(state)


@fixes.around(FakeAutoScalingGroup, "set_desired_capacity")
def scale_in(original: Original, group: Any, new_capacity: int | None) -> None:
    """What scales in leaves its target groups, and the oldest go first, from the zone that has most.

    AWS: autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
    """
    order = [state.instance.id for state in group.instance_states]
    before = set(order)
    used = Counter(state.availability_zone for state in group.instance_states)
    group.instance_states.sort(key=lambda state: (-used[state.availability_zone], order.index(state.instance.id)))
    original(group, new_capacity)
    # Moto makes a set of them, whose order is no order.
    place = {instance_id: index for index, instance_id in enumerate(order)}
    group.instance_states.sort(key=lambda state: place.get(state.instance.id, len(place)))
    gone = before - {state.instance.id for state in group.instance_states}
    if gone:
        group.autoscaling_backend.elbv2_backend.notify_terminate_instances(list(gone))


@fixes.around(FakeAutoScalingGroup, "_set_azs_and_vpcs")
def zones_once(original: Original, group: Any, *arguments: Any, **named: Any) -> None:
    """A group has each of its zones once, however many subnets it has there.

    AWS: autoscaling/ec2/APIReference/API_AutoScalingGroup.html
    """
    original(group, *arguments, **named)
    if getattr(group, "availability_zones", None):
        group.availability_zones = sorted(set(group.availability_zones))


@fixes.around(FakeAutoScalingGroup, "update")
def keep_the_template(original: Original, group: Any, *arguments: Any, **named: Any) -> None:
    """An update that says nothing of instance types keeps the mixed-instances policy.

    AWS: autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
    """
    launches_otherwise = named.get("launch_template") or named.get("launch_config_name")
    if named.get("mixed_instances_policy") is None and not launches_otherwise:
        kept = copy.deepcopy(group.mixed_instances_policy)
        if kept:
            # Moto has added the name to the id, and takes only one of them.
            kept["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
        named["mixed_instances_policy"] = kept
    original(group, *arguments, **named)


@fixes.around(AutoScalingResponse, "put_scaling_policy")
def policy_arn(original: Original, response: Any) -> Any:
    """A scaling policy has an ARN, and the answer says it.

    AWS: autoscaling/ec2/APIReference/API_PutScalingPolicy.html
    """
    result = original(response)
    policy = response.autoscaling_backend.policies[response._get_param("PolicyName")]
    given = result.result if isinstance(result, ActionResult) and isinstance(result.result, dict) else {}
    return ActionResult({**given, "PolicyARN": policy.arn})


@fixes.around(AutoScalingResponse, "describe_scaling_activities")
def scaling_activities(_original: Original, response: Any) -> Any:
    """What a group has launched is listed as activities.

    AWS: autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
    """
    backend: AutoScalingBackend = response.autoscaling_backend
    asked = response._get_param("AutoScalingGroupName")
    activities = [
        {
            "ActivityId": f"launch-{state.instance.id}",
            "AutoScalingGroupName": group.name,
            "Description": f"Launching a new EC2 instance: {state.instance.id}",
            "Cause": "a difference between desired and actual capacity",
            "StartTime": state.instance.launch_time,
            "EndTime": state.instance.launch_time,
            "StatusCode": "Successful" if state.lifecycle_state == "InService" else "InProgress",
            "Progress": 100 if state.lifecycle_state == "InService" else 50,
        }
        for group in backend.autoscaling_groups.values()
        if asked in (None, group.name)
        for state in group.instance_states
    ]
    activities += [
        {
            "ActivityId": f"failed-{group.name}-{number}",
            "AutoScalingGroupName": group.name,
            "Description": "Launching a new EC2 instance.",
            "Cause": "a difference between desired and actual capacity",
            "StartTime": utcnow(),
            "StatusCode": "Failed",
            "StatusMessage": failure,
            "Progress": 100,
        }
        for group in backend.autoscaling_groups.values()
        if asked in (None, group.name)
        for number, failure in enumerate(getattr(group, "cortex_failures", []))
    ]
    return ActionResult({"Activities": activities})
