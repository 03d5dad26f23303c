"""Public parameters of Systems Manager."""

from collections.abc import Callable
from typing import Any

from moto.ssm.models import SimpleSystemManagerBackend

from ..rules import fixes

Original = Callable[..., Any]

_BOTTLEROCKET = "/aws/service/bottlerocket/aws-ecs-2/{architecture}/latest/image_id"
_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"


@fixes.around(SimpleSystemManagerBackend, "get_parameter")
def public_images(original: Original, ssm: Any, name: str) -> Any:
    """The images of Bottlerocket and Ubuntu have public parameters too. (Here they name Amazon Linux.)

    AWS: systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    for architecture, ours in (("x86_64", "x86_64"), ("arm64", "arm64"), ("amd64", "x86_64")):
        if name in (_BOTTLEROCKET.format(architecture=architecture), _UBUNTU.format(architecture=architecture)):
            return original(ssm, f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{ours}")
    return original(ssm, name)


