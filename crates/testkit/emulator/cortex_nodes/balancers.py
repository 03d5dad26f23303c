"""The load balancers: a forwarder on loopback for each listener, to targets that pass the checks of their group.

All of it is in one thread with one event loop. A load balancer on AWS sends to all targets when none is healthy; this
one closes the connection, so that a test sees it.
"""

import asyncio
import sys
import threading
from dataclasses import dataclass
from typing import Any

from . import checks
from .emulator import Emulator, Refused

INITIAL, HEALTHY, UNHEALTHY = "initial", "healthy", "unhealthy"

_EVERY = 0.3
_CHUNK = 256 * 1024
_HOST = "127.0.0.1"


@dataclass
class Target:
    """One target of one group, as its health checks know it."""

    address: str
    port: int
    state: str = INITIAL
    # How many answers in a row said other than the state.
    against: int = 0

    def heard(self, passed: bool, check: dict[str, Any]) -> None:
        found = HEALTHY if passed else UNHEALTHY
        if found == self.state:
            self.against = 0
            return
        self.against += 1
        needed = check["healthy_after"] if passed else check["unhealthy_after"]
        # The first good answer of a new target is enough.
        if self.against >= needed or (passed and self.state == INITIAL):
            self.state, self.against = found, 0


class Balancers:
    def __init__(self, emulator: Emulator):
        self._emulator = emulator
        self._loop = asyncio.new_event_loop()
        # By the node's instance id: where it is.
        self._addresses: dict[str, str] = {}
        self._listeners: dict[str, _Listener] = {}
        self._targets: dict[tuple[str, str], Target] = {}
        self._found: dict[str, Any] = {"listeners": [], "groups": []}
        self.problem: str | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def nodes_are(self, addresses: dict[str, str]) -> None:
        """Which instances run here; the others have no health."""
        self._addresses = addresses

    def status(self) -> dict[str, str]:
        """By `<dns>:<port>`: the address of the forwarder."""
        return {name: listener.address for name, listener in list(self._listeners.items())}

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._forever())

    async def _forever(self) -> None:
        while True:
            try:
                self._found = await asyncio.to_thread(self._emulator.ask_here, "balancers")
                await self._listen()
                await self._check()
                self.problem = None
            except (Refused, OSError) as error:
                self.problem = str(error)
                print(f"balancers: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(_EVERY)

    async def _listen(self) -> None:
        wanted = {f"{each['dns_name']}:{each['port']}": each for each in self._found["listeners"]}
        for name in set(self._listeners) - set(wanted):
            self._listeners.pop(name).close()
        for name, each in wanted.items():
            if name not in self._listeners:
                listener = _Listener(self)
                await listener.open()
                self._listeners[name] = listener
            # A load balancer that is being made lets nobody in yet.
            self._listeners[name].groups = each["target_groups"] if each["state"] == "active" else []

    async def _check(self) -> None:
        jobs = []
        known = {}
        for group in self._found["groups"]:
            for each in group["targets"]:
                address = self._addresses.get(each["id"]) if group["target_type"] == "instance" else None
                if address is None:
                    continue
                key = (group["arn"], each["id"])
                target = self._targets.get(key)
                if target is None or (target.address, target.port) != (address, each["port"]):
                    target = Target(address, each["port"])
                known[key] = target
                jobs.append(self._ask(group, each["id"], target))
        self._targets = known
        await asyncio.gather(*jobs)

    async def _ask(self, group: dict[str, Any], name: str, target: Target) -> None:
        target.heard(await checks.passes(group["check"], target.address, target.port), group["check"])
        if target.state in (INITIAL, group["reported"].get(name)):
            return
        reason = None if target.state == HEALTHY else "Target.FailedHealthChecks"
        facts = {"target_group": group["arn"], "target": name, "state": target.state, "reason": reason}
        await asyncio.to_thread(lambda: self._emulator.ask_here("targets/health", **facts))

    def healthy(self, groups: list[str]) -> list[Target]:
        return [each for (group, _), each in self._targets.items() if group in groups and each.state == HEALTHY]


class _Listener:
    def __init__(self, balancers: Balancers):
        self._balancers = balancers
        self._server: asyncio.Server | None = None
        self._turn = 0
        self.groups: list[str] = []
        self.address = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.address = f"{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = self._balancers.healthy(self.groups)
        self._turn += 1
        if not targets:
            writer.transport.abort()
            return
        target = targets[self._turn % len(targets)]
        try:
            upstream, downstream = await asyncio.open_connection(target.address, target.port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, downstream), _copy(upstream, writer))
        for each in (writer, downstream):
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end, which is passed on; a broken connection breaks the other side."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
