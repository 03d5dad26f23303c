"""ECS tasks as an agent moves them on, not as time does."""

from typing import Any

from moto.core.utils import utcnow
from moto.ecs.models import EC2ContainerServiceBackend, Task

from .clock import CLOCK

# AWS: AmazonECS/latest/developerguide/task-lifecycle-explanation.html
PROVISIONING, PENDING, RUNNING, STOPPED = "PROVISIONING", "PENDING", "RUNNING", "STOPPED"
UNKNOWN, HEALTHY, UNHEALTHY = "UNKNOWN", "HEALTHY", "UNHEALTHY"

_FIRST_DYNAMIC_PORT = 32768


class ServiceTask(Task):
    """A task of a service. Moto's own kind moves on whenever somebody looks."""

    def __init__(self, service: Any, deployment_id: str, definition: Any, provider: str | None):
        backend: EC2ContainerServiceBackend = service._backend
        cluster = backend.clusters[service.cluster_name]
        self._state = PROVISIONING
        super().__init__(
            cluster,
            definition,
            None,
            needs_of(definition),
            backend,
            group=f"service:{service.name}",
            started_by=deployment_id,
            tags=service.tags if service.propagate_tags == "SERVICE" else [],
            launch_type="EC2",
            capacity_provider_name=provider,
        )
        self._state = PROVISIONING
        self.definition = definition
        self.created_at = utcnow()
        self.started_at = self.stopped_at = self.stopping_at = None
        self.stop_code: str | None = None
        self.version = 1
        self.checked = any(each.get("healthCheck") for each in definition.container_definitions)
        self.health_status = UNKNOWN
        self.was_ready = False
        self.containers = [self._container(each) for each in definition.container_definitions]
        cluster_tasks = backend.tasks.setdefault(cluster.name, {})
        cluster_tasks[self.task_arn] = self

    def _container(self, definition: dict[str, Any]) -> dict[str, Any]:
        return {
            "containerArn": f"{self.task_arn.replace(':task/', ':container/')}/{definition['name']}",
            "taskArn": self.task_arn,
            "name": definition["name"],
            "image": definition["image"],
            "lastStatus": PENDING,
            "healthStatus": UNKNOWN,
            "networkBindings": [],
            "networkInterfaces": [],
            "cpu": str(definition.get("cpu", 0)),
        }

    @property
    def status(self) -> str:
        return self._state

    @status.setter
    def status(self, value: str) -> None:
        self._state = value

    def advance(self) -> None:
        """Looking at a task changes nothing."""

    @property
    def live(self) -> bool:
        return self.status != STOPPED and self.desired_status == RUNNING

    @property
    def ready(self) -> bool:
        return self.live and self.status == RUNNING and (not self.checked or self.health_status == HEALTHY)

    def place(self, instance: Any) -> None:
        self.container_instance_arn = instance.container_instance_arn
        self.availability_zone = instance.attributes.get("ecs.availability-zone")
        self._backend.update_container_instance_resources(instance, self.resource_requirements)
        self.status = PENDING

    def run(self, containers: list[dict[str, Any]] | None = None) -> None:
        """It runs; what the agent says of the containers is taken, else ports are made up."""
        if self.status in (RUNNING, STOPPED):
            return
        self.status, self.started_at = RUNNING, utcnow()
        for container, definition in zip(self.containers, self.definition.container_definitions, strict=True):
            container["lastStatus"] = RUNNING
            container["runtimeId"] = f"{self.id.replace('-', '')}-{abs(hash(container['name'])) % 10**10}"
            container["networkBindings"] = self._bindings(definition)
        self.tell(containers or [])

    def _bindings(self, definition: dict[str, Any]) -> list[dict[str, Any]]:
        taken = {
            binding["hostPort"]
            for task in self._backend.tasks[self.cluster_name].values()
            if isinstance(task, ServiceTask) and task.container_instance_arn == self.container_instance_arn
            for container in task.containers
            for binding in container["networkBindings"]
        }
        bindings = []
        for mapping in definition.get("portMappings", []):
            port = mapping.get("hostPort") or _FIRST_DYNAMIC_PORT
            while port in taken:
                port += 1
            taken.add(port)
            bindings.append(
                {
                    "bindIP": "0.0.0.0",
                    "containerPort": mapping["containerPort"],
                    "hostPort": port,
                    "protocol": mapping.get("protocol", "tcp"),
                }
            )
        return bindings

    def tell(self, containers: list[dict[str, Any]]) -> None:
        """Facts about containers, by name, as the agent reports them."""
        known = {container["name"]: container for container in self.containers}
        for facts in containers:
            known[facts["name"]].update({name: value for name, value in facts.items() if name != "name"})
        health = [
            container["healthStatus"]
            for container, definition in zip(self.containers, self.definition.container_definitions, strict=True)
            if definition.get("healthCheck")
        ]
        if health:
            worst = [state for state in (UNHEALTHY, UNKNOWN, HEALTHY) if state in health]
            self.health_status = worst[0]
        self.version += 1
        self.was_ready = self.was_ready or self.ready

    def be_healthy(self) -> None:
        if self.status == RUNNING:
            self.tell([{"name": container["name"], "healthStatus": HEALTHY} for container in self.containers])

    def stop(self, reason: str, code: str = "ServiceSchedulerInitiated") -> None:
        """It is asked to stop; the agent does it. What runs nowhere has stopped with that."""
        if self.desired_status == STOPPED:
            return
        self.desired_status, self.stopping_at = STOPPED, utcnow()
        self.stopped_reason, self.stop_code = reason, code
        if self.container_instance_arn is None:
            self.stopped()

    def stopped(self, reason: str | None = None, code: str | None = None) -> None:
        if self.status == STOPPED:
            return
        instances = self._backend.container_instances.get(self.cluster_name, {})
        instance = instances.get((self.container_instance_arn or "").rpartition("/")[2])
        if instance is not None:
            self._backend.update_container_instance_resources(instance, self.resource_requirements, removing=True)
        self.status, self.desired_status, self.stopped_at = STOPPED, STOPPED, utcnow()
        self.stopped_reason = self.stopped_reason or reason or "Essential container in task exited"
        self.stop_code = self.stop_code or code or "EssentialContainerExited"
        for container in self.containers:
            container["lastStatus"] = STOPPED


def start_by_itself(task: ServiceTask) -> None:
    """When no agent is there to do it."""

    def run() -> None:
        if task.live:
            task.run()
            CLOCK.after("task_healthy", task.be_healthy)

    CLOCK.after("task_start", run)


def needs_of(definition: Any) -> dict[str, Any]:
    """AWS: AmazonECS/latest/developerguide/task_definition_parameters.html"""
    containers = definition.container_definitions
    memory = [each.get("memoryReservation") or each.get("memory") or 0 for each in containers]
    ports = [
        mapping["hostPort"] for each in containers for mapping in each.get("portMappings", []) if mapping.get("hostPort")
    ]
    gpus = [
        int(need["value"])
        for each in containers
        for need in each.get("resourceRequirements", [])
        if need["type"] == "GPU"
    ]
    return {
        "CPU": int(definition.cpu or sum(each.get("cpu") or 0 for each in containers)),
        "MEMORY": int(definition.memory or sum(memory)),
        "PORTS": ports,
        "PORTS_UDP": [],
        "GPU": sum(gpus),
    }
