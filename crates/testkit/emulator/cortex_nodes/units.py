"""systemd's part: services that were enabled, as their unit files say.

What is understood of unit files: ExecStart, ExecStartPre, Environment, EnvironmentFile, Restart, WorkingDirectory and
StateDirectory. AWS has Amazon Linux's systemd; this is none.
"""

import re
import shlex
import time
import uuid
from pathlib import Path
from typing import Any

from . import processes, relocation
from .processes import SYSTEM_PATH, Process

_RESTART_AFTER = 0.2
# Before the group is killed. systemd: TimeoutStopSec, KillMode=mixed; shorter than there, for tests wait.
_PATIENCE = 10.0
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class Unit:
    def __init__(self, name: str, root: Path, environment: dict[str, str]):
        self.name = name
        self._root = root
        self._given = environment
        self.log = root / f"{name.removesuffix('.service')}.log"
        self.starts = 0
        self.stopping = False
        self.problem: str | None = None
        self._process: Process | None = None
        self._restart = "no"
        # systemd gives each start one; here it also tells who belongs to it, in place of a control group.
        self._invocation = ""
        self._again_at = 0.0

    def tick(self) -> None:
        """Starts it when it has to be started."""
        if self._process is not None:
            self._process.tick()
            code = self._process.exit_code()
            if code is None:
                return
            # systemd ends what is left of a unit before it starts it again.
            processes.kill(processes.descendants_with(f"INVOCATION_ID={self._invocation}"))
            self._process = None
            again = self._restart == "always" or (self._restart == "on-failure" and code != 0)
            self._again_at = time.monotonic() + _RESTART_AFTER if again else float("inf")
            self._note(f"ended with {code}")
        if not self.stopping and time.monotonic() >= self._again_at:
            self._start()

    def stop(self) -> None:
        self.stopping = True
        if self._process is not None:
            self._process.stop(_PATIENCE)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    def status(self) -> dict[str, Any]:
        running = self.running and self._process is not None
        over = self.stopping or self._again_at == float("inf")
        state = "running" if running else "stopped" if over else "waiting"
        pid = self._process.pid if running and self._process else None
        return {"name": self.name, "state": state, "pid": pid, "starts": self.starts, "problem": self.problem}

    def pids(self) -> set[int]:
        return {self._process.pid} if self._process else set()

    def _start(self) -> None:
        places = relocation.of_host(self._root)
        try:
            unit = _parsed(relocation.moved(_file(self._root, self.name).read_text(), places))
            self._invocation = uuid.uuid4().hex
            environment = self._environment(unit, places) | {"INVOCATION_ID": self._invocation}
            commands = [_command(line, environment) for line in [*unit.get("ExecStartPre", []), unit["ExecStart"][-1]]]
            for name in unit.get("StateDirectory", []):
                state = self._root / "var/lib" / name
                state.mkdir(parents=True, exist_ok=True)
                environment["STATE_DIRECTORY"] = str(state)
            directory = Path(unit.get("WorkingDirectory", [str(self._root)])[-1])
            # One after the other, as one process: its id is the last one's.
            line = " && ".join(map(shlex.join, commands[:-1])) or ":"
            started = commands[-1] if len(commands) == 1 else ["sh", "-c", f"{line} && exec {shlex.join(commands[-1])}"]
            self._process = Process(started, environment, directory, self.log)
            self.problem = None
        except (OSError, ValueError, LookupError) as error:
            self.problem = f"{type(error).__name__}: {error}"
            self._note(self.problem)
            self._again_at = time.monotonic() + _RESTART_AFTER
        else:
            self.starts += 1
            self._restart = unit.get("Restart", ["no"])[-1]

    def _environment(self, unit: dict[str, list[str]], places: dict[str, str]) -> dict[str, str]:
        environment = {"PATH": SYSTEM_PATH, "HOME": str(self._root)}
        for line in unit.get("Environment", []):
            environment |= dict(_assignment(word) for word in shlex.split(line))
        for name in unit.get("EnvironmentFile", []):
            path = Path(name.lstrip("-"))
            if name.startswith("-") and not path.exists():
                continue
            for line in relocation.moved(path.read_text(), places).splitlines():
                if line.strip() and not line.lstrip().startswith(("#", ";")):
                    environment |= dict([_assignment("".join(shlex.split(line)) if _quoted(line) else line.strip())])
        return environment | self._given

    def _note(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(f"[nodes] {self.name}: {text}\n")


def _file(root: Path, name: str) -> Path:
    return root / "etc/systemd/system" / name


def _quoted(line: str) -> bool:
    return line.partition("=")[2].strip()[:1] in ("'", '"')


def _assignment(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"no KEY=value: {word}")
    return name, value


def _parsed(text: str) -> dict[str, list[str]]:
    """The settings of all sections, in order; an empty value forgets those before."""
    found: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;[":
            continue
        name, _, value = line.partition("=")
        name, value = name.strip(), value.strip()
        found[name] = [*found.get(name, []), value] if value else []
    return found


def _command(line: str, environment: dict[str, str]) -> list[str]:
    words = shlex.split(line.lstrip("-@:+!"))
    return [_VARIABLE.sub(lambda found: environment.get(found[1] or found[2], ""), word) for word in words]


def enabled(calls: list[list[str]]) -> list[str]:
    """Which services were started: `enable --now X`, `start X`, `restart X`, in whatever order of words."""
    names: list[str] = []
    for words in calls:
        verbs = {word for word in words if not word.startswith("-")}
        starts = "start" in verbs or "restart" in verbs or ("enable" in verbs and "--now" in words)
        for word in words:
            if starts and word not in ("enable", "start", "restart") and not word.startswith("-"):
                name = word if "." in word else f"{word}.service"
                if name.endswith(".service") and name not in names:
                    names.append(name)
    return names
