"""Credentials that are made anew before they end."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from .emulator import Provider

# The metadata service gives new ones at least five minutes before the old ones end.
# AWS: AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
_MARGIN = timedelta(minutes=10)


class Refreshed:
    def __init__(self, make: Provider):
        self._make = make
        self._lock = threading.Lock()
        self._current: dict[str, Any] | None = None

    def __call__(self) -> dict[str, Any]:
        with self._lock:
            if self._current is None or ends(self._current) - datetime.now(UTC) < _MARGIN:
                self._current = self._make()
            return self._current


def ends(credentials: dict[str, Any]) -> datetime:
    text = credentials["expiration"].removesuffix("Z").removesuffix("+00:00")
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(credentials: dict[str, Any]) -> dict[str, str]:
    """As the metadata service and the ECS agent both word them."""
    return {
        "AccessKeyId": credentials["access_key_id"],
        "SecretAccessKey": credentials["secret_access_key"],
        "Token": credentials["session_token"],
        "Expiration": f"{ends(credentials):%Y-%m-%dT%H:%M:%SZ}",
    }
