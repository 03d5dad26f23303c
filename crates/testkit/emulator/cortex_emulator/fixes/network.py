"""VPCs, NAT gateways, addresses, routes, endpoints."""

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.ec2.exceptions import ResourceAlreadyAssociatedError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend
from moto.ec2.models.route_tables import Route
from moto.ec2.models.subnets import Subnet, SubnetBackend
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint
from moto.ec2.responses.vpcs import VPCs
from moto.ec2.utils import generic_filter

from ..clock import CLOCK
from ..errors import AwsError
from ..rules import fixes

Original = Callable[..., Any]


@fixes.around(NatGatewayBackend, "describe_nat_gateways")
def nat_filters(original: Original, ec2: Any, filters: Any, ids: list[str] | None) -> list[NatGateway]:
    """NAT gateways are found by tag like everything else, and an unknown id is an error.

    AWS: AWSEC2/latest/APIReference/API_DescribeNatGateways.html
    """
    unknown = [nat_id for nat_id in ids or [] if nat_id not in ec2.nat_gateways]
    if unknown:
        raise AwsError("NatGatewayNotFound", f"NAT gateway {unknown[0]} was not found")
    by_tag = {name: value for name, value in (filters or {}).items() if name.startswith("tag")}
    return generic_filter(by_tag, original(ec2, filters, ids))


@fixes.around(NatGatewayBackend, "create_nat_gateway")
def nat_interface(original: Original, ec2: Any, subnet_id: str, allocation_id: str, *rest: Any, **named: Any) -> Any:
    """A NAT gateway has an address of its subnet and an interface that says whose it is; a refused one leaves nothing.

    AWS: vpc/latest/userguide/nat-gateway-basics.html
    """
    subnet = ec2.get_subnet(subnet_id)
    if allocation_id:
        address = ec2.address_by_allocation([allocation_id])[0]
        if address.association_id:
            raise ResourceAlreadyAssociatedError(address.public_ip)
    nat = original(ec2, subnet_id, allocation_id, *rest, **named)
    nat.private_ip = subnet.get_available_subnet_ip(instance=nat)
    interface = nat._eni
    interface.private_ip_address = nat.private_ip
    interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": nat.private_ip}]
    interface.description = f"Interface for NAT Gateway {nat.id}"
    interface.interface_type = "nat_gateway"
    interface.requester_managed = True
    interface.status = "in-use"
    interface._group_set = []
    nat.address_set[0]["privateIp"] = nat.private_ip
    return nat


@fixes.around(NatGatewayBackend, "delete_nat_gateway")
def nat_delete(original: Original, ec2: Any, nat_gateway_id: str) -> NatGateway:
    """A deleted NAT gateway gives back its interface and its address; an unknown id is an error.

    AWS: vpc/latest/userguide/nat-gateway-working-with.html
    """
    if nat_gateway_id not in ec2.nat_gateways:
        raise AwsError("NatGatewayNotFound", f"NAT gateway {nat_gateway_id} was not found")
    nat = original(ec2, nat_gateway_id)
    nat.state = "deleting"
    CLOCK.after("nat_delete", lambda: _give_back(ec2, nat))
    return nat


def _give_back(ec2: Any, nat: Any) -> None:
    if nat.state == "deleted":
        return
    nat.state = "deleted"
    for address in list(ec2.addresses):
        if address.eni is nat._eni:
            ec2.disassociate_address(association_id=address.association_id)
    ec2.enis.pop(nat._eni.id, None)
    nat._eni.subnet.del_subnet_ip(nat.private_ip)


@fixes.around(Route, "state")
def blackhole(original: Original, route: Any) -> str:
    """A route whose gateway is gone is a black hole.

    AWS: AWSEC2/latest/APIReference/API_Route.html
    """
    if route.nat_gateway and route.nat_gateway.state in ("deleting", "deleted", "failed"):
        return "blackhole"
    gateway = route.gateway
    if gateway is not None and gateway.id.startswith("igw-") and getattr(gateway, "vpc", None) is None:
        return "blackhole"
    return original(route)


@fixes.around(Instance, "terminate")
def terminated_interfaces(original: Original, instance: Any) -> Any:
    """The interfaces that were made with an instance go with it.

    AWS: AWSEC2/latest/UserGuide/terminating-instances.html
    """
    before = original(instance)
    for nic in list(instance.nics.values()):
        given = nic.description and nic.description != "Primary network interface" and not nic.delete_on_termination
        if not given and nic.id in instance.ec2_backend.enis:
            nic.delete()
    return before


@fixes.around(VPCEndPoint, "__init__")
def endpoint_type(original: Original, endpoint: Any, *arguments: Any, **named: Any) -> None:
    """A VPC endpoint of no given type is a gateway endpoint.

    AWS: AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html
    """
    original(endpoint, *arguments, **named)
    endpoint.vpc_endpoint_type = endpoint.vpc_endpoint_type or "Gateway"


