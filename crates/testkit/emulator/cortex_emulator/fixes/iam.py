"""IAM."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from moto.core.responses import ActionResult
from moto.iam import models
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import InvalidInput
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.iam.responses import IamResponse

from .. import policy, principals
from ..gate import allows, context_of_principal
from ..policy import Ask
from ..principals import Principal
from ..rules import fixes

Original = Callable[..., Any]

_AWS_POLICIES = "arn:aws:iam::aws:policy/"

# AWS: IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
LINKED_ROLE_NAMES = {
    "ecs": "ECS",
    "elasticloadbalancing": "ElasticLoadBalancing",
    "spot": "EC2Spot",
}
models.SERVICE_NAME_CONVERSION.update(LINKED_ROLE_NAMES)


@cache
def _aws_policies() -> dict[str, Any]:
    policies = json.loads(aws_managed_policies_data)
    return {f"arn:aws:iam::aws:policy{data['Path']}{name}": (name, data) for name, data in policies.items()}


@fixes.around(IAMBackend, "create_user")
def user_ids(original: Original, iam: Any, *arguments: Any, **named: Any) -> Any:
    """A user's unique id begins with `AIDA`, in capitals.

    AWS: IAM/latest/UserGuide/reference_identifiers.html
    """
    user = original(iam, *arguments, **named)
    user.id = f"AIDA{user.id[4:].upper()}"
    return user


@fixes.around(IAMBackend, "attach_role_policy")
def aws_managed_policies(original: Original, iam: Any, policy_arn: str, role_name: str) -> None:
    """AWS's own policies exist. (Each is loaded when it is first named: all of them take 60 MB.)

    AWS: aws-managed-policy/latest/reference/policy-list.html
    """
    _load(iam, policy_arn)
    original(iam, policy_arn, role_name)


@aws_managed_policies.around(IAMBackend, "get_policy")
def _(original: Original, iam: Any, policy_arn: str) -> Any:
    _load(iam, policy_arn)
    return original(iam, policy_arn)


@aws_managed_policies.around(IAMBackend, "attach_user_policy")
def _(original: Original, iam: Any, policy_arn: str, user_name: str) -> None:
    _load(iam, policy_arn)
    original(iam, policy_arn, user_name)


def _load(iam: Any, arn: str) -> None:
    if arn.startswith(_AWS_POLICIES) and arn not in iam.managed_policies and arn in _aws_policies():
        name, data = _aws_policies()[arn]
        iam.managed_policies[arn] = AWSManagedPolicy.from_data(name, iam.account_id, iam.region_name, data)


@fixes.around(IAMBackend, "create_service_linked_role")
def linked_role_once(original: Original, iam: Any, service_name: str, description: str, suffix: str) -> Any:
    """There is one service-linked role of a service; making it again is InvalidInput.

    AWS: IAM/latest/APIReference/API_CreateServiceLinkedRole.html
    """
    path = f"/aws-service-role/{service_name}/"
    taken = [role.name for role in iam.get_roles() if role.path == path]
    if taken and not suffix:
        raise InvalidInput(f"Service role name {taken[0]} has been taken in this account, please try a different suffix.")
    return original(iam, service_name, description, suffix)


@fixes.operation(IamResponse, "simulate_principal_policy")
def simulate_principal_policy(response: Any) -> Any:
    """What a user or role may do is told without doing it.

    AWS: IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    principal = _named(response, response._get_param("PolicySourceArn"))
    resources = response._get_param("ResourceArns") or ["*"]
    context: policy.Context = dict(context_of_principal(principal))
    for entry in response._get_param("ContextEntries") or []:
        context[entry["ContextKeyName"]] = entry["ContextKeyValues"]
    results = [
        _simulated(principal, Ask(action, (resource,), context))
        for action in response._get_param("ActionNames") or []
        for resource in resources
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _simulated(principal: Principal, ask: Ask) -> dict[str, Any]:
    denied = any(policy.judge(document, ask) == policy.DENY for document in principals.identity_policies(principal))
    decision = "allowed" if allows(principal, ask) else "explicitDeny" if denied else "implicitDeny"
    return {
        "EvalActionName": ask.action,
        "EvalResourceName": ask.forms[0],
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": [],
    }


def _named(response: Any, arn: str) -> Principal:
    account, kind = arn.split(":")[4], arn.split(":", 5)[5].partition("/")[0]
    name = arn.rpartition("/")[2]
    iam = response.backend
    if kind == "user":
        user = iam.get_user(name)
        return Principal("User", account, user.arn, user.id, user.name)
    if kind in ("role", "assumed-role"):
        role = iam.get_role(arn.split("/")[1] if kind == "assumed-role" else name)
        return Principal("AssumedRole", account, role.arn, role.id, role.name, role.arn)
    raise InvalidInput(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
