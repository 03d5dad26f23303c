"""Instances."""

import re
from collections.abc import Callable
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.iam.models import iam_backends

from ..clock import CLOCK
from ..errors import AwsError
from ..rules import strict

Original = Callable[..., Any]

_PENDING, _RUNNING, _SHUTTING_DOWN = ("pending", 0), ("running", 16), ("shutting-down", 32)


@strict.around(InstanceBackend, "run_instances")
def instance_starts(original: Original, ec2: Any, *arguments: Any, **named: Any) -> Any:
    """An instance is pending before it runs.

    AWS: AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
    """
    reservation = original(ec2, *arguments, **named)
    for instance in reservation.instances:
        instance._state = InstanceState(*_PENDING)
        CLOCK.after("instance_start", lambda instance=instance: _run(instance))
    return reservation


def _run(instance: Any) -> None:
    if instance.state == "pending":
        instance._state = InstanceState(*_RUNNING)


@strict.around(Instance, "terminate")
def instance_stops(original: Original, instance: Any) -> Any:
    """An instance shuts down before it is terminated, and keeps its interfaces, with their security groups and subnets,
    until then.

    AWS: AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
    """
    before = InstanceState(instance.state, instance.state_code)
    if instance.state in ("shutting-down", "terminated"):
        return before
    instance._state = InstanceState(*_SHUTTING_DOWN)
    CLOCK.after("instance_stop", lambda: original(instance))
    return before


@strict.around(InstanceResponse, "terminate_instances")
def termination_protection(original: Original, response: Any) -> Any:
    """An instance that is protected is not terminated, and nothing else of the same request is.

    AWS: AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html
    """
    for instance in response.ec2_backend.get_multi_instances_by_id(response._get_param("InstanceIds", [])):
        if instance.disable_api_termination:
            message = (
                f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                "attribute and try again."
            )
            raise AwsError("OperationNotPermitted", message)
    return original(response)


@termination_protection.around(InstanceResponse, "run_instances")
def _(original: Original, response: Any) -> Any:
    result = original(response)
    for instance in result.result.instances:
        instance.disable_api_termination = bool(
            response._get_param("DisableApiTermination") or instance.disable_api_termination
        )
    return result


@strict.around(InstanceBackend, "run_instances")
def launch_checks(
    original: Original, ec2: Any, image_id: str, count: int, user_data: Any, groups: list[str], **named: Any
) -> Any:
    """What is launched has an image and a type that exist and fit each other, and security groups of its VPC.

    AWS: AWSEC2/latest/APIReference/errors-overview.html
    """
    data = ec2._get_template_from_args(named["launch_template"]).data if named.get("launch_template") else {}
    image_id = image_id or data.get("ImageId", "")
    instance_type = named.get("instance_type") if not named.get("is_instance_type_default") else data.get("InstanceType")
    _check_image(ec2, image_id, instance_type or named.get("instance_type") or "")
    subnet_id = named.get("subnet_id") or next((nic.get("SubnetId") for nic in named.get("nics") or []), None)
    given = [*(named.get("security_group_ids") or []), *(data.get("SecurityGroupIds") or [])]
    for nic in [*(named.get("nics") or []), *(data.get("NetworkInterfaces") or [])]:
        given += nic.get("Groups") or nic.get("SecurityGroupId") or []
    _check_groups(ec2, subnet_id, given)
    return original(ec2, image_id, count, user_data, groups, **named)


def _check_image(ec2: Any, image_id: str, instance_type: str) -> None:
    images = ec2.describe_images(filters={"image-id": image_id}) if image_id else []
    if not images:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if instance_type not in INSTANCE_TYPES:
        raise AwsError("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    supported = INSTANCE_TYPES[instance_type].get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if supported and images[0].architecture not in supported:
        message = (
            f"The architecture '{','.join(supported)}' of the specified instance type does not match the architecture "
            f"'{images[0].architecture}' of the specified AMI."
        )
        raise AwsError("InvalidParameterValue", message)


def _check_groups(ec2: Any, subnet_id: str | None, groups: list[Any]) -> None:
    vpc_id = ec2.get_subnet(subnet_id).vpc_id if subnet_id else None
    for group_id in groups:
        group = ec2.get_security_group_from_id(group_id) if isinstance(group_id, str) else group_id
        if group is None:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if vpc_id and group.vpc_id != vpc_id:
            message = f"Security group {group.id} and subnet {subnet_id} belong to different networks."
            raise AwsError("InvalidParameter", message)


@strict.around(InstanceResponse, "run_instances")
def profile_is_ready(original: Original, response: Any) -> Any:
    """An instance profile has to have its role, and EC2 sees a new one only after some seconds.

    AWS: IAM/latest/UserGuide/troubleshoot_general.html
    """
    check_profile(response.ec2_backend, response._get_param("IamInstanceProfile") or {})
    return original(response)


def check_profile(ec2: Any, given: dict[str, str]) -> None:
    name = given.get("Name") or given.get("Arn", "").rpartition("/")[2]
    if not name:
        return
    profile = iam_backends[ec2.account_id]["aws"].instance_profiles.get(name)
    # `iam.propagation` notes when a profile got its role.
    ready = getattr(profile, "cortex_ready", 0.0)
    if profile is None or CLOCK.now() < ready:
        raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name")
    if not profile.roles:
        raise AwsError("InvalidParameterValue", f"IAM Instance Profile {profile.arn} has no associated IAM Roles")


@strict.around(LaunchTemplateBackend, "create_launch_template")
def template_checks(original: Original, ec2: Any, name: str, *arguments: Any, **named: Any) -> Any:
    """A launch template has a name of 3 to 128 characters, and user data of at most 16 KB.

    AWS: AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    AWS: AWSEC2/latest/UserGuide/user-data.html
    """
    if not re.fullmatch(r"[a-zA-Z0-9().\-/_]{3,128}", name or ""):
        raise AwsError("InvalidLaunchTemplateName.MalformedException", f"The launch template name '{name}' is invalid.")
    return original(ec2, name, *arguments, **named)


@template_checks.around(LaunchTemplate, "create_version")
def _(original: Original, template: Any, data: dict[str, Any], description: str) -> Any:
    user_data = data.get("UserData")
    if user_data is not None and len(str(user_data.as_bytes(), "ascii")) * 3 // 4 > 16 * 1024:
        raise AwsError("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
    return original(template, data, description)
