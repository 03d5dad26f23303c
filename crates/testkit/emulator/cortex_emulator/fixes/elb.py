"""Load balancers."""

from collections.abc import Callable
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response
from moto.elbv2.ssl_policies import SSL_POLICIES
from moto.moto_api._internal import mock_random

from .. import agents
from ..errors import AwsError
from ..rules import fixes

Original = Callable[..., Any]

TLS_PROTOCOLS = ("HTTPS", "TLS")
# What a listener uses if nothing is said. AWS: elasticloadbalancing/latest/network/describe-ssl-policies.html
_DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"


@fixes.around(FakeLoadBalancer, "__init__")
def network_names(original: Original, balancer: Any, *arguments: Any, **named: Any) -> None:
    """Network load balancers have `net` in their ARNs, and DNS names of their own form; a scheme not given is
    internet-facing.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    name, kind = named["name"], named.get("loadbalancer_type") or "application"
    scheme = named["scheme"] = named.get("scheme") or "internet-facing"
    identifier = named["arn"].rpartition("/")[2]
    region = named["arn"].split(":")[3]
    if kind == "network":
        named["arn"] = named["arn"].replace(":loadbalancer/app/", ":loadbalancer/net/")
        named["dns_name"] = f"{name}-{identifier}.elb.{region}.amazonaws.com"
    else:
        prefix = "internal-" if scheme == "internal" else ""
        number = mock_random.randint(100_000_000, 2_000_000_000)
        named["dns_name"] = f"{prefix}{name}-{number}.{region}.elb.amazonaws.com"
    original(balancer, *arguments, **named)


@network_names.around(ELBv2Backend, "create_load_balancer")
def _(original: Original, elb: Any, *arguments: Any, **named: Any) -> Any:
    tags = named.pop("tags", None)
    balancer = original(elb, *arguments, **named)
    # Moto filed it under the ARN that it had before.
    for arn, stored in list(elb.load_balancers.items()):
        if stored is balancer:
            del elb.load_balancers[arn]
    elb.load_balancers[balancer.arn] = balancer
    elb.tagging_service.tag_resource(balancer.arn, tags)
    return balancer


@fixes.around(FakeListener, "__init__")
def policy_of_tls_only(original: Original, listener: Any, *arguments: Any, **named: Any) -> None:
    """Only listeners that end TLS have a security policy.

    AWS: elasticloadbalancing/latest/APIReference/API_Listener.html
    """
    original(listener, *arguments, **named)
    if listener.protocol not in TLS_PROTOCOLS:
        listener.ssl_policy = None


@fixes.around(ELBv2Backend, "modify_listener")
def modify_network_listener(
    original: Original,
    elb: Any,
    arn: str,
    port: Any = None,
    protocol: str | None = None,
    ssl_policy: str | None = None,
    certificates: Any = None,
    actions: Any = None,
) -> FakeListener:
    """A listener can be changed to, and as, each of the protocols of its load balancer.

    AWS: elasticloadbalancing/latest/APIReference/API_ModifyListener.html
    """
    if protocol in (None, "HTTP", "HTTPS", "TCP"):
        listener = original(elb, arn, port, protocol, ssl_policy, certificates, actions or [])
    else:
        listener = original(elb, arn, port, None, None, certificates, actions or [])
        listener.protocol = protocol
    if listener.protocol == "TLS" and certificates:
        listener.certificates = [each["CertificateArn"] for each in certificates]
        listener.certificate = listener.certificates[0]
    if listener.protocol in TLS_PROTOCOLS:
        listener.ssl_policy = ssl_policy or listener.ssl_policy or _DEFAULT_POLICY
    else:
        listener.ssl_policy = None
    _relink(elb)
    return listener


@modify_network_listener.around(ELBV2Response, "modify_listener")
def _(original: Original, response: Any) -> Any:
    policy = response._get_param("SslPolicy")
    if policy is not None and policy not in SSL_POLICIES:
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    result = original(response)
    alpn = response._get_param("AlpnPolicy")
    if alpn is not None:
        result.result["Listeners"][0].alpn_policy = alpn
    return result


@fixes.around(ELBv2Backend, "create_listener")
def balancers_of_groups(original: Original, elb: Any, *arguments: Any, **named: Any) -> FakeListener:
    """A target group names the load balancers that forward to it, each once, and no more when they no longer do.

    AWS: elasticloadbalancing/latest/APIReference/API_TargetGroup.html
    """
    listener = original(elb, *arguments, **named)
    _relink(elb)
    return listener


@balancers_of_groups.around(ELBv2Backend, "delete_listener")
def _(original: Original, elb: Any, *arguments: Any) -> Any:
    result = original(elb, *arguments)
    _relink(elb)
    return result


@balancers_of_groups.around(ELBv2Backend, "delete_load_balancer")
def _(original: Original, elb: Any, *arguments: Any) -> Any:
    result = original(elb, *arguments)
    _relink(elb)
    return result


def _relink(elb: Any) -> None:
    for group in elb.target_groups.values():
        group.load_balancer_arns = [
            balancer.arn for balancer in elb.load_balancers.values() if group.arn in targets_of(elb, balancer)
        ]


def targets_of(elb: Any, balancer: Any) -> set[str]:
    """The target groups that a load balancer forwards to."""
    return {
        arn
        for listener in balancer.listeners.values()
        for rule in listener.rules.values()
        for action in rule.actions
        for arn in elb._get_target_group_arns_from(action_data=action.data)
    }


@fixes.around(FakeTargetGroup, "health_for")
def reported_health(original: Original, group: Any, target: dict[str, Any], ec2: Any) -> Any:
    """A target is what its health checks found: initial before the first, healthy or unhealthy after.

    AWS: elasticloadbalancing/latest/network/target-group-health-checks.html
    """
    health = original(group, target, ec2)
    reported = group.__dict__.get("cortex_reported", {}).get(target["Id"])
    if health.status != "healthy":
        return health
    if reported is not None:
        return as_found(health, *reported)
    if group.load_balancer_arns and not agents.by_themselves():
        return as_found(health, "initial", "Elb.RegistrationInProgress")
    return health


@reported_health.around(FakeTargetGroup, "deregister")
def _(original: Original, group: Any, targets: list[dict[str, Any]]) -> None:
    original(group, targets)
    for target in targets:
        group.__dict__.get("cortex_reported", {}).pop(target["Id"], None)


def as_found(known: FakeHealthStatus, state: str, reason: str | None) -> FakeHealthStatus:
    return FakeHealthStatus(known.instance_id, known.port, known.health_check_port, state, reason)
