"""The ECS agent of one node.

It does what the agent does, with the instance's credentials: a permission that its role lacks is missed here too.
"""

import json
import time
from pathlib import Path
from typing import Any

from .emulator import Emulator, Refused
from .metadata import Metadata
from .task import STOPPED, Task

_AGAIN_AFTER = 1.0
# SSH, Docker and the agent. AWS: AmazonECS/latest/developerguide/container-instance-port-mappings.html
_RESERVED_PORTS = ["22", "2375", "2376", "51678", "51679"]


class Agent:
    def __init__(self, emulator: Emulator, root: Path, metadata: Metadata, settings: dict[str, str]):
        self.settings = settings
        self.container_instance: str | None = None
        self.tasks: dict[str, Task] = {}
        self.problem: str | None = None
        self.stopping = False
        self._emulator, self._root, self._metadata = emulator, root, metadata
        self._cluster = settings["ECS_CLUSTER"]
        self._again_at = 0.0

    def look(self) -> None:
        """Asks what is to run, and begins or ends it."""
        if time.monotonic() < self._again_at or self.stopping:
            return
        try:
            if self.container_instance is None:
                self._register()
            self._follow()
            self.problem = None
        except (Refused, ValueError) as error:
            self.problem = f"{error}"
            self._note(self.problem)
            self._again_at = time.monotonic() + _AGAIN_AFTER

    def tick(self) -> None:
        for task in self.tasks.values():
            task.tick()
            if not self.stopping:
                task.report()

    def stop(self, patience: float) -> None:
        """The instance goes; nobody asks how its tasks are."""
        self.stopping = True
        for task in self.tasks.values():
            task.stop(patience)

    @property
    def running(self) -> bool:
        return any(task.running for task in self.tasks.values())

    def _register(self) -> None:
        attributes = json.loads(self.settings.get("ECS_INSTANCE_ATTRIBUTES") or "{}")
        if not isinstance(attributes, dict):
            raise ValueError("ECS_INSTANCE_ATTRIBUTES is no JSON object")
        size = self._metadata.instance["size"]
        made = self._call(
            "RegisterContainerInstance",
            cluster=self._cluster,
            instanceIdentityDocument=json.dumps(self._metadata.identity_document()),
            attributes=[{"name": name, "value": str(value)} for name, value in attributes.items()],
            totalResources=[
                *({"name": name, "type": "INTEGER", "integerValue": size[name]} for name in ("CPU", "MEMORY")),
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": _RESERVED_PORTS},
            ],
        )
        self.container_instance = made["containerInstance"]["containerInstanceArn"]
        self._call("DiscoverPollEndpoint", cluster=self._cluster, containerInstance=self.container_instance)
        self._note(f"registered as {self.container_instance}")

    def _call(self, operation: str, **parameters: Any) -> Any:
        return self._emulator.call(self._metadata.credentials(), "ecs", operation, **parameters)

    def _follow(self) -> None:
        found = self._emulator.ask_here(
            "agents/poll", cluster=self._cluster, container_instance=self.container_instance
        )
        for each in found:
            task = self.tasks.get(each["task_arn"])
            if each["desired_status"] == STOPPED:
                if task is None:
                    # It was to stop before it was started.
                    task = Task(self._emulator, self.settings, self._root, self._metadata, each)
                    task.state = STOPPED
                    self.tasks[task.arn] = task
                task.stop()
            elif task is None:
                self.tasks[each["task_arn"]] = task = Task(
                    self._emulator, self.settings, self._root, self._metadata, each
                )
                task.start()

    def _note(self, text: str) -> None:
        with (self._root / "agent.log").open("a") as log:
            log.write(f"{text}\n")


def settings_of(root: Path) -> dict[str, str] | None:
    """What user data wrote for the agent: lines of KEY=value, taken as they are."""
    file = root / "etc/ecs/ecs.config"
    if not file.exists():
        return None
    lines = [line.strip() for line in file.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    settings = {name: value for name, _, value in pairs}
    return settings if settings.get("ECS_CLUSTER") else None
