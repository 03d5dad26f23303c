"""Security groups."""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupBackend, SecurityGroupRule

from moto.ec2.responses.security_groups import SecurityGroups

from ..rules import fixes

Original = Callable[..., Any]


@fixes.around(SecurityGroupRule, "__init__")
def rule_descriptions(original: Original, rule: Any, *arguments: Any, **named: Any) -> None:
    """Rules about groups and prefix lists have descriptions as well, and these are no part of what a rule is.

    AWS: AWSEC2/latest/APIReference/API_SecurityGroupRule.html
    """
    original(rule, *arguments, **named)
    prefix_list = named.get("prefix_list_id") or (arguments[7] if len(arguments) > 7 else None)
    rule.prefix_list_description = (prefix_list or {}).get("Description")


@rule_descriptions.around(SecurityGroupRule, "description")
def _(original: Original, rule: Any) -> str | None:
    return original(rule) or rule.source_group.get("Description") or rule.prefix_list_description


@rule_descriptions.around(SecurityGroupRule, "__eq__")
def _(original: Original, rule: Any, other: Any) -> bool:
    mine, others = rule.source_group, other.source_group
    try:
        rule.source_group, other.source_group = ({"GroupId": group.get("GroupId")} for group in (mine, others))
        return original(rule, other)
    finally:
        rule.source_group, other.source_group = mine, others


@rule_descriptions.around(SecurityGroup, "_flattened_rules")
def _(original: Original, group: Any, rules: list[Any]) -> Any:
    views = original(group, rules)
    described = {rule.prefix_list_id: rule.prefix_list_description for rule in rules if rule.prefix_list_id}
    for view in views:
        for item in view.prefix_list_ids:
            if described.get(item["PrefixListId"]):
                item["Description"] = described[item["PrefixListId"]]
    return views


@rule_descriptions.around(SecurityGroupBackend, "_sg_update_description")
def _(original: Original, ec2: Any, wanted: Any, rule: Any) -> None:
    original(ec2, wanted, rule)
    if wanted.prefix_list_id and wanted.prefix_list_description:
        rule.prefix_list_description = wanted.prefix_list_description


@fixes.around(SecurityGroupBackend, "create_security_group")
def default_group(original: Original, ec2: Any, *arguments: Any, **named: Any) -> SecurityGroup:
    """The default security group of a VPC admits itself, until that rule is revoked.

    AWS: vpc/latest/userguide/default-security-group.html
    """
    group = original(ec2, *arguments, **named)
    if group.is_default:
        pair = {"GroupId": group.id, "UserId": ec2.account_id}
        group.ingress_rules.append(
            SecurityGroupRule(ec2, "-1", group.id, None, None, None, pair, is_egress=False)
        )
    return group


@fixes.around(SecurityGroups, "authorize_security_group_ingress")
def all_rules_answered(original: Original, response: Any) -> Any:
    """Authorizing answers with every rule that it made.

    AWS: AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    """
    return _with_all(original, response, "ingress_rules")


@all_rules_answered.around(SecurityGroups, "authorize_security_group_egress")
def _(original: Original, response: Any) -> Any:
    return _with_all(original, response, "egress_rules")


def _with_all(original: Original, response: Any, kind: str) -> Any:
    name = response._get_param("GroupName") or response._get_param("GroupId")
    group = response.ec2_backend.get_security_group_by_name_or_id(name)
    before = {rule.id for rule in getattr(group, kind)} if group else set()
    result = original(response)
    result.result["SecurityGroupRules"] = [rule for rule in getattr(group, kind) if rule.id not in before]
    return result
