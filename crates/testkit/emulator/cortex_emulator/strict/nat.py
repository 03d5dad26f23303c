"""NAT gateways."""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.nat_gateways import NatGatewayBackend

from .. import world
from ..clock import CLOCK
from ..errors import AwsError
from ..rules import strict

Original = Callable[..., Any]


@strict.around(NatGatewayBackend, "create_nat_gateway")
def nat_pending(original: Original, ec2: Any, *arguments: Any, **named: Any) -> Any:
    """A new NAT gateway is pending for a minute or two.

    AWS: vpc/latest/userguide/nat-gateway-troubleshooting.html
    """
    nat = original(ec2, *arguments, **named)
    nat.state = "pending"

    def be_available() -> None:
        if nat.state == "pending":
            nat.state = "available"

    CLOCK.after("nat_create", be_available)
    return nat


@strict.around(NatGatewayBackend, "create_nat_gateway")
def nat_needs_gateway(
    original: Original, ec2: Any, subnet_id: str, allocation_id: str, tags: Any = None, connectivity_type: str = "public"
) -> Any:
    """A public NAT gateway needs an internet gateway at its VPC, and an address.

    AWS: AWSEC2/latest/APIReference/API_CreateNatGateway.html
    """
    if (connectivity_type or "public") == "public":
        subnet = ec2.get_subnet(subnet_id)
        if not allocation_id:
            raise AwsError("MissingParameter", "The request must include the AllocationId parameter.")
        if world.internet_gateway(ec2, subnet.vpc_id) is None:
            raise AwsError("Gateway.NotAttached", f"Network {subnet.vpc_id} has no Internet gateway attached")
    return original(ec2, subnet_id, allocation_id, tags, connectivity_type)
