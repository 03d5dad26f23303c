"""ECS: services have tasks, deployments and events; container instances have attributes and sizes.

What runs where is decided in `scheduler` and `placement`; who starts it is in `agents`.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ecs.exceptions import TaskDefinitionNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.ecs.responses import EC2ContainerServiceResponse

from .. import agents, placement, scheduler
from ..clock import CLOCK
from ..errors import AwsError
from ..rules import fixes
from ..tasks import ServiceTask

Original = Callable[..., Any]

# Fields of a service that moto does not keep, and what they are if not given.
_KEPT: dict[str, Any] = {
    "capacityProviderStrategy": None,
    "deploymentConfiguration": {},
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": None,
    "placementConstraints": [],
    "placementStrategy": [],
}
_DEPLOYMENT_DEFAULTS = {"maximumPercent": 200, "minimumHealthyPercent": 100}
# A change of these makes a new deployment. AWS: AmazonECS/latest/APIReference/API_UpdateService.html
_REDEPLOYS = ("capacityProviderStrategy", "networkConfiguration", "placementConstraints", "placementStrategy")


def _attribute(name: str) -> str:
    return {"enableECSManagedTags": "enable_ecs_managed_tags"}.get(
        name, "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    )


@fixes.around(EC2ContainerServiceResponse, "create_service")
def services_run(original: Original, response: Any) -> Any:
    """A service is placed on its capacity, gets its tasks, becomes stable, and says so in events.

    AWS: AmazonECS/latest/developerguide/ecs_services.html
    """
    ecs = response.ecs_backend
    result = original(response)
    service = result.result["service"]
    cluster = ecs.clusters[service.cluster_name]
    for field, default in _KEPT.items():
        setattr(service, _attribute(field), response._get_param(field) or default)
    if not response._get_param("launchType") and not service.capacity_provider_strategy:
        service.capacity_provider_strategy = cluster.default_capacity_provider_strategy or None
    if service.capacity_provider_strategy:
        service.launch_type = None
    _complete(service)
    service.created_at = utcnow()
    service.running_count = service.pending_count = 0
    service.deployments = []
    scheduler.new_deployment(service)
    return result


@services_run.around(EC2ContainerServiceResponse, "update_service")
def _(_original: Original, response: Any) -> Any:
    ecs, given = response.ecs_backend, response._get_params()
    name = given["service"].rpartition("/")[2]
    service = ecs._get_service(given.get("cluster") or "default", name)
    if service.status != "ACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    redeploys = bool(given.get("forceNewDeployment"))
    for field, value in given.items():
        if field in _KEPT and value is not None:
            redeploys = redeploys or (field in _REDEPLOYS and value != getattr(service, _attribute(field)))
            setattr(service, _attribute(field), value)
    if given.get("capacityProviderStrategy"):
        service.launch_type = None
    if given.get("desiredCount") is not None:
        service.desired_count = given["desiredCount"]
    if given.get("taskDefinition"):
        definition = ecs.describe_task_definition(given["taskDefinition"]).arn
        redeploys = redeploys or definition != service.task_definition
        service.task_definition = definition
    _complete(service)
    if redeploys:
        scheduler.new_deployment(service)
    return ActionResult({"service": service})


@services_run.around(EC2ContainerServiceBackend, "delete_service")
def _(original: Original, ecs: Any, cluster_name: str, service_name: str, force: bool) -> Any:
    # Moto counts the tasks of the cluster itself, and only in its own way.
    service = original(ecs, cluster_name, service_name, force)
    service.status, service.desired_count = "DRAINING", 0
    return service


@services_run.around(EC2ContainerServiceBackend, "update_cluster_resources")
def _(_original: Original, *_arguments: Any, **_named: Any) -> None:
    """The scheduler counts."""


@services_run.around(EC2ContainerServiceBackend, "list_services")
def _(original: Original, ecs: Any, *arguments: Any, **named: Any) -> list[str]:
    gone = {service.arn for service in ecs.services.values() if service.status == "INACTIVE"}
    return [arn for arn in original(ecs, *arguments, **named) if arn not in gone]


def _complete(service: Service) -> None:
    service.deployment_configuration = {**_DEPLOYMENT_DEFAULTS, **service.deployment_configuration}


@fixes.around(EC2ContainerServiceBackend, "_validate_container_defs")
def reserved_memory(original: Original, memory: Any, containers: Any, compatibilities: Any) -> None:
    """On EC2, too, a container may have a reservation of memory instead of a limit.

    AWS: AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    original(memory, containers, [each for each in compatibilities or [] if each != "EC2"])


@fixes.around(EC2ContainerServiceBackend, "list_tasks")
def task_filters(original: Original, ecs: Any, *arguments: Any, **named: Any) -> list[Any]:
    """Tasks are listed by service, and those that are stopped only when they are asked for.

    AWS: AmazonECS/latest/APIReference/API_ListTasks.html
    """
    names = ("cluster_str", "container_instance", "family", "started_by", "service_name", "desired_status")
    asked = {**dict(zip(names, arguments, strict=False)), **named}
    status = asked.get("desired_status") or asked.get("desiredStatus") or "RUNNING"
    service = (asked.get("service_name") or "").rpartition("/")[2]
    tasks = original(ecs, *arguments[:5], **named)
    # Moto finds clusters whose name begins with the one that was asked for.
    cluster = (asked.get("cluster_str") or "default").rpartition("/")[2]
    tasks = [task for task in tasks if task.cluster_name == cluster and task.desired_status == status]
    return [task for task in tasks if not service or task.group == f"service:{service}"]


