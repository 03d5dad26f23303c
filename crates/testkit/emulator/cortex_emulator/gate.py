"""What every request passes before moto sees it: who signs, and may they?

Moto has checks of its own, of signatures in headers and of action names in policies; they stay off. Here signatures
count wherever they are, so do dates, key states and session ends, and policies are judged whole: resources, conditions,
principals.

How much is checked: `off` nothing, `sts` the signatures of calls to STS, `full` all signatures and all policies.
Bucket policies hold in every mode.
"""

from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, s3_backends

from . import policy, principals, sigv4
from .actions import action_of, names_what_is_gone, resources_of, s3_arn
from .calls import PERMISSIONS
from .context import context_of, without_others_tags
from .errors import AwsError
from .policy import ALLOW, DENY, NEUTRAL, Ask
from .principals import Principal
from .request import AwsRequest, Signature
from .rules import BOOK, fixes, strict

OFF, STS, FULL = "off", "sts", "full"

# Always allowed, by whatever policy. AWS: STS/latest/APIReference/API_GetCallerIdentity.html
_FREE = {"sts:GetCallerIdentity", "sts:GetSessionToken"}

# For ec2, s3, other query services, JSON services: code and status of each way to fail.
_FAILURES = {
    "missing": [
        ("AuthFailure", 401),
        ("AccessDenied", 403),
        ("MissingAuthenticationToken", 403),
        ("MissingAuthenticationTokenException", 400),
    ],
    "key": [
        ("AuthFailure", 401),
        ("InvalidAccessKeyId", 403),
        ("InvalidClientTokenId", 403),
        ("UnrecognizedClientException", 400),
    ],
    "token": [
        ("AuthFailure", 401),
        ("InvalidToken", 400),
        ("InvalidClientTokenId", 403),
        ("UnrecognizedClientException", 400),
    ],
    "signature": [
        ("AuthFailure", 401),
        ("SignatureDoesNotMatch", 403),
        ("SignatureDoesNotMatch", 403),
        ("InvalidSignatureException", 400),
    ],
    "date": [
        ("RequestExpired", 400),
        ("RequestTimeTooSkewed", 403),
        ("SignatureDoesNotMatch", 403),
        ("InvalidSignatureException", 400),
    ],
    "expired": [
        ("RequestExpired", 400),
        ("ExpiredToken", 400),
        ("ExpiredToken", 403),
        ("ExpiredTokenException", 400),
    ],
    "denied": [
        ("UnauthorizedOperation", 403),
        ("AccessDenied", 403),
        ("AccessDenied", 403),
        ("AccessDeniedException", 400),
    ],
}
_QUERY = ("autoscaling", "elasticloadbalancing", "iam", "monitoring", "sts")


def failure(kind: str, service: str, message: str) -> AwsError:
    """The error that this service answers with."""
    column = {"ec2": 0, "s3": 1}.get(service, 2 if service in _QUERY else 3)
    code, status = _FAILURES[kind][column]
    return AwsError(code, message, status)


