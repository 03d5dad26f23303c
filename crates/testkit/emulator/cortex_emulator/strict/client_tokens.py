"""Client tokens: the same request again is the same request.

AWS: ec2/latest/devguide/ec2-api-idempotency.html
"""

import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse

from ..errors import AwsError
from ..gate import GATE
from ..rules import strict

Original = Callable[..., Any]

_TOKENS = ("ClientToken", "clientToken", "IdempotencyToken")
# By account, region, service, operation and token: what was asked, and what was answered.
_ANSWERED: dict[tuple[str, ...], tuple[str, Any]] = {}


@strict.around(BaseResponse, "call_action")
def idempotency(original: Original, response: Any) -> Any:
    """A request with the client token of an earlier one gets the answer of that one; if it asks for something else, it
    is refused.

    AWS: ec2/latest/devguide/ec2-api-idempotency.html
    """
    parameters = getattr(response, "params", None)
    token = next((parameters[name] for name in _TOKENS if parameters.get(name)), None) if parameters else None
    request = GATE.request
    if not token or request is None:
        return original(response)
    key = (response.current_account, response.region, request.service, request.action, str(token))
    asked = json.dumps(parameters, sort_keys=True, default=str)
    known = _ANSWERED.get(key)
    if known is None:
        status, headers, body = original(response)
        if status < 400:
            _ANSWERED[key] = (asked, (status, dict(headers), body))
        return status, headers, body
    if known[0] != asked:
        code = "IdempotentParameterMismatch" if request.service == "ec2" else "InvalidParameterException"
        message = f"Arguments on this idempotent request are inconsistent with arguments used in previous request(s): {token}"
        return response.serialized(ActionResult(AwsError(code, message)))
    status, headers, body = known[1]
    return status, dict(headers), body


def forget() -> None:
    _ANSWERED.clear()
