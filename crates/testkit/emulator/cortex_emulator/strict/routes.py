"""Route tables."""

from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.route_tables import RouteBackend
from moto.ec2.responses.route_tables import RouteTables

from ..errors import AwsError
from ..rules import strict
from .vpc import canonical, canonical_cidrs

Original = Callable[..., Any]


@canonical_cidrs.around(RouteBackend, "create_route")
def _(original: Original, ec2: Any, table_id: str, cidr: str | None, *arguments: Any, **named: Any) -> Any:
    return original(ec2, table_id, canonical(cidr) if cidr else cidr, *arguments, **named)


@strict.around(RouteBackend, "create_route")
def route_targets(original: Original, ec2: Any, route_table_id: str, *arguments: Any, **named: Any) -> Any:
    """A route goes to a gateway of the same VPC that exists: an attached internet gateway, a NAT gateway that is
    pending or available.

    AWS: AWSEC2/latest/APIReference/API_CreateRoute.html
    """
    table = ec2.get_route_table(route_table_id)
    _check_gateway(ec2, table, named.get("gateway_id"))
    _check_nat(ec2, table, named.get("nat_gateway_id"))
    return original(ec2, route_table_id, *arguments, **named)


@route_targets.around(RouteBackend, "replace_route")
def _(original: Original, ec2: Any, route_table_id: str, *arguments: Any, **named: Any) -> Any:
    table = ec2.get_route_table(route_table_id)
    _check_gateway(ec2, table, named.get("gateway_id"))
    _check_nat(ec2, table, named.get("nat_gateway_id"))
    return original(ec2, route_table_id, *arguments, **named)


def _check_gateway(ec2: Any, table: Any, gateway_id: str | None) -> None:
    if not gateway_id or not gateway_id.startswith("igw-"):
        return
    vpc = ec2.get_internet_gateway(gateway_id).vpc
    if vpc is None or vpc.id != table.vpc_id:
        message = f"route table {table.id} and network gateway {gateway_id} belong to different networks"
        raise AwsError("InvalidParameterValue", message)


def _check_nat(ec2: Any, table: Any, nat_gateway_id: str | None) -> None:
    if not nat_gateway_id:
        return
    nat = ec2.nat_gateways.get(nat_gateway_id)
    if nat is None or nat.state not in ("pending", "available"):
        raise AwsError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist")
    if nat.vpc_id != table.vpc_id:
        message = f"route table {table.id} and network gateway {nat_gateway_id} belong to different networks"
        raise AwsError("InvalidParameterValue", message)


@strict.around(RouteBackend, "associate_route_table")
def one_association(
    original: Original, ec2: Any, route_table_id: str, gateway_id: str | None = None, subnet_id: str | None = None
) -> str:
    """A subnet is associated with one route table, of its own VPC.

    AWS: AWSEC2/latest/APIReference/API_AssociateRouteTable.html
    """
    table = ec2.get_route_table(route_table_id)
    if subnet_id is not None:
        if ec2.get_subnet(subnet_id).vpc_id != table.vpc_id:
            message = f"Route table {route_table_id} and subnet {subnet_id} belong to different networks"
            raise AwsError("InvalidParameterValue", message)
        for other in ec2.route_tables.values():
            if other.id != route_table_id and subnet_id in other._associations.values():
                message = f"the specified association for route table {route_table_id} conflicts with an existing association"
                raise AwsError("Resource.AlreadyAssociated", message)
    return original(ec2, route_table_id, gateway_id, subnet_id)


@strict.around(RouteTables, "delete_route_table")
def main_route_table(original: Original, response: Any) -> Any:
    """The main route table of a VPC goes with the VPC.

    AWS: AWSEC2/latest/APIReference/API_DeleteRouteTable.html
    """
    table = response.ec2_backend.get_route_table(response._get_param("RouteTableId"))
    if table.main_association_id:
        raise DependencyViolationError(f"The routeTable '{table.id}' has dependencies and cannot be deleted.")
    return original(response)
