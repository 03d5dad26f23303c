"""The IAM policy language: does a document allow, deny, or say nothing about a request?

AWS: IAM/latest/UserGuide/reference_policies_evaluation-logic.html, reference_policies_elements_condition_operators.html
and reference_policies_variables.html. Left out: condition keys that only AWS can know (MFA, organisations, networks).
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from .principals import Principal

ALLOW, DENY, NEUTRAL = "allow", "deny", "neutral"

# The values of condition keys; names are compared without case.
Context = dict[str, str | list[str]]


@dataclass(frozen=True)
class Ask:
    """One action on one resource. Forms are ways to write the same resource; any may match.

    No form at all: we do not know which resource it is, and every `Resource` element matches.
    """

    action: str
    forms: tuple[str, ...] = ("*",)
    context: Context = field(default_factory=dict, hash=False)

    def value(self, key: str) -> list[str] | None:
        for name, value in self.context.items():
            if name.lower() == key.lower():
                return value if isinstance(value, list) else [value]
        return None


def judge(document: dict[str, Any], ask: Ask, principal: Principal | None = None) -> str:
    """With a principal the document is a resource's policy, or a role's trust; its `Principal` elements count."""
    verdict = NEUTRAL
    for statement in listed(document.get("Statement", [])):
        if _concerns(statement, ask, principal):
            if statement.get("Effect") == "Deny":
                return DENY
            verdict = ALLOW
    return verdict


def names_principal(document: dict[str, Any], ask: Ask, principal: Principal) -> bool:
    """Whether a resource's policy allows it to this very principal, not only to its account as a whole."""
    return any(
        statement.get("Effect") == "Allow"
        and _concerns(statement, ask, principal)
        and _matches_principal(statement.get("Principal"), principal, delegated=False)
        for statement in listed(document.get("Statement", []))
    )


def parsed(text: str | bytes) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a policy is a JSON object")
    return document


def _concerns(statement: dict[str, Any], ask: Ask, principal: Principal | None) -> bool:
    return (
        _element(statement, "Action", lambda pattern: _like(pattern.lower(), ask.action.lower()))
        and _resource(statement, ask)
        and (principal is None or _principal(statement, principal))
        and all(
            _condition(operator, key, listed(wanted), ask)
            for operator, pairs in statement.get("Condition", {}).items()
            for key, wanted in pairs.items()
        )
    )


def _element(statement: dict[str, Any], name: str, matches: Callable[[str], bool]) -> bool:
    if f"Not{name}" in statement:
        return not any(matches(pattern) for pattern in listed(statement[f"Not{name}"]))
    return any(matches(pattern) for pattern in listed(statement.get(name, [])))


def _resource(statement: dict[str, Any], ask: Ask) -> bool:
    if "Resource" not in statement and "NotResource" not in statement:
        return True  # a trust policy
    if not ask.forms:
        return True
    return _element(
        statement, "Resource", lambda pattern: any(_like(_filled(pattern, ask), form) for form in ask.forms)
    )


def _principal(statement: dict[str, Any], principal: Principal) -> bool:
    if "NotPrincipal" in statement:
        return not _matches_principal(statement["NotPrincipal"], principal, delegated=False)
    return _matches_principal(statement.get("Principal"), principal, delegated=True)


def _matches_principal(element: Any, principal: Principal, delegated: bool) -> bool:
    if element == "*":
        return True
    if not isinstance(element, dict):
        return False
    if principal.kind == "Service":
        return principal.arn in listed(element.get("Service", []))
    account = (principal.account, f"arn:aws:iam::{principal.account}:root")
    for wanted in listed(element.get("AWS", [])):
        if wanted in ("*", principal.arn, principal.policy_arn) or (delegated and wanted in account):
            return True
    return False


