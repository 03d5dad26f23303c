"""The ECS service scheduler: services get their tasks, deployments roll, capacity providers scale.

Level-triggered: `tick` looks at what there is and at what is wanted, at the start of every request.

AWS: AmazonECS/latest/developerguide/ecs_services.html, deployment-type-ecs.html, cluster-auto-scaling.html
"""

import math
from typing import Any

from moto.core.utils import utcnow
from moto.ecs.exceptions import TaskDefinitionNotFoundException
from moto.ecs.models import TaskDefinition, ecs_backends
from moto.moto_api._internal import mock_random

from . import agents, placement
from .clock import CLOCK
from .placement import group_of_provider
from .tasks import PROVISIONING, RUNNING, STOPPED, UNHEALTHY, ServiceTask, start_by_itself

# Rounds in which one request may settle; each start or stop takes one when there are no delays.
_ROUNDS = 20


def tick() -> None:
    for _, _, ecs in list(ecs_backends.iter_backends()):
        for _ in range(_ROUNDS):
            before = _picture(ecs)
            _reconcile(ecs)
            if _picture(ecs) == before:
                break


def _picture(ecs: Any) -> list[Any]:
    tasks = [(task.id, task.last_status, task.desired_status) for all_ in ecs.tasks.values() for task in all_.values()]
    return [*tasks, *((each.arn, each.status, len(each.deployments)) for each in ecs.services.values())]


def _reconcile(ecs: Any) -> None:
    _drop_dead_instances(ecs)
    if agents.by_themselves():
        _register_by_themselves(ecs)
    for service in list(ecs.services.values()):
        # Those that were made with `services_run` switched off are moto's.
        if service.status != "INACTIVE" and service.deployments and hasattr(service, "deployment_configuration"):
            _Round(ecs, service).run()
    for provider in list(ecs.capacity_providers.values()):
        _scale(ecs, provider)
    _count(ecs)


def new_deployment(service: Any) -> dict[str, Any]:
    """The service's new first deployment; the one before becomes an old one."""
    for deployment in service.deployments:
        deployment["status"] = "ACTIVE"
    made = {
        "id": f"ecs-svc/{mock_random.randint(10**18, 10**19)}",
        "status": "PRIMARY",
        "taskDefinition": service.task_definition,
        "desiredCount": service.desired_count,
        "pendingCount": 0,
        "runningCount": 0,
        "failedTasks": 0,
        "createdAt": utcnow(),
        "updatedAt": utcnow(),
        "rolloutState": "IN_PROGRESS",
    }
    made["rolloutStateReason"] = f"ECS deployment {made['id']} in progress."
    if service.capacity_provider_strategy:
        made["capacityProviderStrategy"] = service.capacity_provider_strategy
    else:
        made["launchType"] = service.launch_type
    service.deployments.insert(0, made)
    return made


def event(service: Any, message: str) -> None:
    if not service.events or service.events[0]["message"] != message:
        service.events.insert(0, {"id": str(mock_random.uuid4()), "createdAt": utcnow(), "message": message})
        del service.events[100:]


