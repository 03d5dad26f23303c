"""A cluster as Terraform JSON, for programs that make the same resources with other tools."""

import json
import re
from collections.abc import Iterator
from typing import Any

REFERENCE = re.compile(r"^\$\{([^.]+\.[^.]+)\.([^.}]+)\}$")


class Shape:
    def __init__(self, path: str) -> None:
        with open(path) as file:
            resources = json.load(file)["resource"]
        self.bodies = {f"{kind}.{name}": body for kind, named in resources.items() for name, body in named.items()}

    def in_order(self, parts: dict[str, list[tuple[str, str]]] | None = None) -> list[tuple[str, dict[str, Any]]]:
        """What is mentioned comes before what mentions it; otherwise as written.

        `parts` says of a kind which other kinds are made together with it, and by which setting they mention it.
        """
        done: dict[str, dict[str, Any]] = {}

        def visit(address: str) -> None:
            if address in done:
                return
            body = self.bodies[address]
            needs = {*mentions(body), *body.get("depends_on", [])}
            for kind, setting in (parts or {}).get(address.partition(".")[0], []):
                needs.update(mentions(self.parts(kind, setting, address)))
            for need in sorted(needs - {address}):
                visit(need)
            done[address] = body

        for address in self.bodies:
            visit(address)
        return list(done.items())

    def parts(self, kind: str, setting: str, address: str) -> list[dict[str, Any]]:
        """All of a kind whose setting mentions the address."""
        bodies = (body for other, body in self.bodies.items() if other.startswith(f"{kind}."))
        return [body for body in bodies if body.get(setting, "").startswith(f"${{{address}.")]


def mentions(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        found = REFERENCE.match(value)
        if found:
            yield found[1]
    elif isinstance(value, list):
        for item in value:
            yield from mentions(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from mentions(item)


def replaced(value: Any, by: Any) -> Any:
    """With `by(address, attribute)` for every reference."""
    if isinstance(value, str):
        found = REFERENCE.match(value)
        return by(found[1], found[2]) if found else value
    if isinstance(value, list):
        return [replaced(item, by) for item in value]
    if isinstance(value, dict):
        return {name: replaced(item, by) for name, item in value.items()}
    return value


def image_parameter(template: str) -> str:
    """Where the image of a launch template is named."""
    if template == "control":
        return "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    return "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
