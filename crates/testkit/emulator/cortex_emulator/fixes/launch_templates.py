"""Launch templates, and instances that are made from them."""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import convert_tag_spec, parse_user_data

from ..errors import AwsError
from ..rules import fixes

Original = Callable[..., Any]

# Names of template fields, and of moto's arguments for the same.
_PLAIN = {
    "EbsOptimized": "ebs_optimized",
    "DisableApiStop": "disable_api_stop",
    "HibernationOptions": "hibernation_options",
    "InstanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
    "MetadataOptions": "metadata_options",
    "NetworkInterfaces": "nics",
}


@fixes.around(LaunchTemplates, "create_launch_template_version")
def source_version(original: Original, response: Any) -> Any:
    """A template version made from another has its data, but for what is given anew.

    AWS: AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
    """
    data = response._get_param("LaunchTemplateData", {})
    if data.get("UserData") is not None and not isinstance(data["UserData"], Base64EncodedString):
        data["UserData"] = parse_user_data(data["UserData"])
    source = response._get_param("SourceVersion")
    if source is not None:
        name = response._get_param("LaunchTemplateName")
        ec2 = response.ec2_backend
        template = (
            ec2.get_launch_template_by_name(name)
            if name
            else ec2.get_launch_template(response._get_param("LaunchTemplateId"))
        )
        data = {**copy.deepcopy(template.get_version(source).data), **data}
    response.params["LaunchTemplateData"] = data
    return original(response)


@fixes.around(LaunchTemplateBackend, "create_launch_template")
def template_tags(original: Original, ec2: Any, name: str, text: str, data: dict[str, Any], tags: Any) -> Any:
    """The tags of a launch template are not among those that it gives to what it launches.

    AWS: AWSEC2/latest/APIReference/API_LaunchTemplateTagSpecificationRequest.html
    """
    specifications = data.get("TagSpecifications", [])
    data["TagSpecifications"] = [each for each in specifications if each.get("ResourceType") != "launch-template"]
    return original(ec2, name, text, data, tags)


@fixes.around(LaunchTemplateBackend, "describe_launch_templates")
def unknown_templates(
    original: Original, ec2: Any, template_names: Any = None, template_ids: Any = None, filters: Any = None
) -> Any:
    """Asking for a launch template that does not exist is an error.

    AWS: AWSEC2/latest/APIReference/errors-overview.html
    """
    for template_id in template_ids or []:
        if template_id not in ec2.launch_templates:
            message = f"The specified launch template, with template ID {template_id}, does not exist."
            raise AwsError("InvalidLaunchTemplateId.NotFound", message)
    return original(ec2, template_names, template_ids, filters)


@fixes.around(InstanceBackend, "run_instances")
def launch_from_template(
    original: Original, ec2: Any, image_id: str, count: int, user_data: Any, groups: list[str], **named: Any
) -> Any:
    """An instance has all that its launch template says: metadata options, disks, profile, interfaces, tags, market.

    AWS: AWSEC2/latest/APIReference/API_ResponseLaunchTemplateData.html
    """
    argument = named.get("launch_template")
    if not argument:
        return original(ec2, image_id, count, user_data, groups, **named)
    data = copy.deepcopy(ec2._get_template_from_args(argument).data)
    _take_over(named, data)
    _take_disks(named, data)
    specified = convert_tag_spec(data.get("TagSpecifications", []))
    tags = named.get("tags") or {}
    kinds = set(specified) | set(tags)
    named["tags"] = {kind: {**specified.get(kind, {}), **tags.get(kind, {})} for kind in kinds}
    interface_tags = named["tags"].get("network-interface", {})
    reservation = original(ec2, image_id or data.get("ImageId", ""), count, user_data, groups, **named)
    for instance in reservation.instances:
        for nic in instance.nics.values():
            nic.add_tags(interface_tags)
        _give_profile(ec2, instance, named, data.get("IamInstanceProfile") or {})
    return reservation


def _take_over(named: dict[str, Any], data: dict[str, Any]) -> None:
    for field, argument in _PLAIN.items():
        if data.get(field) and not named.get(argument):
            named[argument] = data[field]
    if data.get("Monitoring", {}).get("Enabled"):
        named["monitoring_state"] = "enabled"
    if data.get("DisableApiTermination") and not named.get("disable_api_termination"):
        named["disable_api_termination"] = True
    market = data.get("InstanceMarketOptions", {}).get("MarketType")
    if market and not named.get("instance_market_options"):
        named["instance_market_options"] = market
    if named.get("nics"):
        # The subnet of the request is the first interface's; the groups are the interface's.
        first = named["nics"][0]
        first.setdefault("DeviceIndex", 0)
        if named.get("subnet_id"):
            first["SubnetId"] = named["subnet_id"]
        named["associate_public_ip"] = first.get("AssociatePublicIpAddress", named.get("associate_public_ip"))


def _take_disks(named: dict[str, Any], data: dict[str, Any]) -> None:
    if "block_device_mappings" in named or not data.get("BlockDeviceMappings"):
        return
    # Moto adds a disk of its own unless mappings are given, and reads the keys that it has parsed itself.
    named["block_device_mappings"] = [{"NoDevice": None, **each} for each in data["BlockDeviceMappings"]]


def _give_profile(ec2: Any, instance: Any, named: dict[str, Any], profile: dict[str, str]) -> None:
    if named.get("iam_instance_profile_name") or named.get("iam_instance_profile_arn") or not profile:
        return
    ec2.associate_iam_instance_profile(
        instance.id, iam_instance_profile_name=profile.get("Name"), iam_instance_profile_arn=profile.get("Arn")
    )


@fixes.around(InstanceResponse, "run_instances")
def maximum_count(original: Original, response: Any) -> Any:
    """As many instances are launched as there is room for, up to `MaxCount`, each with the profile.

    AWS: AWSEC2/latest/APIReference/API_RunInstances.html
    """
    response.params["MinCount"] = response._get_param("MaxCount") or response._get_param("MinCount")
    result = original(response)
    profile = response._get_param("IamInstanceProfile") or {}
    for instance in result.result.instances[1:] if profile else []:
        response.ec2_backend.associate_iam_instance_profile(
            instance.id, iam_instance_profile_name=profile.get("Name"), iam_instance_profile_arn=profile.get("Arn")
        )
    return result


@fixes.around(Instance, "setup_defaults")
def root_device(_original: Original, instance: Any) -> None:
    """The disk of an instance is the one that its image names.

    AWS: AWSEC2/latest/UserGuide/device_naming.html
    """
    volume = instance.ec2_backend.create_volume(size=8, zone_name=instance._placement.zone)
    instance.ec2_backend.attach_volume(volume.id, instance.id, instance.root_device_name, True)
