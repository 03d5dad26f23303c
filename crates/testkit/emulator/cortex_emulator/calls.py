"""What was asked of the emulator, in order. A test looks here for calls that change something."""

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

# Operations that only look. AWS names them so; STS hands out credentials but changes nothing.
_LOOKS = ("BatchGet", "Describe", "Filter", "Get", "Head", "List", "Search", "Select", "Simulate", "Tail")


@dataclass
class Call:
    number: int
    time: float
    service: str
    region: str
    action: str
    resource: str
    access_key_id: str
    principal: str
    status: int
    code: str
    mutating: bool
    milliseconds: float


class Calls:
    def __init__(self) -> None:
        self._calls: list[Call] = []

    def add(self, **fields: Any) -> None:
        mutating = fields["service"] != "sts" and not fields["action"].startswith(_LOOKS)
        self._calls.append(Call(number=len(self._calls) + 1, time=time.time(), mutating=mutating, **fields))

    def since(self, number: int) -> list[dict[str, Any]]:
        """Those after the one of that number."""
        return [asdict(call) for call in self._calls[number:]]

    def counts(self, since: int) -> dict[str, Any]:
        calls = self._calls[since:]
        by_action = Counter(f"{call.service}:{call.action}" for call in calls)
        mutating = Counter(f"{call.service}:{call.action}" for call in calls if call.mutating and call.status < 400)
        return {"last": len(self._calls), "total": len(calls), "by_action": by_action, "mutating": mutating}

    def forget(self) -> None:
        self._calls.clear()


@dataclass
class Permission:
    number: int
    principal: str
    action: str
    resource: str
    allowed: bool


class Permissions:
    """Who had to be allowed what: also what a call needs besides its own action. Only while policies are enforced."""

    def __init__(self) -> None:
        self._asked: list[Permission] = []

    def add(self, principal: str, action: str, resource: str, allowed: bool) -> None:
        self._asked.append(Permission(len(self._asked) + 1, principal, action, resource, allowed))

    def since(self, number: int) -> list[dict[str, Any]]:
        return [asdict(permission) for permission in self._asked[number:]]

    def forget(self) -> None:
        self._asked.clear()


CALLS = Calls()
PERMISSIONS = Permissions()
