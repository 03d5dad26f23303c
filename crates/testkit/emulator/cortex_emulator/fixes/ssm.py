"""Public parameters of Systems Manager, and the images that they name."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from moto.core.parse import default_timestamp_parser
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ssm.models import Parameter, SimpleSystemManagerBackend
from moto.utilities.utils import load_resource

from ..rules import fixes

Original = Callable[..., Any]

_BOTTLEROCKET = "/aws/service/bottlerocket/aws-ecs-2/{architecture}/latest/image_id"
_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"


@fixes.around(SimpleSystemManagerBackend, "get_parameter")
def public_images(original: Original, ssm: Any, name: str) -> Any:
    """The images of Bottlerocket and Ubuntu have public parameters too. (Here they name Amazon Linux. Of images there
    are only those that public parameters recommend: moto's 2,500 cost every new region 150 ms.)

    AWS: systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    for architecture, ours in (("x86_64", "x86_64"), ("arm64", "arm64"), ("amd64", "x86_64")):
        if name in (_BOTTLEROCKET.format(architecture=architecture), _UBUNTU.format(architecture=architecture)):
            return original(ssm, f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{ours}")
    return original(ssm, name)


@public_images.around(AmiBackend, "_load_amis")
def _(_original: Original, ec2: Any) -> None:
    for image in _recommended(ec2.region_name):
        ec2.amis[image["ami_id"]] = Ami(ec2, **image)


@cache
def _recommended(region: str) -> list[dict[str, Any]]:
    try:
        names = {each["Value"] for each in load_resource(f"ssm/resources/ami-amazon-linux-latest/{region}.json")}
        names |= set(_image_ids(load_resource(f"ssm/resources/ecs/optimized_amis/{region}.json"), recommended=False))
        images = load_resource(f"ec2/resources/latest_amis/{region}.json")
        images += load_resource(f"ec2/resources/ecs/optimized_amis/{region}.json")
    except FileNotFoundError:
        return []  # a region that moto has no images of
    found = {image["ami_id"]: {**image, "owner_alias": "amazon"} for image in images if image["ami_id"] in names}
    for image in found.values():
        if isinstance(image.get("creation_date"), str):
            image["creation_date"] = default_timestamp_parser(image["creation_date"])
    return list(found.values())


def _image_ids(tree: Any, recommended: bool) -> Iterator[str]:
    for name, part in tree.items() if isinstance(tree, dict) else []:
        if recommended and name == "image_id" and isinstance(part, str):
            yield part
        yield from _image_ids(part, recommended or name == "recommended")


@fixes.around(Parameter, "__init__")
def parameter_text(original: Original, parameter: Any, **named: Any) -> None:
    """The value of a parameter is text, also where that text is JSON.

    AWS: AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
    """
    if isinstance(named.get("value"), dict):
        named["value"] = json.dumps(named["value"])
    original(parameter, **named)
