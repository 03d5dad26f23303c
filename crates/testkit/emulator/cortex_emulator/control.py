"""The emulator's own interface: `GET` or `POST /_cortex/<name>`, JSON in and out.

For tests: what was asked, what there is, who has credentials, how long things take. Nothing of it exists on AWS and
nothing of the product may use it.
"""

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.s3.models import s3_backends

from . import agents, identities, inventory, limits, price_list, principals, scheduler, search
from .calls import CALLS, PERMISSIONS
from .clock import CLOCK
from .errors import AwsError
from .gate import FULL, GATE, OFF, STS
from .paging import PAGES
from .rules import BOOK
from .strict import client_tokens

PREFIX = "/_cortex/"

_SETTINGS: dict[str, Any] = {}


def settle(endpoint: str) -> None:
    """Once, when the port is known: who the first administrator is."""
    _SETTINGS["endpoint"] = endpoint
    _SETTINGS["admin"] = identities.create_first_administrator()


def welcome() -> dict[str, Any]:
    """What the first line of the server's output says."""
    return {
        "endpoint": _SETTINGS["endpoint"],
        "pid": os.getpid(),
        "account": DEFAULT_ACCOUNT_ID,
        "mode": "strict" if BOOK.strict else "plain",
        "auth": GATE.mode,
        "admin": _SETTINGS["admin"],
        "rules": len(BOOK.rules),
    }


def answer(environ: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
    headers = {"content-type": "application/json"}
    name = environ["PATH_INFO"].removeprefix(PREFIX)
    try:
        parameters = json.loads(body) if body else {}
        function = _FUNCTIONS[name]
        if name != "reset":
            CLOCK.settle()
            scheduler.tick()
        return 200, headers, json.dumps(function(**parameters), default=str).encode()
    except AwsError as error:
        status, result = 400, {"code": error.code, "message": error.message}
    except Exception as error:
        if name in _FUNCTIONS:
            traceback.print_exception(error)
        status, result = 400, {"code": type(error).__name__, "message": f"{name}: {error}"}
    return status, headers, json.dumps(result).encode()


def _reset() -> dict[str, Any]:
    for backends in list(BackendDict._instances):
        if backends.service_name == "s3":
            # Closes the files of large objects. The others need not be made anew before they are dropped.
            for account in backends.values():
                account.reset()
        backends.clear()
    BackendDict._instances.clear()
    s3_backends.bucket_accounts.clear()
    reset_model_data()
    for forgetful in (principals, CLOCK, CALLS, PERMISSIONS, agents, limits, PAGES, client_tokens, price_list):
        forgetful.forget()
    settle(_SETTINGS["endpoint"])
    return welcome()


def _set_mode(mode: str | None = None, auth: str | None = None) -> dict[str, Any]:
    if mode not in (None, "plain", "strict") or auth not in (None, OFF, STS, FULL):
        raise ValueError("mode is plain or strict, auth is off, sts or full")
    BOOK.strict = BOOK.strict if mode is None else mode == "strict"
    GATE.mode = GATE.mode if auth is None else auth
    return welcome()


def _set_delays(**changes: float) -> dict[str, float]:
    CLOCK.set(changes)
    return CLOCK.delays


def _advance(seconds: float) -> dict[str, Any]:
    CLOCK.advance(seconds, scheduler.tick)
    return {"pending": CLOCK.pending()}


def _calls(since: int = 0) -> dict[str, Any]:
    calls = CALLS.since(since)
    return {"calls": calls, "last": since + len(calls)}


def _rules(disable: list[str] | None = None) -> list[dict[str, Any]]:
    if disable is not None:
        BOOK.disable(disable)
    return [
        {
            "name": rule.name,
            "area": rule.area,
            "file": rule.module.partition(".")[2],
            "summary": rule.summary,
            "sources": rule.sources,
            "active": rule.active,
        }
        for rule in BOOK.rules.values()
    ]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "welcome": welcome,
    "reset": _reset,
    "mode": _set_mode,
    "rules": _rules,
    "delays": _set_delays,
    "advance": _advance,
    "pages": PAGES.set,
    "prices": price_list.put,
    "quotas": limits.set_quotas,
    "calls": _calls,
    "counts": lambda since=0: CALLS.counts(since),
    "inventory": inventory.take,
    "search": lambda needles: search.find(needles),
    "permissions": lambda since=0: PERMISSIONS.since(since),
    "users/policies": identities.set_policies,
    "users/create": identities.create_user,
    "users/administrator": identities.create_administrator,
    "users/delete": identities.delete_user,
    "roles/policies": identities.set_role_policies,
    "roles/create": identities.create_role,
    "roles/assume": identities.assume,
    "root/create": identities.create_root_key,
    "federated/create": identities.create_federated,
    "keys/deactivate": identities.deactivate,
    "keys/activate": identities.activate,
    "keys/delete": identities.delete,
    "keys/expire": identities.expire,
    "instances/credentials": identities.of_instance,
    "agents/mode": agents.set_mode,
    "agents/instances": agents.instances,
    "agents/poll": agents.poll,
    "agents/report": agents.report,
    "balancers": agents.balancers,
    "targets/health": agents.set_target_health,
}
