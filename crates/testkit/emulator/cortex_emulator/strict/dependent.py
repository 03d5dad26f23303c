"""Permissions that a request needs besides its own: to pass roles, to launch by a template, to tag what it creates, to make
service-linked roles.

They only count when policies are enforced, like all permissions.
"""

from collections.abc import Callable
from typing import Any

import xmltodict
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse
from moto.ec2.responses.iam_instance_profiles import IamInstanceProfiles
from moto.ec2.responses.instances import InstanceResponse
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.iam.access_control import PermissionResult
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.s3.models import FakeBucket, S3Backend

from .. import policy, principals
from ..actions import EC2_CREATES, resources_of, s3_arn
from ..context import tags_in
from ..gate import GATE
from ..policy import listed
from ..rules import strict

Original = Callable[..., Any]

# What a service asks for when a request gives tags.
_TAGGING = {
    "autoscaling": {"CreateAutoScalingGroup": "CreateOrUpdateTags"},
    "ec2": dict.fromkeys(EC2_CREATES, "CreateTags"),
    "ecs": dict.fromkeys(
        ["CreateCapacityProvider", "CreateCluster", "CreateService", "RegisterTaskDefinition", "RunTask"], "TagResource"
    ),
    "elasticloadbalancing": dict.fromkeys(["CreateListener", "CreateLoadBalancer", "CreateTargetGroup"], "AddTags"),
    "iam": {"CreateInstanceProfile": "TagInstanceProfile", "CreatePolicy": "TagPolicy", "CreateRole": "TagRole"},
    "logs": {"CreateLogGroup": "TagResource"},
}
# Which service makes its role when it is first used.
# AWS: IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
_LINKED = {
    ("autoscaling", "CreateAutoScalingGroup"): "autoscaling.amazonaws.com",
    ("ecs", "CreateCluster"): "ecs.amazonaws.com",
    ("elasticloadbalancing", "CreateLoadBalancer"): "elasticloadbalancing.amazonaws.com",
}


@strict.around(InstanceResponse, "run_instances")
def pass_role(original: Original, response: Any) -> Any:
    """Who gives a role to a service needs `iam:PassRole` on it: to put it into an instance profile, for instance profiles,
    also those of launch templates that a group is to use, and for task definitions.

    AWS: IAM/latest/UserGuide/id_roles_use_passrole.html
    AWS: IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
    AWS: autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    given = response._get_param("IamInstanceProfile")
    template = response._get_param("LaunchTemplate")
    _pass_profile(response, given or _profile_of(response.ec2_backend, template))
    return original(response)


@pass_role.around(IamInstanceProfiles, "associate_iam_instance_profile")
def _(original: Original, response: Any) -> Any:
    _pass_profile(response, response._get_param("IamInstanceProfile"))
    return original(response)


@pass_role.around(AutoScalingResponse, "create_auto_scaling_group")
def _(original: Original, response: Any) -> Any:
    version = _version_of(response)
    _pass_profile(response, version.data.get("IamInstanceProfile") if version else None)
    return original(response)


@pass_role.around(AutoScalingResponse, "update_auto_scaling_group")
def _(original: Original, response: Any) -> Any:
    version = _version_of(response)
    _pass_profile(response, version.data.get("IamInstanceProfile") if version else None)
    return original(response)


@pass_role.around(IamResponse, "add_role_to_instance_profile")
def _(original: Original, response: Any) -> Any:
    name = response._get_param("RoleName")
    roles = iam_backends[response.current_account]["aws"].get_roles()
    for role in (role for role in roles if role.name == name):
        GATE.require("iam:PassRole", (role.arn,), {"iam:PassedToService": "ec2.amazonaws.com"})
    return original(response)


@pass_role.around(EC2ContainerServiceResponse, "register_task_definition")
def _(original: Original, response: Any) -> Any:
    for parameter in ("taskRoleArn", "executionRoleArn"):
        arn = response._get_param(parameter)
        if arn:
            full = arn if arn.startswith("arn:") else f"arn:aws:iam::{response.current_account}:role/{arn}"
            GATE.require("iam:PassRole", (full,), {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    return original(response)


def _template_of(response: Any) -> dict[str, str] | None:
    policy = response._get_param("MixedInstancesPolicy") or {}
    given = policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    return response._get_param("LaunchTemplate") or given


def _version_of(response: Any) -> Any | None:
    """The template's version that a group is to use. What is wrong with it, the operation itself says."""
    template = _template_of(response)
    try:
        return response.autoscaling_backend.ec2_backend._get_template_from_args(template) if template else None
    except ServiceException:
        return None


