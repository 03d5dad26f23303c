"""Loopback addresses: a block of them for each runner, so that those of two tests are not the same."""

import os
import socket

# Where a runner says that a block is its own: nothing else listens on the last address of one.
_CLAIM = (254, 40_999)
_LAST = 250


class Block:
    """127.x.y.0/24, by the process id, or the next that is free."""

    def __init__(self) -> None:
        for offset in range(1000):
            number = (os.getpid() + offset) % 0xFE00 + 0x100
            prefix = f"127.{number >> 8}.{number & 0xFF}"
            claim = socket.socket()
            try:
                claim.bind((f"{prefix}.{_CLAIM[0]}", _CLAIM[1]))
                claim.listen(1)
            except OSError:
                claim.close()
                continue
            self._claim, self._prefix, self._given = claim, prefix, 0
            return
        raise RuntimeError("no block of loopback addresses is free")

    def next(self) -> str:
        """One that no node had before, until there are no more."""
        self._given = self._given % _LAST + 1
        return f"{self._prefix}.{self._given}"


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
