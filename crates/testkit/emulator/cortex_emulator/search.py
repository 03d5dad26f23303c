"""Where in all that the emulator stores does a piece of text occur? For secrets that must be nowhere.

Looks into every string and every object of every service, compressed or base64 user data included as they are and
decoded. The access keys that IAM itself keeps are left out: they are where secrets belong.
"""

import base64
import gzip
from collections.abc import Iterator
from typing import Any

from moto.core.base_backend import BackendDict
from moto.iam.models import AccessKey
from moto.s3.models import FakeKey
from moto.sts.models import AssumedRole

_LEAVES = (int, float, bool, type(None), complex)
_DEEPEST = 40


def find(needles: list[str]) -> list[str]:
    """Paths like `ec2/us-east-1/launch_templates/lt-1/...`, each once."""
    wanted = [needle.encode() for needle in needles if needle]
    found = set()
    for backends in list(BackendDict._instances):
        for account, region, backend in list(backends.iter_backends()):
            start = f"{backends.service_name}/{account}/{region}"
            found |= {path for path, text in _texts(start, backend, set(), 0) if any(n in text for n in wanted)}
    return sorted(found)


def _texts(path: str, value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, (AccessKey, AssumedRole)) or isinstance(value, _LEAVES) or depth > _DEEPEST:
        return
    if isinstance(value, (str, bytes, bytearray)):
        yield from ((path, text) for text in _readings(value))
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, FakeKey):
        yield path, bytes(value.value)
    for name, part in _parts(value):
        yield from _texts(f"{path}/{name}", part, seen, depth + 1)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield str(key), key
            yield str(key), part
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((str(index), part) for index, part in enumerate(list(value)))
    elif hasattr(value, "__dict__") and type(value).__module__.startswith("moto"):
        # No copy is needed of what is not moto's: locks, buffers, modules.
        yield from list(vars(value).items())


def _readings(value: str | bytes | bytearray) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    yield raw
    if len(raw) < 8:
        return
    try:
        decoded = base64.b64decode(raw, validate=True)
    except ValueError:
        return
    yield decoded
    if decoded[:2] == b"\x1f\x8b":
        try:
            yield gzip.decompress(decoded)
        except (OSError, EOFError):
            return