class _Round:
    """One look at one service."""

    def __init__(self, ecs: Any, service: Any):
        self.ecs = ecs
        self.service = service
        self.primary = service.deployments[0]
        ids = {deployment["id"] for deployment in service.deployments}
        tasks = ecs.tasks.get(service.cluster_name, {}).values()
        self.tasks = [task for task in tasks if isinstance(task, ServiceTask) and task.started_by in ids]
        self.wanted = service.desired_count if service.status == "ACTIVE" else 0
        configuration = service.deployment_configuration
        self.lower = math.ceil(self.wanted * configuration.get("minimumHealthyPercent", 100) / 100)
        self.upper = math.floor(self.wanted * configuration.get("maximumPercent", 200) / 100)

    def live(self) -> list[ServiceTask]:
        return [task for task in self.tasks if task.live]

    def current(self) -> list[ServiceTask]:
        """Those of the primary deployment that are to stay where they are."""
        return [task for task in self.live() if task.started_by == self.primary["id"] and not self._drains(task)]

    def run(self) -> None:
        for task in self.live():
            if task.health_status == UNHEALTHY:
                self._stop(task, f"(service {self.service.name}) Task failed container health checks")
        self._count_failures()
        self._stop_surplus()
        self._start()
        self._place()
        self._finish()

    def _drains(self, task: ServiceTask) -> bool:
        instances = self.ecs.container_instances.get(self.service.cluster_name, {})
        instance = instances.get((task.container_instance_arn or "").rpartition("/")[2])
        return instance is not None and instance.status == "DRAINING"

    def _stop(self, task: ServiceTask, reason: str) -> None:
        task.stop(reason)
        if agents.by_themselves():
            CLOCK.after("task_stop", task.stopped)

    def _stop_surplus(self) -> None:
        current = self.current()
        old = [task for task in self.live() if task not in current]
        surplus = sorted(current, key=lambda task: task.ready)[: max(len(current) - self.wanted, 0)]
        ready = sum(task.ready for task in self.live())
        for task in sorted(old, key=lambda task: task.ready) + surplus:
            if not task.ready or ready - 1 >= self.lower:
                ready -= task.ready
                self._stop(task, f"Scaling activity initiated by deployment {self.primary['id']}")

    def _start(self) -> None:
        if self.primary["rolloutState"] == "FAILED":
            return
        definition = self._definition()
        while len(self.current()) < self.wanted and len(self.live()) < max(self.upper, 1):
            task = ServiceTask(self.service, self.primary["id"], definition, self._provider())
            if not self._try_to_place(task) and not self._waits(task):
                del self.ecs.tasks[self.service.cluster_name][task.task_arn]
                reason = "no container instance met all of its requirements"
                event(self.service, f"(service {self.service.name}) was unable to place a task because {reason}.")
                return
            self.tasks.append(task)

    def _definition(self) -> TaskDefinition:
        """A service goes on with a definition that was deregistered, which moto forgets.

        AWS: AmazonECS/latest/APIReference/API_DeregisterTaskDefinition.html
        """
        arn = self.primary["taskDefinition"]
        try:
            self.service.definition_in_use = self.ecs.describe_task_definition(arn)
        except TaskDefinitionNotFoundException:
            if getattr(self.service, "definition_in_use", None) is None or self.service.definition_in_use.arn != arn:
                raise
        return self.service.definition_in_use

    def _provider(self) -> str | None:
        """By base first, then by weight."""
        strategy = self.service.capacity_provider_strategy or []
        used = {each["capacityProvider"]: 0 for each in strategy}
        for task in self.current():
            used[task.capacity_provider_name] = used.get(task.capacity_provider_name, 0) + 1
        for each in strategy:
            if used[each["capacityProvider"]] < each.get("base", 0):
                return str(each["capacityProvider"])
        weighted = [each for each in strategy if each.get("weight", 1) > 0]
        best = min(weighted, key=lambda each: used[each["capacityProvider"]] / each.get("weight", 1), default=None)
        return str(best["capacityProvider"]) if best else None

    def _waits(self, task: ServiceTask) -> bool:
        """Whether its capacity provider will make room."""
        provider = self.ecs._get_provider(task.capacity_provider_name) if task.capacity_provider_name else None
        return provider is not None and _is_scaled(provider)

    def _place(self) -> None:
        for task in self.live():
            if task.status == PROVISIONING:
                self._try_to_place(task)

    def _try_to_place(self, task: ServiceTask) -> bool:
        instance = placement.choose(self.ecs, self.service, task)
        if instance is None:
            return False
        task.place(instance)
        if agents.by_themselves():
            start_by_itself(task)
        return True

    def _count_failures(self) -> None:
        mine = [task for task in self.tasks if task.started_by == self.primary["id"] and task.status == STOPPED]
        failed = sum(not task.was_ready and task.stop_code != "UserInitiated" for task in mine)
        self.primary["failedTasks"] = failed
        breaker = self.service.deployment_configuration.get("deploymentCircuitBreaker") or {}
        threshold = min(max(math.ceil(self.wanted / 2), 3), 200)
        if breaker.get("enable") and failed >= threshold and self.primary["rolloutState"] == "IN_PROGRESS":
            self._fail(bool(breaker.get("rollback")))

    def _fail(self, roll_back: bool) -> None:
        self.primary["rolloutState"] = "FAILED"
        self.primary["rolloutStateReason"] = "ECS deployment circuit breaker: tasks failed to start."
        event(self.service, f"(service {self.service.name}) (deployment {self.primary['id']}) deployment failed: tasks failed to start.")
        last_good = getattr(self.service, "last_good_definition", None)
        if roll_back and last_good and last_good != self.primary["taskDefinition"]:
            self.service.task_definition = last_good
            self.primary = new_deployment(self.service)

    def _finish(self) -> None:
        service = self.service
        for deployment in service.deployments:
            tasks = [task for task in self.tasks if task.started_by == deployment["id"] and task.status != STOPPED]
            deployment["runningCount"] = sum(task.status == RUNNING for task in tasks)
            deployment["pendingCount"] = sum(task.status != RUNNING and task.live for task in tasks)
            deployment["desiredCount"] = service.desired_count if deployment is service.deployments[0] else 0
        service.running_count = sum(each["runningCount"] for each in service.deployments)
        service.pending_count = sum(each["pendingCount"] for each in service.deployments)
        current, unfinished = self.current(), [task for task in self.tasks if task.status != STOPPED]
        if service.status == "DRAINING" and not unfinished:
            service.status = "INACTIVE"
        if len(current) == self.wanted and all(task.ready for task in current) and len(unfinished) == len(current):
            if self.primary["rolloutState"] == "IN_PROGRESS":
                self.primary["rolloutState"] = "COMPLETED"
                self.primary["rolloutStateReason"] = f"ECS deployment {self.primary['id']} completed."
                service.last_good_definition = self.primary["taskDefinition"]
                event(service, f"(service {service.name}) has reached a steady state.")
            del service.deployments[1:]