@fixes.around(EC2ContainerServiceBackend, "stop_task")
def stop_service_task(original: Original, ecs: Any, cluster_str: str, task_str: str, reason: str) -> Any:
    """A task that is told to stop, stops when its agent has stopped it.

    AWS: AmazonECS/latest/APIReference/API_StopTask.html
    """
    tasks = ecs.tasks.get(ecs._get_cluster(cluster_str).name, {}).values()
    task = next((task for task in tasks if task.task_arn.rpartition("/")[2] == task_str.rpartition("/")[2]), None)
    if not isinstance(task, ServiceTask):
        return original(ecs, cluster_str, task_str, reason)
    task.stop(reason or "Task stopped by user", "UserInitiated")
    if agents.by_themselves():
        CLOCK.after("task_stop", task.stopped)
    return task


@fixes.around(EC2ContainerServiceBackend, "register_container_instance")
def instance_sizes(original: Original, ecs: Any, cluster_str: str, ec2_instance_id: str) -> Any:
    """A container instance is as large as its instance type, and belongs to the capacity provider of its group.

    AWS: AmazonECS/latest/APIReference/API_ContainerInstance.html
    """
    instance = original(ecs, cluster_str, ec2_instance_id)
    ec2 = ec2_backends[ecs.account_id][ecs.region_name]
    size = placement.size_of(ec2.get_instance(ec2_instance_id).instance_type)
    for resources in (instance.registered_resources, instance.remaining_resources):
        resources[:] = [each for each in resources if each["name"] not in size] + [
            {"name": name, "type": "INTEGER", "integerValue": value, "doubleValue": 0.0, "longValue": 0}
            for name, value in size.items()
            if value
        ]
    cluster = ecs.clusters[cluster_str.rpartition("/")[2]]
    instance.capacity_provider_name = placement.provider_of_instance(ecs, cluster, ec2_instance_id)
    return instance


@fixes.around(EC2ContainerServiceResponse, "register_container_instance")
def instance_attributes(original: Original, response: Any) -> Any:
    """An agent registers its instance with attributes and resources, and again with the ARN that it has.

    AWS: AmazonECS/latest/APIReference/API_RegisterContainerInstance.html
    """
    instance = _known(response) or original(response).result["containerInstance"]
    for attribute in response._get_param("attributes") or []:
        instance.attributes[attribute["name"]] = attribute.get("value")
    for given in response._get_param("totalResources") or []:
        for resources in (instance.registered_resources, instance.remaining_resources):
            for resource in resources:
                if resource["name"] == given["name"] and "integerValue" in given:
                    resource["integerValue"] = given["integerValue"]
    if response._get_param("versionInfo"):
        instance.version_info = response._get_param("versionInfo")
    instance.tags = response._get_param("tags") or []
    return ActionResult({"containerInstance": instance})


def _known(response: Any) -> Any | None:
    arn = response._get_param("containerInstanceArn") or ""
    cluster = (response._get_param("cluster") or "default").rpartition("/")[2]
    return response.ecs_backend.container_instances.get(cluster, {}).get(arn.rpartition("/")[2])


@fixes.operation(EC2ContainerServiceResponse, "submit_task_state_change")
def submit_task_state_change(response: Any) -> Any:
    """An agent says what has become of a task.

    AWS: AmazonECS/latest/APIReference/API_SubmitTaskStateChange.html
    """
    containers = [
        {
            "name": each["containerName"],
            **{name: each[name] for name in ("exitCode", "networkBindings", "reason", "runtimeId") if name in each},
            **({"lastStatus": each["status"]} if "status" in each else {}),
        }
        for each in response._get_param("containers") or []
    ]
    place = {"region": response.region, "account": response.current_account}
    status, reason = response._get_param("status"), response._get_param("reason")
    agents.report(response._get_param("task"), status, containers, reason, **place)
    return ActionResult({"acknowledgment": "ACK"})


@fixes.around(EC2ContainerServiceResponse, "describe_task_definition")
def unknown_definition(original: Original, response: Any) -> Any:
    """An unknown task definition is a ClientException, also by a revision that never was.

    AWS: AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html
    """
    try:
        return original(response)
    except (KeyError, TypeError, ValueError):
        raise TaskDefinitionNotFoundException from None


@fixes.around(EC2ContainerServiceBackend, "describe_capacity_providers")
def all_providers(original: Original, ecs: Any, names: list[str] | None) -> Any:
    """Without names, all capacity providers are described.

    AWS: AmazonECS/latest/APIReference/API_DescribeCapacityProviders.html
    """
    return original(ecs, names or list(ecs.capacity_providers))
