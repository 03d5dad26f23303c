"""ECS: what is in use stays, names are taken once, attachments take a moment."""

from collections.abc import Callable
from typing import Any

from moto.ecs.exceptions import EcsClientException, InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition
from moto.iam.models import iam_backends

from ..clock import CLOCK
from ..errors import AwsError
from ..placement import group_of_provider
from ..rules import strict
from ..tasks import STOPPED

Original = Callable[..., Any]

_NAME = 255
_RESERVED = ("aws", "ecs", "fargate")


@strict.around(EC2ContainerServiceBackend, "delete_cluster")
def cluster_in_use(original: Original, ecs: Any, cluster_str: str) -> Any:
    """A cluster is deleted after its services, tasks and container instances.

    AWS: AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    cluster = ecs._get_cluster(cluster_str)
    services = [each for each in ecs.services.values() if each.cluster_name == cluster.name]
    if any(service.status == "ACTIVE" for service in services):
        raise AwsError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    if ecs.container_instances.get(cluster.name):
        message = "The Cluster cannot be deleted while Container Instances are active or draining."
        raise AwsError("ClusterContainsContainerInstancesException", message)
    if any(task.last_status != STOPPED for task in ecs.tasks.get(cluster.name, {}).values()):
        raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    return original(ecs, cluster_str)


@strict.around(EC2ContainerServiceBackend, "create_cluster")
def cluster_once(original: Original, ecs: Any, cluster_name: str, *arguments: Any, **named: Any) -> Any:
    """Creating a cluster that exists answers with it as it is.

    AWS: AmazonECS/latest/APIReference/API_CreateCluster.html
    """
    known = ecs.clusters.get(cluster_name)
    if known is not None and known.status == "ACTIVE":
        return known
    return original(ecs, cluster_name, *arguments, **named)


@strict.around(EC2ContainerServiceBackend, "create_service")
def service_once(original: Original, ecs: Any, cluster_str: str, service_name: str, *arguments: Any, **named: Any) -> Any:
    """There is one service of a name in a cluster; one that drains is in the way too.

    AWS: AmazonECS/latest/APIReference/API_CreateService.html
    """
    cluster = ecs._get_cluster(cluster_str)
    if cluster.status != "ACTIVE":
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    known = ecs.services.get(f"{cluster.name}:{service_name}")
    if known is not None and known.status == "ACTIVE":
        raise InvalidParameterException("Creation of service was not idempotent.")
    if known is not None and known.status == "DRAINING":
        raise InvalidParameterException("Unable to Start a service that is still Draining.")
    return original(ecs, cluster_str, service_name, *arguments, **named)


@strict.around(EC2ContainerServiceBackend, "create_capacity_provider")
def provider_checks(original: Original, ecs: Any, name: str, asg_details: dict[str, Any], tags: Any) -> Any:
    """A capacity provider has a name of its own, a group that exists and that no other has; managed termination
    protection needs a group that protects its instances.

    AWS: AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
    """
    if name in ecs.capacity_providers:
        raise EcsClientException("The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the capacity provider.")
    if name.lower().startswith(_RESERVED) or len(name) > _NAME:
        raise EcsClientException("The specified capacity provider name is invalid. Up to 255 characters are allowed, and it cannot be prefixed with aws, ecs, or fargate.")
    arn = asg_details["autoScalingGroupArn"]
    if any(each.auto_scaling_group_provider["autoScalingGroupArn"] == arn for each in ecs.capacity_providers.values()):
        raise EcsClientException("The specified Auto Scaling group ARN is already being used by another capacity provider.")
    provider = original(ecs, name, asg_details, tags)
    group = group_of_provider(ecs, provider)
    protected = asg_details.get("managedTerminationProtection") == "ENABLED"
    if group is None or (protected and not group.new_instances_protected_from_scale_in):
        del ecs.capacity_providers[name]
        if group is None:
            raise EcsClientException("The specified Auto Scaling group does not exist.")
        raise EcsClientException("The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider, the Auto Scaling group must have instance protection from scale in enabled.")
    return provider


@strict.around(EC2ContainerServiceBackend, "delete_capacity_provider")
def provider_in_use(original: Original, ecs: Any, name_or_arn: str) -> Any:
    """A capacity provider is deleted after it has left its clusters.

    AWS: AmazonECS/latest/APIReference/API_DeleteCapacityProvider.html
    """
    provider = ecs._get_provider(name_or_arn)
    if provider is None:
        raise EcsClientException("The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
    for cluster in ecs.clusters.values():
        if cluster.status == "ACTIVE" and provider.name in (cluster.capacity_providers or []):
            message = "The specified capacity provider is in use and cannot be removed."
            raise AwsError("ResourceInUseException", message)
    return original(ecs, name_or_arn)


@strict.around(EC2ContainerServiceBackend, "put_cluster_capacity_providers")
def provider_attachment(
    original: Original, ecs: Any, cluster_name: str, capacity_providers: list[str] | None, strategy: Any
) -> Any:
    """Capacity providers are attached to a cluster one update at a time, exist, and stay while a service uses them.

    AWS: AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html
    """
    cluster = ecs._get_cluster(cluster_name)
    if getattr(cluster, "attachments_status", None) == "UPDATE_IN_PROGRESS":
        message = "The specified cluster is in a busy state. Cluster attachments must be in UPDATE_COMPLETE or UPDATE_FAILED state before they can be updated. Wait and try again."
        raise AwsError("UpdateInProgressException", message)
    wanted = [ecs._get_provider(name) for name in capacity_providers or []]
    names = [provider.name for provider in wanted if provider]
    if len(names) < len(wanted):
        raise InvalidParameterException("The specified capacity provider was not found. Specify a valid name and try again.")
    if any(each["capacityProvider"] not in names for each in strategy or []):
        raise InvalidParameterException("The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster.")
    for service in ecs.services.values():
        used = {each["capacityProvider"] for each in getattr(service, "capacity_provider_strategy", None) or []}
        if service.cluster_name == cluster.name and service.status == "ACTIVE" and used - set(names):
            message = "The specified capacity provider is in use and cannot be removed."
            raise AwsError("ResourceInUseException", message)
    changed = names != list(cluster.capacity_providers or [])
    result = original(ecs, cluster_name, names, strategy)
    if changed:
        cluster.attachments_status = "UPDATE_IN_PROGRESS"
        CLOCK.after("capacity_attach", lambda: setattr(cluster, "attachments_status", "UPDATE_COMPLETE"))
    return result


@strict.around(TaskDefinition, "__init__")
def definition_roles(original: Original, definition: Any, *arguments: Any, **named: Any) -> None:
    """The roles of a task definition exist, and trust ECS tasks.

    AWS: AmazonECS/latest/developerguide/task-iam-roles.html
    """
    from .. import principals
    from ..gate import service_trusted

    for argument in ("task_role_arn", "execution_role_arn"):
        arn = named.get(argument)
        if not arn:
            continue
        role = principals.role_of(arn) or _role_by_name(arguments, arn)
        if role is None or not service_trusted(role, "ecs-tasks.amazonaws.com"):
            raise EcsClientException(f"Role is not valid: {arn} cannot be assumed by ecs-tasks.amazonaws.com")
    original(definition, *arguments, **named)


def _role_by_name(arguments: tuple[Any, ...], name: str) -> Any | None:
    # The fourth is the account.
    roles = iam_backends[arguments[3]]["aws"].get_roles()
    return next((role for role in roles if role.name == name), None)
