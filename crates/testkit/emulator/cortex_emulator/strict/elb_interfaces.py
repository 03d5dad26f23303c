"""Network interfaces of load balancers: they are what keeps security groups and subnets after a load balancer is deleted.

AWS: elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.utils import random_eni_attach_id, random_public_ip
from moto.elbv2.models import ELBv2Backend

from .. import world
from ..clock import CLOCK
from ..errors import AwsError
from ..rules import strict

Original = Callable[..., Any]


@strict.around(ELBv2Backend, "create_load_balancer")
def balancer_interfaces(original: Original, elb: Any, *arguments: Any, **named: Any) -> Any:
    """A load balancer has an interface in each of its subnets, with its security groups; they go some time after it.

    AWS: elasticloadbalancing/latest/network/network-load-balancers.html
    """
    balancer = original(elb, *arguments, **named)
    _add(elb.ec2_backend, balancer, balancer.subnets)
    return balancer


@balancer_interfaces.around(ELBv2Backend, "delete_load_balancer")
def _(original: Original, elb: Any, arn: str) -> None:
    balancer = elb.load_balancers.get(arn)
    original(elb, arn)
    if balancer is not None:
        _remove_later(elb.ec2_backend, _of(elb.ec2_backend, balancer))


@balancer_interfaces.around(ELBv2Backend, "set_security_groups")
def _(original: Original, elb: Any, arn: str, sec_groups: list[str]) -> None:
    original(elb, arn, sec_groups)
    ec2 = elb.ec2_backend
    for interface in _of(ec2, elb.load_balancers[arn]):
        interface._group_set = [ec2.get_security_group_from_id(group_id) for group_id in sec_groups]


@balancer_interfaces.around(ELBv2Backend, "set_subnets")
def _(original: Original, elb: Any, arn: str, *arguments: Any, **named: Any) -> Any:
    balancer, ec2 = elb.load_balancers.get(arn), elb.ec2_backend
    before = {subnet.id for subnet in balancer.subnets} if balancer else set()
    result = original(elb, arn, *arguments, **named)
    after = {subnet.id for subnet in balancer.subnets}
    _add(ec2, balancer, [subnet for subnet in balancer.subnets if subnet.id not in before])
    _remove_later(ec2, [each for each in _of(ec2, balancer) if each.subnet_id not in after])
    return result


def _description(balancer: Any) -> str:
    return f"ELB {balancer.arn.partition(':loadbalancer/')[2]}"


def _of(ec2: Any, balancer: Any) -> list[Any]:
    return [each for each in ec2.enis.values() if each.description == _description(balancer)]


def _add(ec2: Any, balancer: Any, subnets: list[Any]) -> None:
    for subnet in subnets:
        address = subnet.get_available_subnet_ip(instance=balancer)
        interface = ec2.create_network_interface(
            subnet, address, group_ids=list(balancer.security_groups), description=_description(balancer)
        )
        if not balancer.security_groups:
            interface._group_set = []
        interface.interface_type = "network_load_balancer" if balancer.type == "network" else "interface"
        interface.requester_managed, interface.requester_id = True, world.ELB_OWNER
        interface.status = "in-use"
        interface.cortex_attachment = random_eni_attach_id()
        if balancer.scheme == "internet-facing":
            interface.public_ip = random_public_ip()


def _remove_later(ec2: Any, interfaces: list[Any]) -> None:
    def remove() -> None:
        for interface in interfaces:
            ec2.enis.pop(interface.id, None)

    CLOCK.after("elb_interfaces", remove)


@strict.around(ElasticNetworkInterfaces, "delete_network_interface")
def interface_in_use(original: Original, response: Any) -> Any:
    """An interface that is attached is not deleted, and those of other services not by users.

    AWS: AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html
    """
    interface: NetworkInterface = response.ec2_backend.get_network_interface(response._get_param("NetworkInterfaceId"))
    if interface.requester_managed:
        message = "You do not have permission to access the specified resource."
        raise AwsError("AuthFailure", message, 403)
    if interface.attachment_id or interface.status == "in-use":
        message = f"Network interface '{interface.id}' is currently in use."
        raise AwsError("InvalidParameterValue", message)
    return original(response)
