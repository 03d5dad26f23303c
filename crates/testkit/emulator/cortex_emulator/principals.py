"""Who an access key belongs to: IAM users, assumed roles, root, and the holders of session tokens."""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from .errors import AwsError

PARTITION = "aws"

_ROLE_ARN = re.compile(r"^arn:aws[^:]*:iam::(?P<account>\d{12}):role/(?P<path>.*/)?(?P<name>[^/]+)$")


@dataclass(frozen=True)
class Principal:
    """Somebody who signs requests."""

    kind: str  # User, AssumedRole, Root, FederatedUser
    account: str
    arn: str
    user_id: str
    name: str  # of the user or the role
    # What `aws:PrincipalArn` is: the role's ARN for its sessions.
    principal_arn: str = ""
    session_policy: str | None = None

    @property
    def policy_arn(self) -> str:
        return self.principal_arn or self.arn


@dataclass
class Credentials:
    """An access key as the emulator knows it."""

    access_key_id: str
    secret: str
    principal: Principal
    token: str | None = None
    expires: datetime | None = None
    active: bool = True

    def expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(UTC)


# Keys that moto has no model for: root's, and those of GetSessionToken and GetFederationToken.
_EXTRA: dict[str, Credentials] = {}


def root(account: str) -> Principal:
    arn = f"arn:{PARTITION}:iam::{account}:root"
    return Principal("Root", account, arn, account, "root")


def find(access_key_id: str) -> Credentials | None:
    return _EXTRA.get(access_key_id) or _of_user(access_key_id) or _of_role(access_key_id)


def _of_user(access_key_id: str) -> Credentials | None:
    for account, partitions in list(iam_backends.items()):
        for user in partitions[PARTITION].users.values():
            for key in user.access_keys:
                if key.access_key_id == access_key_id:
                    principal = Principal("User", account, user.arn, user.id, user.name)
                    return Credentials(
                        access_key_id, key.secret_access_key, principal, active=key.status == "Active"
                    )
    return None


def _of_role(access_key_id: str) -> Credentials | None:
    for partitions in list(sts_backends.values()):
        session = partitions[PARTITION].get_assumed_role_from_access_key(access_key_id)
        if session is not None:
            name = session.role_arn.rpartition("/")[2]
            user_id, arn, account = session.user_id, session.arn, session.account_id
            principal = Principal("AssumedRole", account, arn, user_id, name, session.role_arn, session.policy or None)
            expires = session.expiration.replace(tzinfo=UTC)
            return Credentials(access_key_id, session.secret_access_key, principal, session.session_token, expires)
    return None


def add(principal: Principal, lasts: int | None = None) -> Credentials:
    """A new key: temporary with its duration in seconds, else for good."""
    key_id = ("ASIA" if lasts else "AKIA") + secrets.token_hex(8).upper()
    made = Credentials(key_id, secrets.token_urlsafe(30), principal)
    if lasts:
        made.token = secrets.token_urlsafe(60)
        made.expires = datetime.now(UTC) + timedelta(seconds=lasts)
    _EXTRA[key_id] = made
    return made


def expire(access_key_id: str) -> None:
    """Temporary credentials end now."""
    if access_key_id in _EXTRA:
        _EXTRA[access_key_id].expires = datetime.now(UTC) - timedelta(seconds=1)
        return
    for partitions in list(sts_backends.values()):
        session = partitions[PARTITION].get_assumed_role_from_access_key(access_key_id)
        if session is not None:
            session.expiration = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
            return
    raise AwsError("NoSuchEntity", f"no temporary credentials have the key {access_key_id}", 404)


def forget() -> None:
    _EXTRA.clear()


def identity_policies(principal: Principal) -> list[dict[str, Any]]:
    """The policies of the user (with groups) or role; none for others."""
    backend = iam_backends[principal.account][PARTITION]
    holders: list[Any] = []
    if principal.kind == "User":
        holders = [user for user in backend.users.values() if user.name == principal.name]
        holders += backend.get_groups_for_user(principal.name) if holders else []
    elif principal.kind == "AssumedRole":
        holders = [role for role in backend.get_roles() if role.name == principal.name]
    documents = []
    for holder in holders:
        documents += list(holder.policies.values())
        documents += [document_of(policy) for policy in holder.managed_policies.values()]
    return [json.loads(document) for document in documents]


def boundary(principal: Principal) -> dict[str, Any] | None:
    if principal.kind != "AssumedRole":
        return None
    backend = iam_backends[principal.account][PARTITION]
    arns = [role.permissions_boundary_arn for role in backend.get_roles() if role.name == principal.name]
    policy = backend.managed_policies.get(arns[0]) if arns and arns[0] else None
    return json.loads(document_of(policy)) if policy else None


def document_of(managed_policy: Any) -> str:
    """The text of its default version."""
    return next(version.document for version in managed_policy.versions if version.is_default)


def role_of(arn: str) -> Any | None:
    """The role with that ARN, if there is one."""
    parts = _ROLE_ARN.match(arn)
    if parts is None:
        return None
    roles = iam_backends[parts["account"]][PARTITION].get_roles()
    return next((role for role in roles if role.arn == arn), None)
