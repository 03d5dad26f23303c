"""Auto Scaling groups."""

from collections.abc import Callable
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import EmptyResult

from ..clock import CLOCK
from ..errors import AwsError
from ..rules import strict
from .instances import check_profile

Original = Callable[..., Any]


@strict.around(AutoScalingBackend, "create_auto_scaling_group")
def scaling_group_exists(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    """There is one group of a name.

    AWS: autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
    """
    if named["name"] in autoscaling.autoscaling_groups:
        message = f"AutoScalingGroup by this name already exists - A group with the name {named['name']} already exists"
        raise AwsError("AlreadyExists", message)
    return original(autoscaling, *arguments, **named)


@strict.around(AutoScalingBackend, "create_auto_scaling_group")
def scaling_group_sizes(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    """Minimum, desired capacity and maximum are in that order.

    AWS: autoscaling/ec2/userguide/asg-capacity-limits.html
    """
    _check_sizes(named.get("min_size"), named.get("desired_capacity"), named.get("max_size"))
    return original(autoscaling, *arguments, **named)


@scaling_group_sizes.around(AutoScalingBackend, "update_auto_scaling_group")
def _(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    group = autoscaling.autoscaling_groups.get(named["name"])
    if group is not None:
        low = group.min_size if named.get("min_size") is None else named["min_size"]
        high = group.max_size if named.get("max_size") is None else named["max_size"]
        _check_sizes(low, named.get("desired_capacity"), high)
    return original(autoscaling, *arguments, **named)


@scaling_group_sizes.around(AutoScalingResponse, "set_desired_capacity")
def _(original: Original, response: Any) -> Any:
    name, wanted = response._get_param("AutoScalingGroupName"), response._get_int_param("DesiredCapacity")
    group = response.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError("AutoScalingGroup name not found - null")
    if not group.min_size <= wanted <= group.max_size:
        side = "above max" if wanted > group.max_size else "below min"
        raise ValidationError(f"New SetDesiredCapacity value {wanted} is {side} value {group.max_size} for the AutoScalingGroup.")
    return original(response)


def _check_sizes(low: Any, wanted: Any, high: Any) -> None:
    if int(low) > int(high):
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if wanted is not None and not int(low) <= int(wanted) <= int(high):
        raise ValidationError("Desired capacity must be between the specified min size and max size")


@strict.around(AutoScalingBackend, "create_auto_scaling_group")
def scaling_group_template(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    """A group is made of subnets that exist, in one VPC, and of a template that can launch: its version, profile and
    security groups exist.

    AWS: autoscaling/ec2/userguide/ts-as-launch-template.html
    """
    _check_template(autoscaling, named)
    return original(autoscaling, *arguments, **named)


@scaling_group_template.around(AutoScalingBackend, "update_auto_scaling_group")
def _(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    _check_template(autoscaling, named)
    return original(autoscaling, *arguments, **named)


def _check_template(autoscaling: Any, named: dict[str, Any]) -> None:
    ec2 = autoscaling.ec2_backend
    try:
        subnets = [ec2.get_subnet(each) for each in (named.get("vpc_zone_identifier") or "").split(",") if each]
        policy = named.get("mixed_instances_policy") or {}
        given = named.get("launch_template") or policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
        if given:
            version = ec2._get_template_from_args({"Version": "$Default", **given})
            check_profile(ec2, version.data.get("IamInstanceProfile") or {})
            for group_id in _groups_of(version.data):
                if ec2.get_security_group_from_id(group_id) is None:
                    raise ValidationError(f"The security group '{group_id}' does not exist")
    except ValidationError:
        raise
    except (ServiceException, IndexError) as error:
        message = getattr(error, "message", "the version does not exist")
        raise ValidationError(f"You must use a valid fully-formed launch template. {message}") from error
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise ValidationError("The subnets of a group belong to one VPC")


def _groups_of(data: dict[str, Any]) -> list[str]:
    groups = list(data.get("SecurityGroupIds") or [])
    for nic in data.get("NetworkInterfaces") or []:
        groups += nic.get("Groups") or []
    return groups


@strict.around(AutoScalingResponse, "delete_auto_scaling_group")
def scaling_group_in_use(original: Original, response: Any) -> Any:
    """A group with instances is deleted only by force. It takes its instances along, and is there until they are gone.

    AWS: autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
    """
    backend, name = response.autoscaling_backend, response._get_param("AutoScalingGroupName")
    group = backend.autoscaling_groups.get(name)
    if group is None or not group.instance_states:
        return original(response)
    if not response._get_bool_param("ForceDelete", False):
        message = (
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still "
            "in the group."
        )
        raise AwsError("ResourceInUse", message)
    if getattr(group, "status", None) == "Delete in progress":
        raise AwsError("ScalingActivityInProgress", f"Activity in progress. Group {name} is being deleted.")
    _delete_slowly(backend, group)
    return EmptyResult()


def _delete_slowly(backend: Any, group: Any) -> None:
    group.status = "Delete in progress"
    for state in group.instance_states:
        state.lifecycle_state = "Terminating"
        state.protected_from_scale_in = False
    ids = [state.instance.id for state in group.instance_states]
    group.min_size = group.desired_capacity = 0
    for instance in backend.ec2_backend.get_multi_instances_by_id(ids):
        instance.terminate()
    backend.elbv2_backend.notify_terminate_instances(ids)

    def gone() -> None:
        group.instance_states = []
        if backend.autoscaling_groups.get(group.name) is group:
            del backend.autoscaling_groups[group.name]

    CLOCK.after("group_delete", gone)


@strict.around(FakeAutoScalingGroup, "active_instances")
def instance_lifecycle(original: Original, group: Any) -> list[Any]:
    """An instance of a group is pending until it runs, and counts from its launch.

    AWS: autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
    """
    for state in group.instance_states:
        if state.lifecycle_state == "Pending" and state.instance.state == "running":
            state.lifecycle_state = "InService"
    return [state for state in group.instance_states if state.lifecycle_state in ("InService", "Pending")]


@instance_lifecycle.around(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
def _(original: Original, group: Any, count_needed: int, tags: dict[str, str]) -> None:
    original(group, count_needed, tags)
    for state in group.instance_states:
        if state.instance.state == "pending":
            state.lifecycle_state = "Pending"


@instance_lifecycle.around(AutoScalingBackend, "describe_auto_scaling_groups")
def _(original: Original, autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    groups = original(autoscaling, *arguments, **named)
    for group in groups:
        group.active_instances()
    return groups


@instance_lifecycle.around(AutoScalingBackend, "update_attached_target_groups")
def _(original: Original, autoscaling: Any, group_name: str) -> None:
    """Only what runs is registered; `target_health` is asked later and does the rest."""
    group = autoscaling.autoscaling_groups[group_name]
    pending = [state for state in group.instance_states if state.instance.state != "running"]
    group.instance_states = [state for state in group.instance_states if state not in pending]
    try:
        original(autoscaling, group_name)
    finally:
        group.instance_states += pending
    for state in pending:
        CLOCK.after("instance_start", lambda state=state: _register(autoscaling, group, state))


def _register(autoscaling: Any, group: Any, state: Any) -> None:
    current = autoscaling.autoscaling_groups.get(group.name) is group and state in group.instance_states
    if current and state.instance.state == "running":
        for arn in group.target_group_arns:
            target_group = autoscaling.elbv2_backend.target_groups.get(arn)
            if target_group is not None and state.instance.id not in target_group.targets:
                target_group.register([{"Id": state.instance.id}])
