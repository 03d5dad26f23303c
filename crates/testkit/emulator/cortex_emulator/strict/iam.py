"""IAM."""

import json
import re
from collections.abc import Callable
from typing import Any

from moto.iam.exceptions import DeleteConflictException, LimitExceededException, MalformedPolicyDocument, ValidationError
from moto.iam.models import IAMBackend

from .. import policy
from ..clock import CLOCK
from ..rules import strict

Original = Callable[..., Any]

_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_PROFILE_NAME = re.compile(r"[\w+=,.@-]{1,128}")
_PATH = re.compile(r"/|/[\x21-\x7e]{1,510}/")
# Characters without blanks. AWS: IAM/latest/UserGuide/reference_iam-quotas.html
_ROLE_INLINE, _USER_INLINE, _MANAGED, _TRUST = 10_240, 2_048, 6_144, 2_048


@strict.around(IAMBackend, "delete_policy")
def policy_in_use(original: Original, iam: Any, policy_arn: str) -> None:
    """A managed policy is deleted after it is detached from all.

    AWS: IAM/latest/APIReference/API_DeletePolicy.html
    """
    found = iam.get_policy(policy_arn)
    if found.attachment_count:
        raise DeleteConflictException("Cannot delete a policy attached to entities.")
    if len(found.versions) > 1:
        raise DeleteConflictException("This policy has more than one version. Before you delete a policy, you must delete the policy's versions.")
    original(iam, policy_arn)


@strict.around(IAMBackend, "create_role")
def trust_policies(original: Original, iam: Any, role_name: str, assume_role_policy_document: str, *rest: Any, **named: Any) -> Any:
    """The trust policy of a role is one, names principals that exist, and has at most 2048 characters.

    AWS: IAM/latest/APIReference/API_CreateRole.html
    """
    _check_trust(iam, assume_role_policy_document)
    return original(iam, role_name, assume_role_policy_document, *rest, **named)


@trust_policies.around(IAMBackend, "update_assume_role_policy")
def _(original: Original, iam: Any, role_name: str, policy_document: str) -> None:
    _check_trust(iam, policy_document)
    original(iam, role_name, policy_document)


def _check_trust(iam: Any, text: str) -> None:
    document = _document(text)
    for problem in policy.problems(document, "trust"):
        raise MalformedPolicyDocument(f"The trust policy is malformed: {problem}")
    if _length(text) > _TRUST:
        raise LimitExceededException(f"Cannot exceed quota for ACLSizePerRole: {_TRUST}")
    known = {user.arn for user in iam.users.values()} | {role.arn for role in iam.get_roles()}
    for statement in policy.listed(document["Statement"]):
        principal = statement.get("Principal")
        for arn in policy.listed(principal.get("AWS")) if isinstance(principal, dict) else []:
            mine = re.match(rf"arn:aws:iam::{iam.account_id}:(user|role)/", str(arn))
            if mine and arn not in known:
                raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{arn}"')


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise MalformedPolicyDocument("This policy contains invalid Json") from None


def _length(text: str) -> int:
    return len(re.sub(r"\s", "", text))


@strict.around(IAMBackend, "put_role_policy")
def policy_sizes(original: Original, iam: Any, role_name: str, policy_name: str, policy_json: str) -> None:
    """Inline policies of a role have at most 10,240 characters together, of a user 2,048; a managed policy has 6,144.

    AWS: IAM/latest/UserGuide/reference_iam-quotas.html
    """
    others = [text for name, text in iam.get_role(role_name).policies.items() if name != policy_name]
    if sum(map(_length, [*others, policy_json])) > _ROLE_INLINE:
        raise LimitExceededException(f"Maximum policy size of {_ROLE_INLINE} bytes exceeded for role {role_name}")
    original(iam, role_name, policy_name, policy_json)


@policy_sizes.around(IAMBackend, "put_user_policy")
def _(original: Original, iam: Any, user_name: str, policy_name: str, policy_json: str) -> None:
    others = [text for name, text in iam.get_user(user_name).policies.items() if name != policy_name]
    if sum(map(_length, [*others, policy_json])) > _USER_INLINE:
        raise LimitExceededException(f"Maximum policy size of {_USER_INLINE} bytes exceeded for user {user_name}")
    original(iam, user_name, policy_name, policy_json)


@policy_sizes.around(IAMBackend, "create_policy")
def _(original: Original, iam: Any, *arguments: Any, **named: Any) -> Any:
    text = named.get("policy_document") or arguments[2]
    if _length(text) > _MANAGED:
        raise LimitExceededException(f"Cannot exceed quota for PolicySize: {_MANAGED}")
    return original(iam, *arguments, **named)


@strict.around(IAMBackend, "create_role")
def iam_names(original: Original, iam: Any, role_name: str, document: str, path: str, *rest: Any, **named: Any) -> Any:
    """A role's name has at most 64 letters, digits and `+=,.@-_`, an instance profile's 128; a path begins and ends
    with a slash.

    AWS: IAM/latest/APIReference/API_CreateRole.html
    AWS: IAM/latest/APIReference/API_CreateInstanceProfile.html
    """
    _check_name(_NAME, role_name, "roleName", path)
    return original(iam, role_name, document, path, *rest, **named)


@iam_names.around(IAMBackend, "create_instance_profile")
def _(original: Original, iam: Any, name: str, path: str, *rest: Any, **named: Any) -> Any:
    _check_name(_PROFILE_NAME, name, "instanceProfileName", path)
    return original(iam, name, path, *rest, **named)


def _check_name(pattern: re.Pattern[str], name: str, parameter: str, path: str | None) -> None:
    if not pattern.fullmatch(name or ""):
        raise ValidationError(f"1 validation error detected: Value '{name}' at '{parameter}' failed to satisfy constraint")
    if path and not _PATH.fullmatch(path):
        raise ValidationError(f"The specified value for path is invalid: {path}")


@strict.around(IAMBackend, "add_role_to_instance_profile")
def propagation(original: Original, iam: Any, profile_name: str, role_name: str) -> None:
    """What IAM has been told reaches other services some seconds later: see `profile_is_ready`.

    AWS: IAM/latest/UserGuide/troubleshoot_general.html
    """
    original(iam, profile_name, role_name)
    iam.get_instance_profile(profile_name).cortex_ready = CLOCK.now() + CLOCK.delays["iam_propagation"]
