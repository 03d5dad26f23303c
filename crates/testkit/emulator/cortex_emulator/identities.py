"""Users, roles and credentials for tests, made without asking anybody's permission."""

import json
import secrets
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from . import principals
from .errors import AwsError
from .gate import service_trusted
from .principals import PARTITION, Credentials, Principal

_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def create_user(name: str, policies: dict[str, Any] | None = None, account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """A user with these inline policies, and an access key."""
    backend = iam_backends[account][PARTITION]
    user = next((user for user in backend.users.values() if user.name == name), None)
    if user is None:
        user = backend.create_user("us-east-1", name, "/", [])
        user = user[0] if isinstance(user, tuple) else user
    for policy_name, document in (policies or {}).items():
        user.put_policy(policy_name, json.dumps(document))
    key = backend.create_access_key(name)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key, "arn": user.arn}


def set_policies(name: str, policies: dict[str, Any], account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """The user's inline policies are these from now on."""
    return _set_policies(iam_backends[account][PARTITION].users, name, policies)


def set_role_policies(role: str, policies: dict[str, Any], account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """The role's inline policies are these from now on."""
    return _set_policies(iam_backends[account][PARTITION].roles, role, policies)


def _set_policies(among: dict[str, Any], name: str, policies: dict[str, Any]) -> dict[str, Any]:
    found = next(one for one in among.values() if one.name == name)
    found.policies.clear()
    for policy_name, document in policies.items():
        found.put_policy(policy_name, json.dumps(document))
    return {}


def create_administrator(name: str, account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    return create_user(name, {"everything": _EVERYTHING}, account)


# Kept over resets, so that clients need not be made anew.
_FIRST = {"access_key_id": f"AKIA{secrets.token_hex(8).upper()}", "secret_access_key": secrets.token_urlsafe(30)}


def create_first_administrator() -> dict[str, Any]:
    made = create_administrator("emulator-admin")
    backend = iam_backends[DEFAULT_ACCOUNT_ID][PARTITION]
    key = backend.access_keys.pop(made["access_key_id"])
    key.access_key_id, key.secret_access_key = _FIRST["access_key_id"], _FIRST["secret_access_key"]
    backend.access_keys[key.access_key_id] = key
    return {**made, **_FIRST}


def create_role(
    name: str,
    trust: dict[str, Any],
    policies: dict[str, Any] | None = None,
    path: str = "/",
    account: str = DEFAULT_ACCOUNT_ID,
) -> dict[str, Any]:
    backend = iam_backends[account][PARTITION]
    role = backend.create_role(name, json.dumps(trust), path, None, "", [], "3600")
    for policy_name, document in (policies or {}).items():
        role.put_policy(policy_name, json.dumps(document))
    return {"arn": role.arn, "id": role.id}


def assume(
    role: str,
    session: str = "session",
    service: str | None = None,
    duration: int = 3600,
    account: str = DEFAULT_ACCOUNT_ID,
) -> dict[str, Any]:
    """Credentials of a role, by name or ARN. With a service, only if the role trusts it (`ec2.amazonaws.com`)."""
    backend = iam_backends[account][PARTITION]
    found = next((each for each in backend.get_roles() if role in (each.name, each.arn)), None)
    if found is None:
        raise AwsError("NoSuchEntity", f"there is no role {role}")
    if service is not None and not service_trusted(found, service):
        raise AwsError("AccessDenied", f"the role {found.arn} does not trust {service}")
    sts = sts_backends[account][PARTITION]
    made = sts.assume_role("us-east-1", session, found.arn, "", duration, "")
    return {
        "access_key_id": made.access_key_id,
        "secret_access_key": made.secret_access_key,
        "session_token": made.session_token,
        "expiration": f"{made.expiration.isoformat()}Z",
        "arn": made.arn,
    }


def of_instance(instance_id: str, region: str = "us-east-1", account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """What the instance's metadata service would hand out: credentials of the role in its profile."""
    instance = ec2_backends[account][region].get_instance(instance_id)
    if not instance.iam_instance_profile:
        raise AwsError("NoSuchEntity", f"{instance_id} has no instance profile")
    backend = iam_backends[account][PARTITION]
    profile = backend.get_instance_profile_by_arn(instance.iam_instance_profile["Arn"])
    if not profile.roles:
        raise AwsError("NoSuchEntity", f"the instance profile {profile.name} has no role")
    credentials = assume(profile.roles[0].arn, instance_id, "ec2.amazonaws.com", account=account)
    return {**credentials, "role": profile.roles[0].name}


def create_root_key(account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    return _shown(principals.add(principals.root(account)))


def create_federated(name: str, account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """A federated user, as GetFederationToken makes them."""
    arn = f"arn:{PARTITION}:sts::{account}:federated-user/{name}"
    return _shown(principals.add(Principal("FederatedUser", account, arn, f"{account}:{name}", name), 3600))


def deactivate(access_key_id: str) -> dict[str, Any]:
    return _set_status(access_key_id, "Inactive")


def activate(access_key_id: str) -> dict[str, Any]:
    return _set_status(access_key_id, "Active")


def delete(access_key_id: str) -> dict[str, Any]:
    user, backend = _user_of(access_key_id)
    backend.delete_access_key(access_key_id, user.name)
    return {}


def delete_user(name: str, account: str = DEFAULT_ACCOUNT_ID) -> dict[str, Any]:
    """The user with all its keys. Another one of the same name gets another id."""
    backend = iam_backends[account][PARTITION]
    user = next(user for user in backend.users.values() if user.name == name)
    for key in list(user.access_keys):
        backend.delete_access_key(key.access_key_id, name)
    user.policies.clear()
    backend.delete_user(name)
    return {}


def expire(access_key_id: str) -> dict[str, Any]:
    principals.expire(access_key_id)
    return {}


def _set_status(access_key_id: str, status: str) -> dict[str, Any]:
    user, backend = _user_of(access_key_id)
    backend.update_access_key(user.name, access_key_id, status)
    return {}


def _user_of(access_key_id: str) -> tuple[Any, Any]:
    for partitions in list(iam_backends.values()):
        backend = partitions[PARTITION]
        for user in backend.users.values():
            if any(key.access_key_id == access_key_id for key in user.access_keys):
                return user, backend
    raise AwsError("NoSuchEntity", f"no user has the key {access_key_id}")


def _shown(made: Credentials) -> dict[str, Any]:
    shown = {"access_key_id": made.access_key_id, "secret_access_key": made.secret, "arn": made.principal.arn}
    if made.token and made.expires:
        shown |= {"session_token": made.token, "expiration": made.expires.isoformat()}
    return shown
