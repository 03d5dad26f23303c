"""Load balancers, listeners, target groups."""

import re
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ValidationError
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response
from moto.elbv2.ssl_policies import SSL_POLICIES

from .. import world
from ..clock import CLOCK
from ..errors import AwsError
from ..fixes.elb import TLS_PROTOCOLS, as_found, targets_of
from ..rules import strict

Original = Callable[..., Any]

_NETWORK_PROTOCOLS = ("TCP", "TLS", "UDP", "TCP_UDP")
# Which target group protocols a listener of a network load balancer forwards to.
# AWS: elasticloadbalancing/latest/network/load-balancer-listeners.html
_FORWARDS = {"TCP": ("TCP", "TCP_UDP"), "TLS": ("TCP", "TLS"), "UDP": ("UDP", "TCP_UDP"), "TCP_UDP": ("TCP_UDP",)}


@strict.around(ELBv2Backend, "create_load_balancer")
def balancer_pending(original: Original, elb: Any, *arguments: Any, **named: Any) -> Any:
    """A new load balancer is provisioned for some minutes before it is active.

    AWS: elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html
    """
    balancer = original(elb, *arguments, **named)
    balancer.state = "provisioning"

    def be_active() -> None:
        balancer.state = "active"

    CLOCK.after("elb_create", be_active)
    return balancer


@balancer_pending.around(FakeLoadBalancer, "activate")
def _(_original: Original, _balancer: Any) -> None:
    """Time does it, not looking."""


