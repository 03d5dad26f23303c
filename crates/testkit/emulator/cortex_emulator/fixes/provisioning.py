"""What is changed shows when it is described, and what is asked for in vain is the client's error: several services."""

from collections.abc import Callable
from typing import Any

from moto.autoscaling.responses import AutoScalingResponse
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ecs.models import CapacityProvider, EC2ContainerServiceBackend
from moto.s3.responses import S3Response

from ..errors import AwsError
from ..rules import fixes

Original = Callable[..., Any]


@fixes.around(S3Response, "get_bucket_versioning")
def versioning_root(original: Original, response: Any) -> Any:
    """The answer's root element is `VersioningConfiguration`; SDKs that look at it refuse any other.

    AWS: AmazonS3/latest/API/API_GetBucketVersioning.html
    """
    status, headers, body = original(response)
    text = body.decode() if isinstance(body, bytes) else body
    return status, headers, text.replace("GetBucketVersioningResponse", "VersioningConfiguration")


@fixes.around(AutoScalingResponse, "update_auto_scaling_group")
def update_capacity_rebalance(original: Original, response: Any) -> Any:
    """An update of an Auto Scaling group changes capacity rebalancing too.

    AWS: autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
    """
    result = original(response)
    on = response._get_bool_param("CapacityRebalance", None)
    if on is not None:
        name = response._get_param("AutoScalingGroupName")
        response.autoscaling_backend.autoscaling_groups[name].capacity_rebalance = on
    return result


@fixes.around(LaunchTemplateBackend, "describe_launch_templates")
def template_tags_change(original: Original, ec2: Any, *arguments: Any, **named: Any) -> Any:
    """The tags of a launch template can change after it is made.

    AWS: AWSEC2/latest/APIReference/API_CreateTags.html
    """
    for template in ec2.launch_templates.values():
        template.tags = template.get_tags()
    return original(ec2, *arguments, **named)


@fixes.around(CapacityProvider, "update")
def update_managed_draining(original: Original, provider: Any, details: dict[str, Any]) -> None:
    """An update of a capacity provider changes managed draining too.

    AWS: AmazonECS/latest/APIReference/API_UpdateCapacityProvider.html
    """
    original(provider, details)
    if "managedDraining" in details:
        provider.auto_scaling_group_provider["managedDraining"] = details["managedDraining"]


@fixes.around(EC2ContainerServiceBackend, "delete_capacity_provider")
def unknown_provider(original: Original, ecs: Any, name_or_arn: str) -> Any:
    """Deleting a capacity provider that does not exist is the client's error.

    AWS: AmazonECS/latest/APIReference/API_DeleteCapacityProvider.html
    """
    if ecs._get_provider(name_or_arn) is None:
        raise AwsError("ClientException", "The specified capacity provider does not exist.")
    return original(ecs, name_or_arn)
