"""One ECS task: a process that has what its container would have."""

import time
from pathlib import Path
from typing import Any

from . import relocation
from .addresses import free_port
from .credentials import Refreshed
from .emulator import Emulator, Refused
from .health import UNKNOWN, Check
from .logs import Stream
from .metadata import Metadata
from .processes import SYSTEM_PATH, Process

PENDING, RUNNING, STOPPED = "PENDING", "RUNNING", "STOPPED"

_STOP_TIMEOUT = "30s"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_EXITED = "Essential container in task exited"
# Where the product reads what to listen on. In a container that is a port of its own; here ports are the node's.
_LISTEN = "CORTEX_LISTEN"


class Task:
    def __init__(
        self, emulator: Emulator, settings: dict[str, str], root: Path, metadata: Metadata, found: dict[str, Any]
    ):
        self.arn: str = found["task_arn"]
        self.id = self.arn.rpartition("/")[2]
        self.group = found["group"]
        self.state = PENDING
        self.reason: str | None = None
        self.exit_code: int | None = None
        self.bindings: list[dict[str, Any]] = []
        self._emulator, self._metadata, self._found = emulator, metadata, found
        self._cluster = settings["ECS_CLUSTER"]
        self._stop_timeout = _seconds(settings.get("ECS_CONTAINER_STOP_TIMEOUT") or _STOP_TIMEOUT)
        self._root = root
        self._directory = root / "tasks" / self.id
        self.log = self._directory / "log"
        self._container: dict[str, Any] = found["containers"][0]
        self._process: Process | None = None
        self._check: Check | None = None
        self._stream: Stream | None = None
        self._told: tuple[Any, ...] = ()
        self._again_at = 0.0

    def start(self) -> None:
        """What goes wrong here is why the task has stopped."""
        try:
            if len(self._found["containers"]) != 1:
                raise ValueError("the runner runs tasks of one container")
            self._directory.mkdir(parents=True)
            self._start()
        except (Refused, OSError, ValueError) as error:
            self.state, self.reason = STOPPED, f"CannotStartContainerError: {error}"

    def stop(self, at_most: float = float("inf")) -> None:
        if self._process is not None:
            self._process.stop(min(float(self._container.get("stopTimeout") or self._stop_timeout), at_most))

    def tick(self) -> None:
        if self._process is None or self.state == STOPPED:
            return
        self._process.tick()
        self.exit_code = self._process.exit_code()
        if self.exit_code is not None:
            self._end()
        elif self._check is not None:
            self._check.tick()

    def report(self) -> None:
        """Tells AWS what is new, with the instance's credentials; again after a while if that was refused."""
        health = self._check.state if self._check else UNKNOWN
        news = (self.state, health)
        if news == self._told or self.state == PENDING or time.monotonic() < self._again_at:
            return
        try:
            if self._told[:1] != news[:1]:
                self._submit()
            if self.state == RUNNING:
                facts = [{"name": self._container["name"], "healthStatus": health}]
                self._emulator.ask_here("agents/report", task=self.arn, status=RUNNING, containers=facts)
            self._told = news
        except Refused as error:
            self._note(str(error))
            self._again_at = time.monotonic() + 1

    @property
    def over(self) -> bool:
        """Stopped, and AWS knows."""
        return self.state == STOPPED and self._told[:1] == (STOPPED,)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    def status(self) -> dict[str, Any]:
        return {
            "arn": self.arn,
            "group": self.group,
            "container": self._container["name"],
            "state": self.state,
            "health": self._check.state if self._check else None,
            "pid": self._process.pid if self.running and self._process else None,
            "ports": [each["hostPort"] for each in self.bindings],
            "directory": str(self._directory),
            "exit_code": self.exit_code,
            "reason": self.reason,
        }

    def pids(self) -> set[int]:
        return ({self._process.pid} if self._process else set()) | (self._check.pids() if self._check else set())

    def _start(self) -> None:
        places = self._places()
        self._bind()
        environment = self._environment(places)
        self._log_to(self._container.get("logConfiguration"))
        words = [*(self._container.get("entryPoint") or []), *(self._container.get("command") or [])]
        if not words:
            raise ValueError("no entryPoint and no command: images are not there")
        self._process = Process(
            [relocation.moved(word, places) for word in words], environment, self._directory, self.log
        )
        check = self._container.get("healthCheck")
        if check and check["command"][0] != "NONE":
            command = [relocation.moved(word, places) for word in check["command"]]
            self._check = Check(check, command, environment, self._directory)
        self.state = RUNNING

    def _places(self) -> dict[str, str]:
        """Which paths of the container are which of this machine: its mounts."""
        sources = {each["name"]: (each.get("host") or {}).get("sourcePath") for each in self._found["volumes"] or []}
        places = {}
        for mount in self._container.get("mountPoints") or []:
            source = sources.get(mount["sourceVolume"])
            # Without a source Docker makes an empty volume.
            place = self._root / source.lstrip("/") if source else self._directory / mount["sourceVolume"]
            place.mkdir(parents=True, exist_ok=True)
            places[mount["containerPath"].rstrip("/")] = str(place)
        return places

    def _bind(self) -> None:
        host = self._found["network_mode"] == "host"
        for mapping in self._container.get("portMappings") or []:
            inside = mapping["containerPort"]
            outside = mapping.get("hostPort") or (inside if host else free_port(self._metadata.address))
            self.bindings.append(
                {
                    "bindIP": self._metadata.address,
                    "containerPort": inside,
                    "hostPort": outside,
                    "protocol": mapping.get("protocol", "tcp"),
                }
            )

    def _environment(self, places: dict[str, str]) -> dict[str, str]:
        """The definition's, and what ECS adds. Nothing of the instance's: no credentials, no metadata service."""
        own = {each["name"]: each.get("value", "") for each in self._container.get("environment") or []}
        role = self._found["task_role_arn"]
        provider = Refreshed(lambda: self._assume(role)) if role else None
        self._metadata.tasks[self.id] = (self.arn, provider)
        url = f"{self._metadata.url}/ecs"
        environment = {
            "PATH": SYSTEM_PATH,
            **{name: relocation.moved(value, places) for name, value in own.items()},
            "HOME": str(self._directory),
            "AWS_REGION": self._emulator.region,
            "AWS_ENDPOINT_URL": self._emulator.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "ECS_CONTAINER_METADATA_URI_V4": f"{url}/v4/{self.id}",
        }
        if provider is not None:
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{url}/credentials/{self.id}"
        if self.bindings:
            environment[_LISTEN] = f"{self._metadata.address}:{self.bindings[0]['hostPort']}"
        return environment

    def _assume(self, role: str) -> Any:
        return self._emulator.ask("roles/assume", role=role, session=self.id, service="ecs-tasks.amazonaws.com")

    def _log_to(self, configuration: dict[str, Any] | None) -> None:
        if not configuration or configuration["logDriver"] != "awslogs":
            return
        options = configuration["options"]
        prefix = options.get("awslogs-stream-prefix")
        name = f"{prefix}/{self._container['name']}/{self.id}" if prefix else self.id
        self.log.touch()
        stream = Stream(self._emulator, self._metadata.credentials, options["awslogs-group"], name, self.log)
        try:
            stream.create()
        except Refused as error:
            raise ValueError(f"failed to initialize logging driver: {error}") from error
        self._stream = stream

    def _end(self) -> None:
        self.state, self.reason = STOPPED, self.reason or _EXITED
        if self._process is not None:
            # A container's other processes end with its first.
            self._process.kill()
        if self._check is not None:
            self._check.kill()
        if self._stream is not None:
            self._stream.end()
        self._metadata.tasks.pop(self.id, None)

    def _submit(self) -> None:
        facts: dict[str, Any] = {"containerName": self._container["name"], "status": self.state}
        if self.state == RUNNING:
            facts["networkBindings"] = self.bindings
        if self.exit_code is not None:
            facts["exitCode"] = self.exit_code
        reason = {"reason": self.reason} if self.reason else {}
        self._emulator.call(
            self._metadata.credentials(),
            "ecs",
            "SubmitTaskStateChange",
            cluster=self._cluster,
            task=self.arn,
            status=self.state,
            containers=[facts],
            **reason,
        )

    def _note(self, text: str) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "agent.log").open("a") as log:
            log.write(f"{text}\n")


def _seconds(duration: str) -> float:
    """`2m`, as the agent's settings have it."""
    return float(duration[:-1]) * _UNITS[duration[-1]]