@strict.around(AutoScalingResponse, "create_auto_scaling_group")
def launch_by_template(original: Original, response: Any) -> Any:
    """Who has a group use a launch template has to be allowed to launch by it: `ec2:RunInstances` on all that it names,
    and `ec2:CreateTags` for the tags that it gives.

    AWS: autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    _launch(response)
    return original(response)


@launch_by_template.around(AutoScalingResponse, "update_auto_scaling_group")
def _(original: Original, response: Any) -> Any:
    _launch(response)
    return original(response)


def _launch(response: Any) -> None:
    version = _version_of(response)
    if version is None:
        return
    region, account, data, template = response.region, response.current_account, version.data, version.template.id

    def arn(kind: str, name: str, owner: str = account) -> tuple[str]:
        return (f"arn:aws:ec2:{region}:{owner}:{kind}/{name}",)

    subnets = (response._get_param("VPCZoneIdentifier") or "").split(",")
    interfaces = data.get("NetworkInterfaces") or []
    interfaces = list(interfaces.values()) if isinstance(interfaces, dict) else interfaces
    groups = {group for each in interfaces for group in _texts(each.get("Groups") or each.get("SecurityGroupId"))}
    groups |= set(_texts(data.get("SecurityGroupIds")))
    resources = [arn("launch-template", template), arn("image", data.get("ImageId", "*"), "")]
    resources += [arn("subnet", subnet) for subnet in subnets if subnet]
    resources += [arn("security-group", group) for group in sorted(groups)]
    resources += [arn(kind, "*") for kind in EC2_CREATES["RunInstances"]]
    context = {"ec2:LaunchTemplate": arn("launch-template", template)[0]}
    for resource in resources:
        GATE.require("ec2:RunInstances", resource, context)
    for given in data.get("TagSpecifications") or []:
        tags = {tag["Key"]: tag["Value"] for tag in given.get("Tags") or given.get("Tag") or []}
        extra = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        extra |= {"ec2:CreateAction": "RunInstances"}
        GATE.require("ec2:CreateTags", arn(given["ResourceType"], "*"), extra)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return [value] if isinstance(value, str) else [text for each in value or [] for text in _texts(each)]


def _profile_of(ec2: Any, template: dict[str, str] | None) -> dict[str, str] | None:
    if not template:
        return None
    try:
        return ec2._get_template_from_args(template).data.get("IamInstanceProfile")
    except ServiceException:
        return None  # what is wrong with the template, the operation itself says


def _pass_profile(response: Any, given: dict[str, str] | None) -> None:
    if not given:
        return
    name = given.get("Name") or given.get("Arn", "").rpartition("/")[2]
    profile = iam_backends[response.current_account]["aws"].instance_profiles.get(name)
    for role in profile.roles if profile else []:
        GATE.require("iam:PassRole", (role.arn,), {"iam:PassedToService": "ec2.amazonaws.com"})


@strict.around(BaseResponse, "call_action")
def tag_on_create(original: Original, response: Any) -> Any:
    """Who gives tags to what he creates needs the permission to tag it.

    AWS: AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    AWS: elasticloadbalancing/latest/userguide/tagging-resources-during-creation.html
    """
    request = GATE.request
    action = _TAGGING.get(request.service, {}).get(request.action) if request else None
    if request is None or action is None:
        return original(response)
    for kind, tags in tags_in(request).items():
        if not tags or (request.service == "ec2" and kind not in EC2_CREATES[request.action]):
            continue
        extra = {f"{request.service}:CreateAction": request.action}
        if request.service == "ec2":
            place = f"{request.region}:{response.current_account}"
            _require(response, "ec2:CreateTags", (f"arn:aws:ec2:{place}:{kind}/*",), extra)
        else:
            for forms in resources_of(request, response.current_account):
                _require(response, f"{request.service}:{action}", forms, extra)
    return original(response)


def _require(_response: Any, action: str, forms: tuple[str, ...], extra: dict[str, Any]) -> None:
    GATE.require(action, forms, extra)


@strict.around(BaseResponse, "call_action")
def linked_roles(original: Original, response: Any) -> Any:
    """The first load balancer, Auto Scaling group or ECS cluster of an account makes the service's role, and needs the
    permission to.

    AWS: IAM/latest/UserGuide/create-service-linked-role.html
    """
    request = GATE.request
    service = _LINKED.get((request.service, request.action)) if request else None
    if service is not None:
        iam = iam_backends[response.current_account][principals.PARTITION]
        path = f"/aws-service-role/{service}/"
        if not any(role.path == path for role in iam.get_roles()):
            arn = f"arn:aws:iam::{response.current_account}:role{path}*"
            GATE.require("iam:CreateServiceLinkedRole", (arn,), {"iam:AWSServiceName": service})
            iam.create_service_linked_role(service, "", "")
    return original(response)




@strict.around(EC2ContainerServiceResponse, "create_capacity_provider")
def managed_groups(original: Original, response: Any) -> Any:
    """ECS tags the Auto Scaling group of a new capacity provider in the name of who makes it.

    AWS: AmazonECS/latest/developerguide/asg-capacity-providers.html
    """
    group = (response._get_param("autoScalingGroupProvider") or {}).get("autoScalingGroupArn")
    if group:
        GATE.require("autoscaling:CreateOrUpdateTags", (group,))
    return original(response)


@strict.around(S3Backend, "create_bucket")
def bucket_with_settings(original: Original, s3: Any, *arguments: Any, **named: Any) -> Any:
    """Who makes a bucket with tags needs the permission to tag, and with an object ownership that to set it.

    AWS: AmazonS3/latest/API/API_CreateBucket.html
    AWS: AmazonS3/latest/userguide/bucket-create-tag.html
    """
    request = GATE.request
    if request is not None and request.service == "s3" and request.action == "CreateBucket":
        if b"<Tag>" in request.body:
            GATE.require("s3:TagResource", (s3_arn(request),))
        if request.header("x-amz-object-ownership"):
            GATE.require("s3:PutBucketOwnershipControls", (s3_arn(request),))
    return original(s3, *arguments, **named)


@strict.around(FakeBucket, "get_permission")
def delete_each_object(original: Original, bucket: FakeBucket, action: str, resource: str) -> Any:
    """Who deletes several objects at once needs the permission for each, and for versions `s3:DeleteObjectVersion`.

    AWS: AmazonS3/latest/API/API_DeleteObjects.html
    """
    request = GATE.request
    if request is None or request.action != "DeleteObjects":
        return original(bucket, action, resource)
    key = resource.partition("/")[2]
    objects = listed(xmltodict.parse(request.body)["Delete"].get("Object"))
    versioned = any(each["Key"] == key and each.get("VersionId") for each in objects)
    document = policy.parsed(bucket.policy) if bucket.policy else None
    if GATE.permits("s3:DeleteObjectVersion" if versioned else action, (resource,), resource_policy=document):
        return original(bucket, action, resource)
    return PermissionResult.DENIED
