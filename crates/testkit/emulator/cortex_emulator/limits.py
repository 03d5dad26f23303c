"""Quotas: what an account may have, and what Service Quotas says about it.

The defaults are AWS's own. A test that wants to run into one sets it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.autoscaling.models import AutoScalingBackend
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.elbv2.models import ELBv2Backend
from moto.iam.models import IAMBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from .errors import AwsError
from .rules import fixes, strict


@dataclass(frozen=True)
class Quota:
    service: str
    code: str
    name: str
    default: float
    # What is refused beyond it, and with which error.
    error: str


_QUOTAS = {
    quota.code: quota
    for quota in [
        Quota("vpc", "L-F678F1CE", "VPCs per Region", 5, "VpcLimitExceeded"),
        Quota("vpc", "L-A4707A72", "Internet gateways per Region", 5, "InternetGatewayLimitExceeded"),
        Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5, "NatGatewayLimitExceeded"),
        Quota("vpc", "L-E79EC296", "VPC security groups per Region", 2500, "SecurityGroupLimitExceeded"),
        Quota("vpc", "L-0EA8095F", "Inbound or outbound rules per security group", 60, "RulesPerSecurityGroupLimitExceeded"),
        Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5, "AddressLimitExceeded"),
        Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 64, "VcpuLimitExceeded"),
        Quota("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 64, "MaxSpotInstanceCountExceeded"),
        Quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances", 8, "VcpuLimitExceeded"),
        Quota("elasticloadbalancing", "L-69A177A2", "Network Load Balancers per Region", 50, "TooManyLoadBalancers"),
        Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50, "TooManyLoadBalancers"),
        Quota("elasticloadbalancing", "L-B22855CB", "Target Groups per Region", 3000, "TooManyTargetGroups"),
        Quota("autoscaling", "L-CDE20ADC", "Auto Scaling groups per region", 500, "LimitExceeded"),
        Quota("iam", "L-FE177D64", "Roles per account", 1000, "LimitExceeded"),
    ]
}
_VALUES: dict[str, float] = {}

# Families by the first letters of an instance type, and their quota.
_STANDARD = tuple("acdhimrtz")


def set_quotas(**values: float) -> dict[str, float]:
    """By quota code."""
    unknown = sorted(set(values) - set(_QUOTAS))
    if unknown:
        raise KeyError(f"there is no quota {', '.join(unknown)}; there are {', '.join(_QUOTAS)}")
    _VALUES.update({code: float(value) for code, value in values.items()})
    return {code: value_of(code) for code in _QUOTAS}


def value_of(code: str) -> float:
    return _VALUES.get(code, _QUOTAS[code].default)


def forget() -> None:
    _VALUES.clear()


def _count(code: str, used: int, wanted: int = 1) -> None:
    if used + wanted > value_of(code):
        quota = _QUOTAS[code]
        raise AwsError(quota.error, f"The maximum number for '{quota.name}' ({value_of(code):g}) has been reached.")


@strict.around(VPCBackend, "create_vpc")
def quotas(original: Callable[..., Any], ec2: Any, *arguments: Any, **named: Any) -> Any:
    """An account has quotas: VPCs, addresses, gateways, groups, load balancers, roles, vCPUs.

    AWS: vpc/latest/userguide/amazon-vpc-limits.html
    AWS: general/latest/gr/aws_service_limits.html
    """
    if ec2.vpcs:
        _count("L-F678F1CE", len(ec2.vpcs))
    return original(ec2, *arguments, **named)


@quotas.around(InternetGatewayBackend, "create_internet_gateway")
def _(original: Callable[..., Any], ec2: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-A4707A72", len(ec2.internet_gateways))
    return original(ec2, *arguments, **named)


@quotas.around(NatGatewayBackend, "create_nat_gateway")
def _(original: Callable[..., Any], ec2: Any, subnet_id: str, *arguments: Any, **named: Any) -> Any:
    zone = ec2.get_subnet(subnet_id).availability_zone
    live = [nat for nat in ec2.nat_gateways.values() if nat.state not in ("deleted", "failed")]
    _count("L-FE5A380F", sum(ec2.get_subnet(nat.subnet_id).availability_zone == zone for nat in live))
    return original(ec2, subnet_id, *arguments, **named)


@quotas.around(SecurityGroupBackend, "create_security_group")
def _(original: Callable[..., Any], ec2: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-E79EC296", sum(map(len, ec2.groups.values())))
    return original(ec2, *arguments, **named)


@quotas.around(ElasticAddressBackend, "allocate_address")
def _(original: Callable[..., Any], ec2: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-0263D0A3", len(ec2.addresses))
    return original(ec2, *arguments, **named)


@quotas.around(InstanceBackend, "run_instances")
def _(original: Callable[..., Any], ec2: Any, image_id: str, count: int, *arguments: Any, **named: Any) -> Any:
    wanted = named.get("instance_type") or ""
    if wanted.startswith(_STANDARD):
        live = [each for each in ec2.all_instances() if each.state in ("pending", "running")]
        used = sum(_vcpus(each.instance_type) for each in live if each.instance_type.startswith(_STANDARD))
        _count("L-1216C47A", used, _vcpus(wanted) * count)
    return original(ec2, image_id, count, *arguments, **named)


@quotas.around(ELBv2Backend, "create_load_balancer")
def _(original: Callable[..., Any], elb: Any, *arguments: Any, **named: Any) -> Any:
    kind = named.get("loadbalancer_type") or "application"
    used = sum(balancer.type == kind for balancer in elb.load_balancers.values())
    _count("L-69A177A2" if kind == "network" else "L-53DA6B97", used)
    return original(elb, *arguments, **named)


@quotas.around(ELBv2Backend, "create_target_group")
def _(original: Callable[..., Any], elb: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-B22855CB", len(elb.target_groups))
    return original(elb, *arguments, **named)


@quotas.around(AutoScalingBackend, "create_auto_scaling_group")
def _(original: Callable[..., Any], autoscaling: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-CDE20ADC", len(autoscaling.autoscaling_groups))
    return original(autoscaling, *arguments, **named)


@quotas.around(IAMBackend, "create_role")
def _(original: Callable[..., Any], iam: Any, *arguments: Any, **named: Any) -> Any:
    _count("L-FE177D64", len(iam.roles))
    return original(iam, *arguments, **named)


def _vcpus(instance_type: str) -> int:
    return int(INSTANCE_TYPES.get(instance_type, {}).get("VCpuInfo", {}).get("DefaultVCpus", 2))


@fixes.around(ServiceQuotasResponse, "get_service_quota")
def service_quotas(_original: Callable[..., Any], response: Any) -> Any:
    """Service Quotas answers for EC2, VPC, Elastic Load Balancing, Auto Scaling and IAM.

    AWS: servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    asked = json.loads(response.body)
    quota = _QUOTAS.get(asked["QuotaCode"])
    if quota is None or quota.service != asked["ServiceCode"]:
        raise _no_such(f"there is no quota {asked['QuotaCode']}")
    return json.dumps({"Quota": _shown(quota, value_of(quota.code))})


@service_quotas.around(ServiceQuotasResponse, "list_aws_default_service_quotas")
def _(_original: Callable[..., Any], response: Any) -> Any:
    service = json.loads(response.body)["ServiceCode"]
    found = [_shown(quota, quota.default) for quota in _QUOTAS.values() if quota.service == service]
    return json.dumps({"Quotas": found})


@fixes.operation(ServiceQuotasResponse, "list_service_quotas")
def list_service_quotas(response: Any) -> Any:
    """The quotas of a service as they apply to the account.

    AWS: servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
    """
    service = json.loads(response.body)["ServiceCode"]
    found = [_shown(quota, value_of(quota.code)) for quota in _QUOTAS.values() if quota.service == service]
    if not found:
        raise _no_such(f"there is no service {service}")
    return json.dumps({"Quotas": found})


def _no_such(message: str) -> Exception:
    from moto.core.exceptions import JsonRESTError

    return JsonRESTError("NoSuchResourceException", message)


def _shown(quota: Quota, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": quota.service,
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": quota.service == "iam",
    }
