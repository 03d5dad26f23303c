"""The loop: which instances are there, which nodes have to begin or end, and a file that says how they are."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import processes
from .addresses import Block
from .balancers import Balancers
from .emulator import Emulator, Refused
from .node import GONE, Node

_TICK = 0.05
_LOOK = 0.2
_REAP = 1.0


class Runner:
    def __init__(self, emulator: Emulator, directory: Path):
        self.directory = directory
        self._emulator = emulator
        self._addresses = Block()
        self._balancers = Balancers(emulator)
        self._nodes: dict[str, Node] = {}
        self._ending = False
        self._written = ""

    def start(self) -> None:
        processes.adopt_orphans()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._emulator.ask("agents/mode", mode="nodes")
        self._balancers.start()
        self._write()

    def end(self) -> None:
        """All nodes stop; `run` returns when they have."""
        self._ending = True

    def run(self) -> None:
        look_at = reap_at = 0.0
        while not self._over():
            now = time.monotonic()
            if now >= look_at and not self._ending:
                self._look()
                look_at = time.monotonic() + _LOOK
            if now >= reap_at:
                processes.reap({pid for node in self._nodes.values() for pid in node.pids()})
                reap_at = now + _REAP
            for node in self._nodes.values():
                if self._ending:
                    node.stop()
                self._tick(node)
            self._write()
            time.sleep(_TICK)
        processes.kill_all()
        self._write()

    def _over(self) -> bool:
        return self._ending and all(node.state == GONE for node in self._nodes.values())

    def _look(self) -> None:
        try:
            found = {each["id"]: each for each in self._emulator.ask_here("agents/instances")}
        except (Refused, OSError) as error:
            print(f"nodes: {error}", file=sys.stderr, flush=True)
            return
        for name, instance in found.items():
            if instance["state"] == "running" and instance["user_data"] and name not in self._nodes:
                place = self.directory / name
                self._nodes[name] = Node(self._emulator, instance, self._addresses.next(), place)
        for name, node in self._nodes.items():
            # One that is only being rebooted runs all the time.
            if name not in found or found[name]["state"] not in ("pending", "running"):
                node.stop()
            else:
                self._guarded(node.look)
        self._balancers.nodes_are({name: node.address for name, node in self._nodes.items() if node.state != GONE})

    def _tick(self, node: Node) -> None:
        was = node.state
        self._guarded(node.tick)
        if node.state == GONE and was != GONE:
            # What its processes started and left, wherever that is in the tree.
            processes.kill(processes.descendants_with(f"HOME={node.root}"))

    def _guarded(self, act: Callable[[], None]) -> None:
        """One node that goes wrong is not the end of the others."""
        try:
            act()
        except (Refused, OSError) as error:
            print(f"nodes: {error}", file=sys.stderr, flush=True)

    def _write(self) -> None:
        status = {
            "nodes": [node.status() for node in self._nodes.values()],
            "balancers": self._balancers.status(),
        }
        text = json.dumps(status, indent=1)
        if text != self._written:
            self._written = text
            draft = self.directory / "status.json.new"
            draft.write_text(text)
            os.replace(draft, self.directory / "status.json")
