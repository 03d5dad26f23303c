"""The emulator, by its own interface and by the AWS API."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_PATIENCE = 60
# Whatever proxy the developer has is not for loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# How the JSON services name their operations.
_TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328"}


class Refused(Exception):
    """An error of the emulator or of AWS, with its code."""

    def __init__(self, what: str, code: str, message: str):
        super().__init__(f"{what}: {code}: {message}")
        self.code = code


class Emulator:
    def __init__(self, endpoint: str, region: str):
        self.endpoint = endpoint
        self.region = region

    def ask(self, function: str, /, **parameters: Any) -> Any:
        """One of the emulator's own functions."""
        url = f"{self.endpoint}/_cortex/{function}"
        return _posted(url, json.dumps(parameters).encode(), {"content-type": "application/json"}, function)

    def ask_here(self, function: str, /, **parameters: Any) -> Any:
        """One that is about a region."""
        return self.ask(function, region=self.region, **parameters)

    def call(self, credentials: dict[str, Any], service: str, operation: str, /, **parameters: Any) -> Any:
        """An operation of the AWS API with these credentials, as an agent would call it."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{_TARGETS[service]}.{operation}",
        }
        request = AWSRequest("POST", self.endpoint, headers=headers, data=json.dumps(parameters).encode())
        who = Credentials(
            credentials["access_key_id"], credentials["secret_access_key"], credentials.get("session_token")
        )
        SigV4Auth(who, service, self.region).add_auth(request)
        return _posted(self.endpoint, request.data, dict(request.headers.items()), f"{service}:{operation}")


def _posted(url: str, body: bytes, headers: dict[str, str], what: str) -> Any:
    try:
        with _OPENER.open(urllib.request.Request(url, body, headers), timeout=_PATIENCE) as reply:
            text = reply.read()
            return json.loads(text) if text else {}
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        try:
            facts = json.loads(text)
        except ValueError:
            facts = {}
        raise Refused(what, facts.get("__type") or facts.get("code") or str(error.code), text) from error


# Gives credentials that are good for a while.
Provider = Callable[[], dict[str, Any]]