@strict.around(ELBV2Response, "create_load_balancer")
def balancer_names(original: Original, response: Any) -> Any:
    """There is one load balancer of a name: the same again is the same, another configuration is refused. A name is
    at most 32 letters, digits and hyphens, and does not begin with `internal-`.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    given = response._get_params()
    name, elb = given["Name"], response.elbv2_backend
    _check_name("Load balancer", name)
    for balancer in elb.load_balancers.values():
        if balancer.name == name:
            if _configuration(balancer) != _asked(given):
                message = f"A load balancer with the same name '{name}' exists, but with different settings"
                raise AwsError("DuplicateLoadBalancerName", message)
            return ActionResult({"LoadBalancers": [balancer]})
    return original(response)


def _check_name(what: str, name: str) -> None:
    if len(name) > 32:
        raise ValidationError(f"{what} name '{name}' cannot be longer than '32' characters")
    if not re.fullmatch(r"[a-zA-Z0-9-]+", name) or name.startswith("-") or name.endswith("-"):
        raise ValidationError(f"{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)")
    if name.startswith("internal-"):
        raise ValidationError(f"{what} name '{name}' cannot begin with 'internal-'")


def _configuration(balancer: Any) -> tuple[Any, ...]:
    subnets = sorted(subnet.id for subnet in balancer.subnets)
    return balancer.type, balancer.scheme, subnets, sorted(balancer.security_groups)


def _asked(given: dict[str, Any]) -> tuple[Any, ...]:
    subnets = [*given.get("Subnets", []), *(each["SubnetId"] for each in given.get("SubnetMappings", []))]
    kind, scheme = given.get("Type") or "application", given.get("Scheme") or "internet-facing"
    return kind, scheme, sorted(subnets), sorted(given.get("SecurityGroups", []))


@strict.around(ELBv2Backend, "create_load_balancer")
def balancer_network(original: Original, elb: Any, *arguments: Any, **named: Any) -> Any:
    """A load balancer has one subnet in a zone, all of one VPC, security groups of that VPC, an internet gateway if it
    is internet-facing, and two zones unless it is a network load balancer.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    ec2, kind = elb.ec2_backend, named.get("loadbalancer_type") or "application"
    if named.get("scheme") not in (None, "internal", "internet-facing"):
        raise ValidationError(f"1 validation error detected: Value '{named['scheme']}' at 'scheme' failed to satisfy constraint: Member must satisfy enum value set: [internet-facing, internal]")
    ids = [*(named.get("subnet_ids") or []), *(each["SubnetId"] for each in named.get("subnet_mappings") or [])]
    subnets = [_subnet(ec2, subnet_id) for subnet_id in ids]
    zones = {subnet.availability_zone for subnet in subnets}
    vpcs = {subnet.vpc_id for subnet in subnets}
    if len(vpcs) > 1:
        raise AwsError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    if len(zones) < len(subnets):
        raise AwsError("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    if kind == "application" and len(zones) < 2:
        raise ValidationError("At least two subnets in two different Availability Zones must be specified")
    for vpc_id in vpcs:
        if named.get("scheme") != "internal" and world.internet_gateway(ec2, vpc_id) is None:
            raise AwsError("InvalidSubnet", f"VPC {vpc_id} has no internet gateway")
        check_groups(ec2, vpc_id, named.get("security_groups") or [])
    return original(elb, *arguments, **named)


def _subnet(ec2: Any, subnet_id: str) -> Any:
    found = ec2.describe_subnets(filters={"subnet-id": [subnet_id]})
    if not found:
        raise AwsError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
    return found[0]


def check_groups(ec2: Any, vpc_id: str, groups: list[str]) -> None:
    for group_id in groups:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise AwsError("InvalidSecurityGroup", f"Security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            message = f"One or more security groups are invalid: {group_id} is not in {vpc_id}"
            raise AwsError("InvalidConfigurationRequest", message)


@strict.around(ELBv2Backend, "set_security_groups")
def groups_from_the_start(original: Original, elb: Any, arn: str, sec_groups: list[str]) -> None:
    """A network load balancer that was made without security groups has none for good.

    AWS: elasticloadbalancing/latest/network/load-balancer-security-groups.html
    """
    balancer = elb.load_balancers.get(arn)
    if balancer is not None:
        if balancer.type == "network" and not balancer.security_groups:
            message = "You cannot add security groups to a Network Load Balancer that was created without any"
            raise AwsError("InvalidConfigurationRequest", message)
        check_groups(elb.ec2_backend, balancer.vpc_id, sec_groups)
    original(elb, arn, sec_groups)


@strict.around(ELBv2Backend, "delete_load_balancer")
def deletion_protection(original: Original, elb: Any, arn: str) -> None:
    """A load balancer that is protected is not deleted.

    AWS: elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html
    """
    balancer = elb.load_balancers.get(arn)
    if balancer is not None and str(balancer.attrs.get("deletion_protection.enabled")).lower() == "true":
        message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        raise AwsError("OperationNotPermitted", message)
    original(elb, arn)


@strict.around(ELBV2Response, "create_listener")
def listener_ports(original: Original, response: Any) -> Any:
    """A load balancer has one listener on a port.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateListener.html
    """
    elb, arn = response.elbv2_backend, response._get_param("LoadBalancerArn")
    balancer, port = elb.load_balancers.get(arn), response._get_param("Port")
    if balancer is not None and any(str(each.port) == str(port) for each in balancer.listeners.values()):
        raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
    return original(response)


@strict.around(ELBV2Response, "create_listener")
def listener_certificates(original: Original, response: Any) -> Any:
    """A listener that ends TLS has a certificate and a security policy that exists; others have none.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateListener.html
    """
    protocol, certificates = response._get_param("Protocol"), response._get_param("Certificates", [])
    if protocol in TLS_PROTOCOLS and not certificates:
        raise ValidationError("A certificate must be specified for HTTPS and TLS listeners")
    if protocol not in TLS_PROTOCOLS and certificates:
        raise ValidationError(f"A certificate cannot be specified for {protocol} listeners")
    for certificate in certificates:
        if not response.elbv2_backend._certificate_exists(certificate["CertificateArn"]):
            raise AwsError("CertificateNotFound", f"Certificate '{certificate['CertificateArn']}' not found")
    policy = response._get_param("SslPolicy")
    if policy is not None and policy not in SSL_POLICIES:
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    return original(response)


@strict.around(ELBV2Response, "create_listener")
def listener_targets(original: Original, response: Any) -> Any:
    """A listener of a network load balancer forwards to target groups of its VPC, of a protocol that goes with its own,
    that no other load balancer has.

    AWS: elasticloadbalancing/latest/network/load-balancer-target-groups.html
    """
    _check_targets(response, response._get_param("LoadBalancerArn"), response._get_param("Protocol"))
    return original(response)


@listener_targets.around(ELBV2Response, "modify_listener")
def _(original: Original, response: Any) -> Any:
    arn = response._get_param("ListenerArn")
    for balancer in response.elbv2_backend.load_balancers.values():
        if arn in balancer.listeners:
            protocol = response._get_param("Protocol") or balancer.listeners[arn].protocol
            _check_targets(response, balancer.arn, protocol)
    return original(response)


def _check_targets(response: Any, balancer_arn: str, protocol: str) -> None:
    elb = response.elbv2_backend
    balancer = elb.load_balancers.get(balancer_arn)
    if balancer is None or balancer.type != "network":
        return
    if protocol not in _NETWORK_PROTOCOLS:
        raise ValidationError(f"Listener protocol '{protocol}' must be one of '{', '.join(_NETWORK_PROTOCOLS)}'")
    for action in response._get_param("DefaultActions", []):
        for arn in elb._get_target_group_arns_from(action_data=action):
            group = elb.target_groups.get(arn)
            if group is None:
                continue
            if group.protocol not in _FORWARDS[protocol]:
                message = f"Target group '{arn}' has protocol {group.protocol}, which a {protocol} listener cannot forward to"
                raise AwsError("InvalidConfigurationRequest", message)
            if group.vpc_id != balancer.vpc_id:
                message = f"Target group '{arn}' and load balancer '{balancer.arn}' are in different VPCs"
                raise AwsError("InvalidConfigurationRequest", message)
            others = [each for each in elb.load_balancers.values() if each is not balancer and arn in targets_of(elb, each)]
            if others:
                message = f"The following target groups cannot be associated with more than one load balancer: {arn}"
                raise AwsError("TargetGroupAssociationLimit", message)


@strict.around(ELBV2Response, "create_target_group")
def target_group_names(original: Original, response: Any) -> Any:
    """There is one target group of a name: the same again is the same, another configuration is refused.

    AWS: elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
    """
    given = response._get_params()
    for group in response.elbv2_backend.target_groups.values():
        if group.name == given["Name"]:
            same = (group.protocol, str(group.port), group.vpc_id, group.target_type)
            asked = (given.get("Protocol"), str(given.get("Port")), given.get("VpcId"), given.get("TargetType") or "instance")
            if same == asked:
                return ActionResult({"TargetGroups": [group]})
    return original(response)


@strict.around(FakeTargetGroup, "health_for")
def target_health(original: Original, group: Any, target: dict[str, Any], ec2: Any) -> Any:
    """A target is unused before a listener forwards to it, then checked for a while before it is healthy.

    AWS: elasticloadbalancing/latest/network/target-group-health-checks.html
    """
    health = original(group, target, ec2)
    if health.status != "healthy" or target["Id"] in group.__dict__.get("cortex_reported", {}):
        return health
    if not group.load_balancer_arns:
        return as_found(health, "unused", "Target.NotInUse")
    since = group.__dict__.setdefault("cortex_since", {}).setdefault(target["Id"], CLOCK.now())
    if CLOCK.now() - since < CLOCK.delays["target_health"]:
        return as_found(health, "initial", "Elb.RegistrationInProgress")
    return health


@target_health.around(FakeTargetGroup, "register")
def _(original: Original, group: Any, targets: list[dict[str, Any]]) -> None:
    original(group, targets)
    for target in targets:
        group.__dict__.setdefault("cortex_since", {}).setdefault(target["Id"], CLOCK.now())