@fixes.around(VPCBackend, "delete_vpc_endpoints")
def endpoint_delete(original: Original, ec2: Any, vpce_ids: list[str] | None = None) -> None:
    """A deleted VPC endpoint is listed as deleting for a while, then not at all.

    AWS: AWSEC2/latest/APIReference/API_DeleteVpcEndpoints.html
    """
    for vpce_id in vpce_ids or []:
        endpoint = ec2.vpc_end_points.get(vpce_id)
        if endpoint is None or endpoint.state == "deleting":
            continue
        original(ec2, [vpce_id])
        endpoint.state = "deleting"
        CLOCK.after("endpoint_delete", lambda vpce_id=vpce_id: ec2.vpc_end_points.pop(vpce_id, None))


@endpoint_delete.around(VPCs, "delete_vpc_endpoints")
def _(original: Original, response: Any) -> Any:
    known = set(response.ec2_backend.vpc_end_points)
    result = original(response)
    unknown = [vpce_id for vpce_id in response._get_param("VpcEndpointIds", []) if vpce_id not in known]
    error = {"Code": "InvalidVpcEndpointId.NotFound", "Message": "The Vpc Endpoint does not exist"}
    result.result["Unsuccessful"] = [{"ResourceId": vpce_id, "Error": error} for vpce_id in unknown]
    return result


@fixes.around(VPCEndPoint, "modify")
def endpoint_routes(original: Original, endpoint: Any, *arguments: Any) -> None:
    """A gateway endpoint has a route in each of its route tables, also in those that are added later.

    AWS: vpc/latest/privatelink/gateway-endpoints.html
    """
    before = list(endpoint.route_table_ids or [])
    original(endpoint, *arguments)
    ec2, prefix_list = endpoint.ec2_backend, endpoint.destination_prefix_list_id
    after = list(endpoint.route_table_ids or [])
    if not prefix_list:
        return
    for table in set(after) - set(before):
        ec2.create_route(table, None, gateway_id=endpoint.id, destination_prefix_list_id=prefix_list)
    for table in set(before) - set(after):
        ec2.delete_route(table, prefix_list)


@fixes.around(VPCBackend, "delete_vpc")
def vpc_leaves_nothing(original: Original, ec2: Any, vpc_id: str) -> Any:
    """With a VPC go its default security group and its default network ACL.

    AWS: vpc/latest/userguide/delete-vpc.html
    """
    vpc = original(ec2, vpc_id)
    for acl in [acl for acl in ec2.network_acls.values() if acl.vpc_id == vpc_id]:
        ec2.network_acls.pop(acl.id)
    ec2.groups.pop(vpc_id, None)
    return vpc


@fixes.around(SubnetBackend, "create_subnet")
def no_accidental_default(original: Original, ec2: Any, vpc_id: str, *arguments: Any, **named: Any) -> Subnet:
    """Only the default VPC has default subnets, and only they give public addresses unasked.

    AWS: vpc/latest/userguide/default-vpc.html
    """
    subnet = original(ec2, vpc_id, *arguments, **named)
    if not ec2.get_vpc(vpc_id).is_default:
        subnet.default_for_az = False
        subnet.map_public_ip_on_launch = False
    return subnet


@fixes.around(EC2Backend, "iter_tagged_resources")
def tagging_api(original: Original, ec2: Any) -> Iterator[TaggedResource]:
    """The tagging API knows addresses, launch templates and VPC endpoints too.

    AWS: resourcegroupstagging/latest/APIReference/supported-services.html
    """
    yield from original(ec2)
    more = {
        "elastic-ip": [address.allocation_id for address in ec2.addresses],
        "launch-template": list(ec2.launch_templates),
        "vpc-endpoint": list(ec2.vpc_end_points),
    }
    for kind, ids in more.items():
        for resource_id in ids:
            arn = f"arn:{ec2.partition}:ec2:{ec2.region_name}:{ec2.account_id}:{kind}/{resource_id}"
            yield TaggedResource(arn=arn, tags=dict(ec2.tags.get(resource_id, {})), resource_type=f"ec2:{kind}")


@fixes.around(SubnetBackend, "delete_subnet")
def associations_end(original: Original, ec2: Any, subnet_id: str) -> Any:
    """The association of a subnet with a route table ends with the subnet.

    AWS: vpc/latest/userguide/subnet-deleting.html
    """
    subnet = original(ec2, subnet_id)
    for table in ec2.route_tables.values():
        for association_id, target in list(table._associations.items()):
            if target == subnet_id:
                del table._associations[association_id]
    return subnet
