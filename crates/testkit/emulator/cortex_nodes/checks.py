"""Health checks of target groups: one question to one target.

AWS: elasticloadbalancing/latest/network/target-group-health-checks.html
"""

import asyncio
import functools
import ssl
from typing import Any

# Intervals are a few tenths of a second here, and one target that hangs is not to keep the others from being asked.
_LONGEST = 2.0


async def passes(check: dict[str, Any], address: str, port: int) -> bool:
    port = port if check["port"] == "traffic-port" else int(check["port"])
    try:
        return await asyncio.wait_for(_passes(check, address, port), min(check["timeout"], _LONGEST))
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
        return False


async def _passes(check: dict[str, Any], address: str, port: int) -> bool:
    tls = _unverified() if check["protocol"] == "HTTPS" else None
    reader, writer = await asyncio.open_connection(address, port, ssl=tls)
    try:
        if check["protocol"] not in ("HTTP", "HTTPS"):
            return True
        request = (
            f"GET {check['path']} HTTP/1.1\r\nHost: {address}:{port}\r\n"
            "User-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        status = (await reader.readline()).split()
        return _matches(int(status[1]), check["codes"])
    finally:
        writer.transport.abort()


@functools.cache
def _unverified() -> ssl.SSLContext:
    # Load balancers do not verify the certificates of targets.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _matches(status: int, codes: str) -> bool:
    """`200`, `200-399` or `200,202`."""
    for part in codes.split(","):
        first, _, last = part.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
