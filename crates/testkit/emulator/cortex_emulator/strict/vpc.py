"""VPCs, subnets, internet gateways, endpoints, tags."""

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.tags import TagResponse

from .. import world
from ..errors import AwsError
from ..rules import strict

Original = Callable[..., Any]


@strict.around(VPCBackend, "delete_vpc")
def vpc_in_use(original: Original, ec2: Any, vpc_id: str) -> Any:
    """A VPC is deleted after all that is in it: gateways, security groups, endpoints, interfaces.

    AWS: vpc/latest/userguide/delete-vpc.html
    """
    ec2.get_vpc(vpc_id)
    groups = [group for group in world.all_groups(ec2, vpc_id) if not group.is_default]
    acls = [acl for acl in ec2.network_acls.values() if acl.vpc_id == vpc_id and not acl.default]
    holders = [
        world.internet_gateway(ec2, vpc_id),
        *groups,
        *acls,
        *world.live_endpoints(ec2, vpc_id),
        *world.interfaces(ec2, vpc_id),
    ]
    if any(holders):
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return original(ec2, vpc_id)


@strict.around(SubnetBackend, "delete_subnet")
def subnet_in_use(original: Original, ec2: Any, subnet_id: str) -> Any:
    """A subnet is deleted after the interfaces in it: of instances, NAT gateways, load balancers, endpoints.

    AWS: AWSEC2/latest/APIReference/API_DeleteSubnet.html
    """
    if world.interfaces_in(ec2, subnet_id):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return original(ec2, subnet_id)


@strict.around(VPCBackend, "create_vpc")
def canonical_cidrs(original: Original, ec2: Any, cidr_block: str, *arguments: Any, **named: Any) -> Any:
    """A CIDR block is taken in its canonical form: 10.0.0.1/16 is 10.0.0.0/16.

    AWS: AWSEC2/latest/APIReference/API_CreateVpc.html
    AWS: AWSEC2/latest/APIReference/API_CreateSubnet.html
    """
    return original(ec2, canonical(cidr_block), *arguments, **named)


@canonical_cidrs.around(SubnetBackend, "create_subnet")
def _(original: Original, ec2: Any, vpc_id: str, cidr_block: str, *arguments: Any, **named: Any) -> Any:
    return original(ec2, vpc_id, canonical(cidr_block), *arguments, **named)


def canonical(cidr: str) -> str:
    """As it is when it is none: moto refuses it then."""
    try:
        return str(ipaddress.ip_network(cidr, strict=False)) if cidr else cidr
    except ValueError:
        return cidr


@strict.around(SubnetBackend, "create_subnet")
def subnet_sizes(original: Original, ec2: Any, vpc_id: str, cidr_block: str, *arguments: Any, **named: Any) -> Any:
    """A subnet is between /16 and /28.

    AWS: vpc/latest/userguide/subnet-sizing.html
    """
    prefix = (cidr_block or "").rpartition("/")[2]
    if prefix.isdigit() and "." in cidr_block and not 16 <= int(prefix) <= 28:
        raise AwsError("InvalidSubnet.Range", f"The CIDR '{cidr_block}' is invalid.")
    return original(ec2, vpc_id, cidr_block, *arguments, **named)


@strict.around(InternetGatewayBackend, "attach_internet_gateway")
def one_internet_gateway(original: Original, ec2: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    """A VPC has one internet gateway.

    AWS: AWSEC2/latest/APIReference/API_AttachInternetGateway.html
    """
    other = world.internet_gateway(ec2, vpc_id)
    if other is not None and other.id != internet_gateway_id:
        message = f"Network {vpc_id} already has an internet gateway attached"
        raise AwsError("InvalidParameterValue", message)
    return original(ec2, internet_gateway_id, vpc_id)


@strict.around(InternetGatewayBackend, "detach_internet_gateway")
def public_addresses_mapped(original: Original, ec2: Any, internet_gateway_id: str, vpc_id: str) -> None:
    """An internet gateway stays while something in its VPC has a public address.

    AWS: AWSEC2/latest/APIReference/API_DetachInternetGateway.html
    """
    if any(interface.public_ip for interface in world.interfaces(ec2, vpc_id)):
        message = f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        raise DependencyViolationError(message)
    original(ec2, internet_gateway_id, vpc_id)


@strict.around(VPCBackend, "create_vpc_endpoint")
def endpoint_services(original: Original, ec2: Any, vpc_id: str, service_name: str, *arguments: Any, **named: Any) -> Any:
    """An endpoint is to a service that exists in the Region, from tables, subnets and groups of its own VPC, and there is
    one gateway endpoint to a service in a route table.

    AWS: AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html
    """
    parts = service_name.split(".")
    if parts[:2] != ["com", "amazonaws"] or len(parts) < 4 or parts[2] != ec2.region_name:
        raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{service_name}' does not exist")
    tables = named.get("route_table_ids") or []
    for table_id in tables:
        if ec2.get_route_table(table_id).vpc_id != vpc_id:
            raise AwsError("InvalidParameter", f"Route table {table_id} does not belong to network {vpc_id}")
    for endpoint in world.live_endpoints(ec2, vpc_id):
        taken = set(endpoint.route_table_ids or []) & set(tables)
        if endpoint.service_name == service_name and endpoint.state != "deleting" and taken:
            message = f"route table {sorted(taken)[0]} already has a route with destination-prefix-list-id"
            raise AwsError("RouteAlreadyExists", message)
    return original(ec2, vpc_id, service_name, *arguments, **named)


@strict.around(TagResponse, "create_tags")
def reserved_tags(original: Original, response: Any) -> Any:
    """Tag keys that begin with `aws:` are AWS's.

    AWS: AWSEC2/latest/UserGuide/Using_Tags.html
    """
    for tag in response._get_param("Tags", []):
        if tag["Key"].lower().startswith("aws:"):
            message = f"Tag keys starting with 'aws:' are reserved for internal use: {tag['Key']}"
            raise AwsError("InvalidParameterValue", message)
    return original(response)