def _drop_dead_instances(ecs: Any) -> None:
    """An instance that is terminated leaves its cluster, and its tasks have stopped."""
    for cluster, instances in ecs.container_instances.items():
        for key, instance in list(instances.items()):
            if not placement.is_gone(ecs, instance.ec2_instance_id):
                continue
            for task in list(ecs.tasks.get(cluster, {}).values()):
                if isinstance(task, ServiceTask) and task.container_instance_arn == instance.container_instance_arn:
                    task.stopped(f"Host EC2 (instance {instance.ec2_instance_id}) terminated.", "TerminationNotice")
            del instances[key]


def _register_by_themselves(ecs: Any) -> None:
    for cluster in ecs.clusters.values():
        if cluster.status != "ACTIVE":
            continue
        registered = {each.ec2_instance_id for each in ecs.container_instances.get(cluster.name, {}).values()}
        for name in cluster.capacity_providers or []:
            provider = ecs._get_provider(name)
            group = group_of_provider(ecs, provider) if provider and provider.auto_scaling_group_provider else None
            for state in group.instance_states if group else []:
                if state.instance.id not in registered and state.instance.state == "running":
                    _register(ecs, cluster, state.instance)


def _register(ecs: Any, cluster: Any, instance: Any) -> None:
    if getattr(instance, "cortex_registers", False):
        return
    instance.cortex_registers = True

    def register() -> None:
        if instance.state == "running" and cluster.status == "ACTIVE":
            ecs.register_container_instance(cluster.name, instance.id)

    CLOCK.after("agent_register", register)


def _is_scaled(provider: Any) -> bool:
    details = provider.auto_scaling_group_provider or {}
    return bool(details.get("managedScaling", {}).get("status") == "ENABLED")


def _scale(ecs: Any, provider: Any) -> None:
    group = group_of_provider(ecs, provider) if _is_scaled(provider) else None
    if group is None:
        return
    tasks = [
        task
        for all_ in ecs.tasks.values()
        for task in all_.values()
        if isinstance(task, ServiceTask) and task.live and task.capacity_provider_name == provider.name
    ]
    waiting = [task for task in tasks if task.status == PROVISIONING]
    registered = {
        each.ec2_instance_id: each for all_ in ecs.container_instances.values() for each in all_.values()
    }
    coming = sum(state.instance.id not in registered for state in group.instance_states)
    needed = placement.fits_on_new(ecs, provider, waiting) - coming
    wanted = min(group.max_size, group.desired_capacity + needed)
    if needed > 0 and wanted > group.desired_capacity and not getattr(provider, "cortex_scales", False):
        provider.cortex_scales = True

        def scale_out() -> None:
            provider.cortex_scales = False
            group.set_desired_capacity(min(group.max_size, max(wanted, group.desired_capacity)))

        CLOCK.after("scale_out", scale_out)
    _scale_in(group, waiting, {arn_of(registered, state) for state in group.instance_states}, tasks, provider)


def arn_of(registered: dict[str, Any], state: Any) -> str | None:
    instance = registered.get(state.instance.id)
    return instance.container_instance_arn if instance else None


def _scale_in(group: Any, waiting: list[Any], arns: set[str | None], tasks: list[Any], provider: Any) -> None:
    """After a while without tasks, instances go. Never while there is no delay: a test would lose its ground."""
    busy = {task.container_instance_arn for task in tasks} & arns
    wanted = max(group.min_size, len(busy))
    if waiting or None in arns or wanted >= group.desired_capacity or CLOCK.delays["scale_in"] <= 0:
        provider.cortex_idle_since = None
        return
    since = getattr(provider, "cortex_idle_since", None)
    if since is None:
        provider.cortex_idle_since = CLOCK.now()
    elif CLOCK.now() - since >= CLOCK.delays["scale_in"]:
        provider.cortex_idle_since = None
        agents.protect_busy(group, busy)
        group.set_desired_capacity(wanted)


def _count(ecs: Any) -> None:
    for cluster in ecs.clusters.values():
        tasks = [task for task in ecs.tasks.get(cluster.name, {}).values() if isinstance(task, ServiceTask)]
        mine = [service for service in ecs.services.values() if service.cluster_name == cluster.name]
        cluster.running_tasks_count = sum(task.status == RUNNING for task in tasks)
        cluster.pending_tasks_count = sum(task.status not in (RUNNING, STOPPED) for task in tasks)
        cluster.active_services_count = sum(service.status == "ACTIVE" for service in mine)
        cluster.registered_container_instances_count = len(ecs.container_instances.get(cluster.name, {}))