class Gate:
    def __init__(self) -> None:
        self.mode = STS
        # Of the request under way: requests are handled one at a time.
        self.request: AwsRequest | None = None
        self.principal: Principal = principals.root(DEFAULT_ACCOUNT_ID)

    def enter(self, request: AwsRequest) -> None:
        """Raises `AwsError` when it is refused."""
        self.request = request
        self.principal = self._authenticate(request)
        self._check_bucket(request)
        if self.mode == FULL:
            self._authorize(request)
        if assume_role_trust.active and request.service == "sts" and request.action == "AssumeRole":
            _check_trust(request, self.principal)
        if dry_run.active and request.service == "ec2" and request.form.get("DryRun", "").lower() == "true":
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)

    def _authenticate(self, request: AwsRequest) -> Principal:
        signature = request.signature
        checked = self.mode == FULL or (self.mode == STS and request.service == "sts")
        known = principals.find(signature.access_key_id) if signature else None
        if not checked:
            return known.principal if known else principals.root(DEFAULT_ACCOUNT_ID)
        if signature is None:
            raise failure("missing", request.service, "Request is missing Authentication Token")
        if known is None or (inactive_keys.active and not known.active):
            raise failure("key", request.service, "The security token included in the request is invalid.")
        if known.token != signature.token:
            raise failure("token", request.service, "The security token included in the request is invalid.")
        if session_end.active and known.expired():
            raise failure("expired", request.service, "The security token included in the request is expired")
        _check_scope(request, signature)
        if date_window.active and not sigv4.is_in_time(signature):
            raise failure("date", request.service, f"Signature expired or not yet current: {signature.date}")
        if not sigv4.is_right(request, signature, known.secret) or not sigv4.body_is_the_signed_one(request):
            message = "The request signature we calculated does not match the signature you provided."
            raise failure("signature", request.service, message)
        return known.principal

    def _authorize(self, request: AwsRequest) -> None:
        action = action_of(request)
        if action in _FREE or (request.action == "DeleteObjects" and BOOK.rules["delete_each_object"].active):
            return
        if names_what_is_gone(request, self.principal.account):
            return
        resource_policy = _bucket_policy(request) or _trust_policy(request)
        for forms in resources_of(request, self.principal.account):
            self.require(action, forms, resource_policy=resource_policy)
        if request.action == "CopyObject" or request.action == "UploadPartCopy":
            source = (request.header("x-amz-copy-source") or "").lstrip("/").partition("?")[0]
            self.require("s3:GetObject", (f"arn:aws:s3:::{source}",))

    def require(
        self,
        action: str,
        forms: tuple[str, ...],
        extra: policy.Context | None = None,
        resource_policy: dict[str, Any] | None = None,
    ) -> None:
        """Refuses the request under way unless its principal may do this."""
        request = self.request
        if request is not None and not self.permits(action, forms, extra, resource_policy):
            where = f" on resource: {forms[0]}" if forms else ""
            message = f"User: {self.principal.arn} is not authorized to perform: {action}{where}"
            raise failure("denied", request.service, message)

    def permits(
        self,
        action: str,
        forms: tuple[str, ...],
        extra: policy.Context | None = None,
        resource_policy: dict[str, Any] | None = None,
    ) -> bool:
        """Whether the principal of the request under way may do this. Who asked for what is kept for tests."""
        request = self.request
        if request is None or self.mode != FULL:
            return True
        context = without_others_tags(self.context(request), request, forms)
        ask = Ask(action, forms, {**context, **tags_of(forms), **(extra or {})})
        allowed = allows(self.principal, ask, resource_policy)
        PERMISSIONS.add(self.principal.arn, action, forms[0] if forms else "*", allowed)
        return allowed

    def context(self, request: AwsRequest) -> policy.Context:
        return context_of(request, _is_secure(request)) | context_of_principal(self.principal)

    def _check_bucket(self, request: AwsRequest) -> None:
        document = _bucket_policy(request)
        if document is None or not bucket_policy_conditions.active:
            return
        forms = () if request.action == "DeleteObjects" else (s3_arn(request),)
        if not forms:
            return
        ask = Ask(action_of(request), forms, self.context(request))
        if policy.judge(document, ask, self.principal) == DENY:
            message = f"User: {self.principal.arn} is not authorized to perform: {ask.action} on resource: {forms[0]}"
            raise failure("denied", "s3", f"{message} with an explicit deny in a resource-based policy")


GATE = Gate()


def allows(principal: Principal, ask: Ask, resource_policy: dict[str, Any] | None = None) -> bool:
    """AWS's evaluation for one account: denials first, then the resource's policy, then the identity's."""
    by_resource = policy.judge(resource_policy, ask, principal) if resource_policy else NEUTRAL
    if by_resource == DENY:
        return False
    verdicts = [policy.judge(document, ask) for document in principals.identity_policies(principal)]
    if DENY in verdicts:
        return False
    if by_resource == ALLOW and resource_policy and policy.names_principal(resource_policy, ask, principal):
        return True
    limits = [limit for limit in (principals.boundary(principal), _session_policy(principal)) if limit]
    if any(policy.judge(limit, ask) != ALLOW for limit in limits):
        return False
    return principal.kind == "Root" or ALLOW in verdicts


def _session_policy(principal: Principal) -> dict[str, Any] | None:
    return policy.parsed(principal.session_policy) if principal.session_policy else None


def context_of_principal(principal: Principal) -> policy.Context:
    context: policy.Context = {
        "aws:PrincipalArn": principal.policy_arn,
        "aws:PrincipalAccount": principal.account,
        "aws:PrincipalType": "Account" if principal.kind == "Root" else principal.kind,
        "aws:ResourceAccount": principal.account,
        "aws:userid": principal.user_id,
    }
    if principal.kind == "User":
        context["aws:username"] = principal.name
    return context


def tags_of(forms: tuple[str, ...]) -> policy.Context:
    """`aws:ResourceTag/...` of a resource."""
    from . import world

    return {f"aws:ResourceTag/{key}": value for form in forms for key, value in world.tags_of(form).items()}


