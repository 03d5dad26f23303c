"""What an instance and its tasks ask for on the spot: the instance metadata service, and what the ECS agent has for tasks.

AWS: AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
AWS: AmazonECS/latest/developerguide/task-iam-roles.html, task-metadata-endpoint-v4.html
"""

import json
import secrets
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .credentials import Refreshed, shown
from .emulator import Emulator, Provider, Refused

_TOKEN, _TTL = "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"
_LONGEST = 21_600
_ROLES = "meta-data/iam/security-credentials/"


class Metadata:
    """The services of one node, on a port of its address."""

    def __init__(self, emulator: Emulator, instance: dict[str, Any], address: str):
        self.instance = instance
        self.address = address
        self.credentials = Refreshed(lambda: emulator.ask_here("instances/credentials", instance_id=instance["id"]))
        # By task id: the ARN, and where its credentials come from, if it has a role.
        self.tasks: dict[str, tuple[str, Provider | None]] = {}
        self._region = emulator.region
        self._account = (instance["profile"] or ":::::").split(":")[4]
        self._tokens: dict[str, float] = {}
        metadata = self

        class Handler(_Handler):
            service = metadata

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def new_token(self, seconds: str) -> str | None:
        if not seconds.isdigit() or not 1 <= int(seconds) <= _LONGEST:
            return None
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(seconds)
        return token

    def knows(self, token: str) -> bool:
        return self._tokens.get(token, 0.0) > time.monotonic()

    def latest(self, path: str) -> str | None:
        """What is at `/latest/<path>`."""
        instance = self.instance
        plain = {
            "meta-data/ami-id": instance["image"],
            "meta-data/instance-id": instance["id"],
            "meta-data/instance-type": instance["type"],
            "meta-data/local-hostname": f"{instance['id']}.ec2.internal",
            "meta-data/local-ipv4": self.address,
            "meta-data/placement/availability-zone": instance["zone"],
            "meta-data/placement/region": self._region,
            "meta-data/services/domain": "amazonaws.com",
            "user-data": instance["user_data"],
        }
        if path in plain:
            return str(plain[path])
        if path == "dynamic/instance-identity/document":
            return json.dumps(self.identity_document(), indent=2)
        if path.startswith(_ROLES.rstrip("/")) and instance["profile"]:
            return self._role(path.removeprefix(_ROLES.rstrip("/")).lstrip("/"))
        return None

    def identity_document(self) -> dict[str, Any]:
        """AWS: AWSEC2/latest/UserGuide/instance-identity-documents.html"""
        instance = self.instance
        return {
            "accountId": self._account,
            "availabilityZone": instance["zone"],
            "imageId": instance["image"],
            "instanceId": instance["id"],
            "instanceType": instance["type"],
            "privateIp": self.address,
            "region": self._region,
            "version": "2017-09-30",
        }

    def _role(self, name: str) -> str | None:
        try:
            credentials = self.credentials()
        except Refused:
            return None
        if not name:
            return str(credentials["role"])
        if name != credentials["role"]:
            return None
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        known = {"Code": "Success", "LastUpdated": now, "Type": "AWS-HMAC", **shown(credentials)}
        # A line for each, as AWS has it: scripts read it with sed.
        return json.dumps(known, indent=2)

    def of_task(self, path: str) -> str | None:
        """What is at `/ecs/credentials/<task>` and `/ecs/v4/<task>...`."""
        what, _, rest = path.partition("/")
        task, _, below = rest.partition("/")
        arn, provider = self.tasks.get(task, (None, None))
        if arn is None:
            return None
        if what == "credentials" and provider is not None:
            return json.dumps(shown(provider()))
        if what == "v4" and below in ("", "task"):
            return json.dumps({"TaskARN": arn, "AvailabilityZone": self.instance["zone"], "LaunchType": "EC2"})
        return None


class _Handler(BaseHTTPRequestHandler):
    service: Metadata
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        token = self.service.new_token(self.headers.get(_TTL, "")) if self.path == "/latest/api/token" else None
        self._answer(200 if token else 400, token or "", {_TTL: self.headers.get(_TTL, "")} if token else {})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        root, _, rest = path.partition("/")
        if root == "latest" and not self.service.knows(self.headers.get(_TOKEN, "")):
            self._answer(401, "")
            return
        # On AWS these are at 169.254.170.2; tasks know by their environment where.
        text = self.service.latest(rest) if root == "latest" else None
        if root == "ecs":
            try:
                text = self.service.of_task(rest)
            except Refused as error:
                self._answer(500, str(error))
                return
        self._answer(404 if text is None else 200, text or "")

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
