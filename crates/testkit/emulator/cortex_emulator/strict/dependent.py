"""Permissions that a request needs besides its own: to pass roles, to tag what it creates, to make service-linked roles.

They only count when policies are enforced, like all permissions.
"""

from collections.abc import Callable
from typing import Any

from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse
from moto.ec2.responses.iam_instance_profiles import IamInstanceProfiles
from moto.ec2.responses.instances import InstanceResponse
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.iam.models import iam_backends

from .. import principals
from ..actions import EC2_CREATES, resources_of, tags_in
from ..gate import GATE
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
    """Who gives a role to a service needs `iam:PassRole` on it: for instance profiles, also those of launch templates
    that a group is to use, and for task definitions.

    AWS: IAM/latest/UserGuide/id_roles_use_passrole.html
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
    _pass_template(response)
    return original(response)


@pass_role.around(AutoScalingResponse, "update_auto_scaling_group")
def _(original: Original, response: Any) -> Any:
    _pass_template(response)
    return original(response)


@pass_role.around(EC2ContainerServiceResponse, "register_task_definition")
def _(original: Original, response: Any) -> Any:
    for parameter in ("taskRoleArn", "executionRoleArn"):
        arn = response._get_param(parameter)
        if arn:
            full = arn if arn.startswith("arn:") else f"arn:aws:iam::{response.current_account}:role/{arn}"
            GATE.require("iam:PassRole", (full,), {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    return original(response)


def _pass_template(response: Any) -> None:
    policy = response._get_param("MixedInstancesPolicy") or {}
    template = response._get_param("LaunchTemplate") or policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    if template:
        GATE.require("ec2:RunInstances", ())
        _pass_profile(response, _profile_of(response.autoscaling_backend.ec2_backend, template))


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