def _check_scope(request: AwsRequest, signature: Signature) -> None:
    if signature.service != request.service:
        message = f"Credential should be scoped to correct service: '{request.service}'."
        raise failure("signature", request.service, message)
    host = (request.header("host") or "").split(".")
    if host[0] == "sts" and len(host) > 3 and host[1] != signature.region:
        raise failure("signature", "sts", f"Credential should be scoped to a valid region, not '{signature.region}'.")


def _is_secure(request: AwsRequest) -> bool:
    # Loopback stands for TLS. A test that wants to be refused says that it came without.
    return request.header("x-forwarded-proto") != "http"


def _bucket(name: str) -> FakeBucket | None:
    partition, account = s3_backends.bucket_accounts.get(name, (None, None))
    return s3_backends[account][partition].buckets.get(name) if account and partition else None


def _bucket_policy(request: AwsRequest) -> dict[str, Any] | None:
    if request.service != "s3" or not request.bucket:
        return None
    bucket = _bucket(request.bucket)
    return policy.parsed(bucket.policy) if bucket is not None and bucket.policy else None


def _trust_policy(request: AwsRequest) -> dict[str, Any] | None:
    role = principals.role_of(request.form.get("RoleArn", "")) if request.action == "AssumeRole" else None
    return policy.parsed(role.assume_role_policy_document) if role else None


def _check_trust(request: AwsRequest, principal: Principal) -> None:
    arn = request.form.get("RoleArn", "")
    role = principals.role_of(arn)
    if role is None or not trusts(role, principal, GATE.context(request)):
        message = f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise failure("denied", "sts", message)
    limit = 3600 if principal.kind == "AssumedRole" else int(role.max_session_duration or 3600)
    if int(request.form.get("DurationSeconds", "3600")) > limit:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsError("ValidationError", message)


def service_principal(name: str) -> Principal:
    """`ec2.amazonaws.com` and the like, for trust policies."""
    return Principal("Service", DEFAULT_ACCOUNT_ID, name, name, name)


def trusts(role: Any, principal: Principal, context: policy.Context | None = None) -> bool:
    trust = policy.parsed(role.assume_role_policy_document)
    return policy.judge(trust, Ask("sts:AssumeRole", (), context or {}), principal) == ALLOW


def service_trusted(role: Any, service: str) -> bool:
    """Whether a service may assume a role for something of this account.

    AWS: IAM/latest/UserGuide/confused-deputy.html
    """
    own = service.partition(".")[0].removesuffix("-tasks")
    context: policy.Context = {
        "aws:SourceAccount": DEFAULT_ACCOUNT_ID,
        "aws:SourceArn": f"arn:aws:{own}:us-east-1:{DEFAULT_ACCOUNT_ID}:*",
    }
    return trusts(role, service_principal(service), context)


@fixes.around(FakeBucket, "get_permission")
def bucket_policy_conditions(_original: Any, bucket: FakeBucket, action: str, resource: str) -> Any:
    """A bucket policy is judged with its conditions and principals, for bucket and object operations alike.

    AWS: AmazonS3/latest/userguide/amazon-s3-policy-keys.html
    """
    from moto.iam.access_control import PermissionResult

    # All but the keys of a DeleteObjects were judged at the gate.
    request = GATE.request
    if bucket.policy is None or request is None or request.action != "DeleteObjects":
        return PermissionResult.NEUTRAL
    ask = Ask(action, (resource,), GATE.context(request))
    verdict = policy.judge(policy.parsed(bucket.policy), ask, GATE.principal)
    return PermissionResult.DENIED if verdict == DENY else PermissionResult.NEUTRAL


@fixes.rule
def dry_run() -> None:
    """With `DryRun`, an EC2 operation checks the permission and does nothing.

    AWS: AWSEC2/latest/APIReference/CommonParameters.html
    """


@strict.rule
def date_window() -> None:
    """A signature is good for 15 minutes, and its date is not in the future.

    AWS: IAM/latest/UserGuide/reference_sigv.html
    """


@strict.rule
def inactive_keys() -> None:
    """An inactive access key is no key.

    AWS: IAM/latest/UserGuide/id_credentials_access-keys_update.html
    """


@strict.rule
def session_end() -> None:
    """Temporary credentials end.

    AWS: IAM/latest/UserGuide/id_credentials_temp_use-resources.html
    """


@strict.rule
def assume_role_trust() -> None:
    """A role is assumed by those whom its trust policy names, for at most its maximum duration, and only if it exists.

    AWS: STS/latest/APIReference/API_AssumeRole.html
    """

