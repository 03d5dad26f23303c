"""What a request says of itself, as policies may ask for it: the tags that it gives, and the condition keys.

AWS: service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID

from .actions import Forms, last
from .policy import Context
from .request import AwsRequest
from .rules import strict


def tags_in(request: AwsRequest) -> dict[str, dict[str, str]]:
    """The tags that a request gives, by EC2's resource type, or under "" for other services."""
    if request.service == "ec2":
        return _ec2_tags(request.form)
    if request.header("x-amz-target"):
        return {"": _json_tags(request.json.get("tags") or {})}
    members = {name: value for name, value in request.form.items() if name.startswith("Tags.member.")}
    return {"": _pairs(members, "Tags.member")}


def _ec2_tags(form: dict[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, kind in form.items():
        prefix = re.match(r"^(TagSpecification\.\d+)\.ResourceType$", name)
        if prefix:
            found[kind] = _pairs(form, f"{prefix[1]}.Tag")
    direct = _pairs(form, "Tag")
    return {**found, "": direct} if direct else found


def _json_tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {tag.get("key") or tag.get("Key"): tag.get("value") or tag.get("Value") or "" for tag in tags}


def _pairs(form: dict[str, str], prefix: str) -> dict[str, str]:
    keys = {name: value for name, value in form.items() if re.match(rf"^{re.escape(prefix)}\.\d+\.Key$", name)}
    return {key: form.get(name.removesuffix("Key") + "Value", "") for name, key in keys.items()}


def context_of(request: AwsRequest, secure: bool) -> Context:
    """The condition keys that the request itself gives."""
    tags = {key: value for group in tags_in(request).values() for key, value in group.items()}
    context: Context = {
        "aws:RequestedRegion": request.region,
        "aws:SecureTransport": "true" if secure else "false",
        "aws:SourceIp": request.environ.get("REMOTE_ADDR", "127.0.0.1"),
        "aws:UserAgent": request.header("user-agent") or "",
    }
    context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = sorted(tags)
    if request.service == "s3":
        names = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
        context |= {key: request.query[name] for name, key in names.items() if name in request.query}
    if request.service == "ecs" and request.json.get("cluster"):
        # AWS: service-authorization/latest/reference/list_amazonelasticcontainerservice.html
        name = last(request.json["cluster"])
        context["ecs:cluster"] = f"arn:aws:ecs:{request.region}:{DEFAULT_ACCOUNT_ID}:cluster/{name}"
    if request.service == "sts":
        names = {"ExternalId": "sts:ExternalId", "RoleSessionName": "sts:RoleSessionName"}
        context |= {key: request.form[name] for name, key in names.items() if name in request.form}
    return context


def without_others_tags(context: Context, request: AwsRequest, forms: Forms) -> Context:
    """The same for one resource of the request: with the tags that are for it, and no others."""
    given = tags_in(request)
    if not tags_of_what_is_made.active or request.service != "ec2" or not given or "" in given:
        return context
    kinds = {form.split(":", 5)[-1].partition("/")[0] for form in forms}
    tags = {key: value for kind in kinds for key, value in given.get(kind, {}).items()}
    kept = {key: value for key, value in context.items() if not key.startswith(("aws:RequestTag/", "aws:TagKeys"))}
    kept |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return kept | ({"aws:TagKeys": sorted(tags)} if tags else {})


@strict.rule
def tags_of_what_is_made() -> None:
    """The tags in a request to EC2 are those of what it makes: for the VPC of a new subnet the request has none.

    AWS: service-authorization/latest/reference/list_amazonec2.html
    """
