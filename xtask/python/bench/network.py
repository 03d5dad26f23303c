"""The network, with boto3: what EC2 calls VPC and everything in it."""

from typing import Any

from account import EC2, Attributes, tagged, wait


def vpc(of: dict[str, Any]) -> Attributes:
    made = EC2.create_vpc(CidrBlock=of["cidr_block"], TagSpecifications=tagged("vpc", of))["Vpc"]["VpcId"]
    wait(EC2, "vpc_available", VpcIds=[made])
    EC2.modify_vpc_attribute(VpcId=made, EnableDnsSupport={"Value": of["enable_dns_support"]})
    EC2.modify_vpc_attribute(VpcId=made, EnableDnsHostnames={"Value": of["enable_dns_hostnames"]})
    return {"id": made}


def default_security_group(of: dict[str, Any]) -> Attributes:
    where = [{"Name": "vpc-id", "Values": [of["vpc_id"]]}, {"Name": "group-name", "Values": ["default"]}]
    group = EC2.describe_security_groups(Filters=where)["SecurityGroups"][0]
    EC2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    EC2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    return {}


def internet_gateway(of: dict[str, Any]) -> Attributes:
    made = EC2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", of))
    made = made["InternetGateway"]["InternetGatewayId"]
    EC2.attach_internet_gateway(InternetGatewayId=made, VpcId=of["vpc_id"])
    return {"id": made}


def subnet(of: dict[str, Any]) -> Attributes:
    where = {"VpcId": of["vpc_id"], "AvailabilityZone": of["availability_zone"], "CidrBlock": of["cidr_block"]}
    made = EC2.create_subnet(TagSpecifications=tagged("subnet", of), **where)["Subnet"]["SubnetId"]
    wait(EC2, "subnet_available", SubnetIds=[made])
    return {"id": made}


def eip(of: dict[str, Any]) -> Attributes:
    return {"id": EC2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", of))["AllocationId"]}


def nat_gateway(of: dict[str, Any]) -> Attributes:
    where = {"SubnetId": of["subnet_id"], "AllocationId": of["allocation_id"]}
    made = EC2.create_nat_gateway(TagSpecifications=tagged("natgateway", of), **where)["NatGateway"]["NatGatewayId"]
    wait(EC2, "nat_gateway_available", NatGatewayIds=[made])
    return {"id": made}


def route_table(of: dict[str, Any]) -> Attributes:
    made = EC2.create_route_table(VpcId=of["vpc_id"], TagSpecifications=tagged("route-table", of))
    return {"id": made["RouteTable"]["RouteTableId"]}


def route(of: dict[str, Any]) -> Attributes:
    to = {"NatGatewayId": of["nat_gateway_id"]} if "nat_gateway_id" in of else {"GatewayId": of["gateway_id"]}
    EC2.create_route(RouteTableId=of["route_table_id"], DestinationCidrBlock=of["destination_cidr_block"], **to)
    return {}


def route_table_association(of: dict[str, Any]) -> Attributes:
    EC2.associate_route_table(RouteTableId=of["route_table_id"], SubnetId=of["subnet_id"])
    return {}


def vpc_endpoint(of: dict[str, Any]) -> Attributes:
    made = EC2.create_vpc_endpoint(
        VpcId=of["vpc_id"],
        ServiceName=of["service_name"],
        RouteTableIds=of["route_table_ids"],
        TagSpecifications=tagged("vpc-endpoint", of),
    )
    return {"id": made["VpcEndpoint"]["VpcEndpointId"]}


def security_group(of: dict[str, Any]) -> Attributes:
    made = EC2.create_security_group(
        GroupName=of["name"],
        Description=of["description"],
        VpcId=of["vpc_id"],
        TagSpecifications=tagged("security-group", of),
    )["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    EC2.revoke_security_group_egress(GroupId=made, IpPermissions=everything)
    return {"id": made}


def _permission(of: dict[str, Any]) -> list[dict[str, Any]]:
    permission: dict[str, Any] = {"IpProtocol": of["ip_protocol"]}
    if "from_port" in of:
        permission |= {"FromPort": of["from_port"], "ToPort": of["to_port"]}
    if "cidr_ipv4" in of:
        permission["IpRanges"] = [{"CidrIp": of["cidr_ipv4"], "Description": of["description"]}]
    else:
        group = {"GroupId": of["referenced_security_group_id"], "Description": of["description"]}
        permission["UserIdGroupPairs"] = [group]
    return [permission]


def ingress_rule(of: dict[str, Any]) -> Attributes:
    EC2.authorize_security_group_ingress(GroupId=of["security_group_id"], IpPermissions=_permission(of))
    return {}


def egress_rule(of: dict[str, Any]) -> Attributes:
    EC2.authorize_security_group_egress(GroupId=of["security_group_id"], IpPermissions=_permission(of))
    return {}
