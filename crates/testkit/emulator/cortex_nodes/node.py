"""One instance: it boots by its user data, and becomes what that made of it."""

import shutil
from pathlib import Path
from typing import Any

from . import relocation
from .agent import Agent, settings_of
from .emulator import Emulator
from .metadata import Metadata
from .processes import SYSTEM_PATH, Process
from .shims import Shims
from .units import Unit, enabled

BOOTING, UP, FAILED, STOPPING, GONE = "booting", "up", "failed", "stopping", "gone"

_PATIENCE = 10.0


class Node:
    def __init__(self, emulator: Emulator, instance: dict[str, Any], address: str, root: Path):
        self.id: str = instance["id"]
        self.address = address
        self.root = root
        self.state = BOOTING
        self.units: list[Unit] = []
        self.agent: Agent | None = None
        self._emulator = emulator
        for directory in ("etc/ecs", "etc/systemd/system", "opt", "var/lib", "tasks"):
            (root / directory).mkdir(parents=True)
        self.metadata = Metadata(emulator, instance, address)
        self._shims = Shims(root, emulator, self.metadata, shutil.which("curl") or "/usr/bin/curl")
        self._boot = self._begin(instance["user_data"])

    def tick(self) -> None:
        """Moves on whatever has to be moved on. Asks the emulator nothing but what tasks have to tell."""
        self._boot.tick()
        if self.state == BOOTING:
            self._finish_boot()
        for unit in self.units:
            unit.tick()
        if self.agent is not None:
            self.agent.tick()
        if self.state == STOPPING and not self._running():
            self._be_gone()

    def look(self) -> None:
        if self.state == UP and self.agent is not None:
            self.agent.look()

    def stop(self) -> None:
        if self.state in (STOPPING, GONE):
            return
        self.state = STOPPING
        self._boot.stop(_PATIENCE)
        for unit in self.units:
            unit.stop()
        if self.agent is not None:
            self.agent.stop(_PATIENCE)

    def status(self) -> dict[str, Any]:
        return {
            "instance": self.id,
            "state": self.state,
            "address": self.address,
            "directory": str(self.root),
            "metadata": self.metadata.url,
            "units": [unit.status() for unit in self.units],
            "ecs_config": self.agent.settings if self.agent else None,
            "container_instance": self.agent.container_instance if self.agent else None,
            "problem": self.agent.problem if self.agent else None,
            "tasks": [task.status() for task in self.agent.tasks.values()] if self.agent else [],
        }

    def pids(self) -> set[int]:
        found = {self._boot.pid}
        for part in (*self.units, *(self.agent.tasks.values() if self.agent else ())):
            found |= part.pids()
        return found

    def _begin(self, user_data: str) -> Process:
        script = self.root / "user-data"
        script.write_text(relocation.moved(user_data, relocation.of_host(self.root)))
        environment = {"PATH": f"{self._shims.directory}:{SYSTEM_PATH}", "HOME": str(self.root), "LANG": "C.UTF-8"}
        return Process(["bash", str(script)], environment, self.root, self.root / "boot.log")

    def _finish_boot(self) -> None:
        code = self._boot.exit_code()
        if code is None:
            return
        if code != 0:
            self.state = FAILED
            with (self.root / "boot.log").open("a") as log:
                log.write(f"[nodes] the user data of {self.id} ended with {code}\n")
            return
        self.state = UP
        given = {
            "AWS_ENDPOINT_URL": self._emulator.endpoint,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "CORTEX_LISTEN_ADDRESS": self.address,
        }
        self.units = [Unit(name, self.root, given) for name in enabled(self._shims.systemctl_calls())]
        settings = settings_of(self.root)
        if settings is not None:
            self.agent = Agent(self._emulator, self.root, self.metadata, settings)

    def _running(self) -> bool:
        booting = self._boot.exit_code() is None
        return booting or any(unit.running for unit in self.units) or (self.agent is not None and self.agent.running)

    def _be_gone(self) -> None:
        self._boot.kill()
        self.metadata.close()
        self.state = GONE