def _condition(operator: str, key: str, wanted: list[str], ask: Ask) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    actual = ask.value(key)
    if plain == "Null":
        return (actual is None) == (str(wanted[0]).lower() == "true")
    negated = plain.startswith(("StringNot", "ArnNot", "NumericNot", "DateNot", "NotIp"))
    if actual is None:
        return if_exists or negated or quantifier == "ForAllValues"
    test = _OPERATORS[plain.replace("Not", "", 1) if negated else plain]
    matches = [any(test(_filled(str(pattern), ask), value) for pattern in wanted) != negated for value in actual]
    if negated and quantifier != "ForAnyValue":
        return all(matches)
    return all(matches) if quantifier == "ForAllValues" else any(matches)


def _like(pattern: str, value: str) -> bool:
    return _expression(pattern).match(value) is not None


def _like_arn(pattern: str, value: str) -> bool:
    """Each of the six parts of an ARN is matched for itself."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(_like, patterns, values))


# Stand in for the `*` and `?` that `${*}` and `${?}` mean literally.
_STAR, _MARK = "\ue000", "\ue001"


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": ".", _STAR: r"\*", _MARK: r"\?"}
    return re.compile("".join(wild.get(character) or re.escape(character) for character in pattern) + r"\Z", re.DOTALL)


def _filled(pattern: str, ask: Ask) -> str:
    """With the policy variables `${aws:username}` in their places."""

    def value(found: re.Match[str]) -> str:
        name, _, default = found[1].partition(",")
        if name in ("*", "?", "$"):
            return {"*": _STAR, "?": _MARK}.get(name, name)
        actual = ask.value(name.strip())
        return actual[0] if actual else default.strip().strip("'") or "\0"

    return re.sub(r"\$\{([^}]+)\}", value, pattern) if "${" in pattern else pattern


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, actual: compare(float(actual), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, actual: compare(_time(actual), _time(wanted))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _in_network(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _like,
    "ArnEquals": _like_arn,
    "ArnLike": _like_arn,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "BinaryEquals": lambda wanted, actual: wanted == actual,
    "IpAddress": _in_network,
    "NumericEquals": _number(lambda actual, wanted: actual == wanted),
    "NumericLessThan": _number(lambda actual, wanted: actual < wanted),
    "NumericLessThanEquals": _number(lambda actual, wanted: actual <= wanted),
    "NumericGreaterThan": _number(lambda actual, wanted: actual > wanted),
    "NumericGreaterThanEquals": _number(lambda actual, wanted: actual >= wanted),
    "DateEquals": _date(lambda actual, wanted: actual == wanted),
    "DateLessThan": _date(lambda actual, wanted: actual < wanted),
    "DateLessThanEquals": _date(lambda actual, wanted: actual <= wanted),
    "DateGreaterThan": _date(lambda actual, wanted: actual > wanted),
    "DateGreaterThanEquals": _date(lambda actual, wanted: actual >= wanted),
}


def problems(document: Any, kind: str) -> Iterable[str]:
    """What is wrong with a document; `kind` is identity, trust or resource.

    AWS: IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if not isinstance(document, dict) or not listed(document.get("Statement")):
        yield "there is no statement"
        return
    if document.get("Version") not in (None, "2012-10-17", "2008-10-17"):
        yield f"the version is {document['Version']}"
    for statement in listed(document["Statement"]):
        yield from _statement_problems(statement, kind)


def _statement_problems(statement: Any, kind: str) -> Iterable[str]:
    if not isinstance(statement, dict):
        yield "a statement is an object"
        return
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield "the effect is neither Allow nor Deny"
    if ("Action" in statement) == ("NotAction" in statement):
        yield "a statement has either Action or NotAction"
    has_principal = "Principal" in statement or "NotPrincipal" in statement
    has_resource = "Resource" in statement or "NotResource" in statement
    if kind == "identity" and has_principal:
        yield "the policy of an identity names no principal"
    if kind != "identity" and not has_principal:
        yield "there is no principal"
    if kind == "trust" and has_resource:
        yield "a trust policy names no resource"
    if kind != "trust" and not has_resource:
        yield "there is no resource"
    for operator in statement.get("Condition", {}):
        plain = operator.rpartition(":")[2].removesuffix("IfExists")
        if plain != "Null" and plain not in _OPERATORS and plain.replace("Not", "", 1) not in _OPERATORS:
            yield f"there is no operator {operator}"


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
