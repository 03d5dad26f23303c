"""STS."""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from .. import principals
from ..gate import GATE
from ..principals import Principal
from ..rules import fixes

Original = Callable[..., Any]


@fixes.around(STSBackend, "get_caller_identity")
def caller_identity(original: Original, sts: Any, access_key_id: str, region: str) -> tuple[str, str, str]:
    """Whoever has the key is the caller: also root, federated users and holders of session tokens.

    AWS: STS/latest/APIReference/API_GetCallerIdentity.html
    """
    known = principals.find(access_key_id)
    if known is None:
        return original(sts, access_key_id, region)
    return known.principal.user_id, known.principal.arn, known.principal.account


@fixes.around(TokenResponse, "get_session_token")
def session_tokens(_original: Original, response: Any) -> Any:
    """GetSessionToken gives temporary credentials of the same user.

    AWS: STS/latest/APIReference/API_GetSessionToken.html
    """
    made = principals.add(GATE.principal, response._get_int_param("DurationSeconds", 43200))
    return ActionResult({"Credentials": _credentials(made)})


@session_tokens.around(TokenResponse, "get_federation_token")
def _(_original: Original, response: Any) -> Any:
    name, account = response._get_param("Name"), GATE.principal.account
    arn = f"arn:aws:sts::{account}:federated-user/{name}"
    principal = Principal("FederatedUser", account, arn, f"{account}:{name}", name)
    made = principals.add(principal, response._get_int_param("DurationSeconds", 43200))
    user = {"FederatedUserId": principal.user_id, "Arn": arn}
    return ActionResult({"Credentials": _credentials(made), "FederatedUser": user, "PackedPolicySize": 6})


def _credentials(made: principals.Credentials) -> dict[str, Any]:
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret,
        "SessionToken": made.token,
        "Expiration": made.expires.replace(tzinfo=None) if made.expires else None,
    }
