"""Security groups."""

import re
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.responses.security_groups import SecurityGroups

from .. import world
from ..errors import AwsError
from ..rules import strict
from .vpc import canonical, canonical_cidrs

Original = Callable[..., Any]

# AWS: AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")


@strict.around(SecurityGroups, "delete_security_group")
def group_in_use(original: Original, response: Any) -> Any:
    """A security group is deleted after the interfaces that have it and the rules of others that name it.

    AWS: AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    ec2, group_id = response.ec2_backend, response._get_param("GroupId")
    if group_id and ec2.get_security_group_from_id(group_id):
        endpoints = [each for each in ec2.vpc_end_points.values() if group_id in each.security_group_ids]
        if world.interfaces_with(ec2, group_id) or world.references_to(ec2, group_id) or endpoints:
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
    return original(response)


@strict.around(SecurityGroups, "delete_security_group")
def default_group_stays(original: Original, response: Any) -> Any:
    """The default security group of a VPC cannot be deleted.

    AWS: vpc/latest/userguide/default-security-group.html
    """
    group = response.ec2_backend.get_security_group_from_id(response._get_param("GroupId") or "")
    if group is not None and group.is_default:
        raise AwsError("CannotDelete", f"the specified group: \"{group.id}\" name: \"default\" cannot be deleted by a user")
    return original(response)


@strict.around(SecurityGroupBackend, "create_security_group")
def group_texts(original: Original, ec2: Any, name: str, description: str, *arguments: Any, **named: Any) -> Any:
    """Names and descriptions of groups and rules are at most 255 of a set of characters, a name does not begin with
    `sg-`, and the VPC exists.

    AWS: AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
    """
    if not _TEXT.fullmatch(name or "") or name.lower().startswith("sg-"):
        raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter GroupName is invalid.")
    if not _TEXT.fullmatch(description or ""):
        raise AwsError("InvalidParameterValue", f"Value ({description}) for parameter GroupDescription is invalid.")
    if named.get("vpc_id"):
        ec2.get_vpc(named["vpc_id"])
    return original(ec2, name, description, *arguments, **named)


@group_texts.around(SecurityGroupBackend, "_iterate_security_rules")
def _(original: Original, ec2: Any, *arguments: Any, **named: Any) -> Any:
    for rules in (arguments[4], arguments[5], arguments[6]):
        for rule in rules or []:
            if isinstance(rule, dict) and not _TEXT.fullmatch(rule.get("Description") or ""):
                raise AwsError("InvalidParameterValue", "Invalid rule description.")
    return original(ec2, *arguments, **named)


@canonical_cidrs.around(SecurityGroupBackend, "_iterate_security_rules")
def _(original: Original, ec2: Any, *arguments: Any, **named: Any) -> Any:
    for rule in arguments[4] or []:
        for key in ("CidrIp", "CidrIpv6"):
            if isinstance(rule, dict) and rule.get(key):
                rule[key] = canonical(rule[key])
    return original(ec2, *arguments, **named)


@strict.around(SecurityGroupBackend, "_add_source_group")
def group_of_same_vpc(original: Original, ec2: Any, source_groups: Any, vpc_id: str | None) -> Any:
    """A rule names groups of its own VPC.

    AWS: vpc/latest/userguide/security-group-rules.html
    """
    from ..gate import GATE

    asked = GATE.request.form.get("GroupId") if GATE.request else None
    mine = ec2.get_security_group_from_id(asked) if asked else None
    for item in source_groups or []:
        other = ec2.get_security_group_from_id(item.get("GroupId") or "")
        if mine is not None and other is not None and other.vpc_id != mine.vpc_id:
            message = f"You have specified two resources that belong to different networks: {mine.id}, {other.id}"
            raise AwsError("InvalidGroup.NotFound", message)
    return original(ec2, source_groups, vpc_id)
