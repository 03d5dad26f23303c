"""VPCs, subnets, gateways, routes, endpoints, addresses."""

import unittest

from ground import REGION, EmulatorCase, about, ask, given, pass_time

S3_SERVICE = f"com.amazonaws.{REGION}.s3"


class Vpcs(EmulatorCase):
    @about("vpc_in_use")
    def test_a_vpc_with_a_gateway_stays(self):
        vpc = self.vpc()
        with self.refused("DependencyViolation"):
            self.ec2.delete_vpc(VpcId=vpc)

    @given()
    def test_each_thing_in_a_vpc_keeps_it(self):
        vpc = self.vpc(gateway=False)
        group = self.group(vpc)
        with self.refused("DependencyViolation"):
            self.ec2.delete_vpc(VpcId=vpc)
        self.ec2.delete_security_group(GroupId=group)
        endpoint = self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=S3_SERVICE)["VpcEndpoint"]["VpcEndpointId"]
        with self.refused("DependencyViolation"):
            self.ec2.delete_vpc(VpcId=vpc)
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.ec2.delete_vpc(VpcId=vpc)

    @about("vpc_leaves_nothing", mode="plain")
    def test_a_deleted_vpc_leaves_nothing(self):
        before = ask("inventory")
        vpc = self.vpc(gateway=False)
        self.subnet(vpc)
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        self.ec2.delete_subnet(SubnetId=subnets[0]["SubnetId"])
        self.ec2.delete_vpc(VpcId=vpc)
        self.assertEqual(ask("inventory"), before)

    @about("canonical_cidrs")
    def test_host_bits_are_dropped(self):
        made = self.ec2.create_vpc(CidrBlock="10.5.1.1/16")["Vpc"]
        self.assertEqual(made["CidrBlock"], "10.5.0.0/16")
        subnet = self.ec2.create_subnet(VpcId=made["VpcId"], CidrBlock="10.5.1.7/24")["Subnet"]
        self.assertEqual(subnet["CidrBlock"], "10.5.1.0/24")
        group = self.group(made["VpcId"])
        rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.1.1.1/8"}]}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        found = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        self.assertEqual(found[0]["IpRanges"][0]["CidrIp"], "10.0.0.0/8")

    @about("reserved_tags")
    def test_tags_of_aws_are_refused(self):
        with self.refused("InvalidParameterValue"):
            self.ec2.create_tags(Resources=[self.vpc()], Tags=[{"Key": "aws:mine", "Value": "x"}])


class Subnets(EmulatorCase):
    @about("subnet_in_use")
    def test_a_subnet_with_an_instance_stays(self):
        subnet = self.subnet(self.vpc())
        self.instance(subnet)
        with self.refused("DependencyViolation"):
            self.ec2.delete_subnet(SubnetId=subnet)

    @about("subnet_sizes")
    def test_a_small_subnet_is_refused(self):
        with self.refused("InvalidSubnet.Range"):
            self.ec2.create_subnet(VpcId=self.vpc(), CidrBlock="10.0.0.0/29")

    @about("no_accidental_default", mode="plain")
    def test_only_default_subnets_give_public_addresses(self):
        # Moto takes the first subnet of a zone for a default one.
        for subnet in self.ec2.describe_subnets()["Subnets"]:
            self.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        subnet = self.subnet(self.vpc())
        found = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
        self.assertFalse(found["MapPublicIpOnLaunch"])
        self.assertFalse(found["DefaultForAz"])


class InternetGateways(EmulatorCase):
    @about("one_internet_gateway")
    def test_a_vpc_has_one(self):
        second = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        with self.refused("InvalidParameterValue"):
            self.ec2.attach_internet_gateway(InternetGatewayId=second, VpcId=self.vpc())

    @about("public_addresses_mapped", elb_interfaces=60)
    def test_it_stays_while_addresses_are_mapped(self):
        vpc = self.vpc()
        balancer = self.balancer([self.subnet(vpc)], Scheme="internet-facing")
        gateway = self.gateway_of(vpc)
        self.elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
        with self.refused("DependencyViolation"):
            self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        pass_time(61)
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


class Nats(EmulatorCase):
    def state(self, nat):
        return self.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"]

    @about("nat_pending", nat_create=100)
    def test_a_new_one_is_pending(self):
        nat = self.nat(self.subnet(self.vpc()))
        self.assertEqual(self.state(nat), "pending")
        pass_time(99)
        self.assertEqual(self.state(nat), "pending")
        pass_time(2)
        self.assertEqual(self.state(nat), "available")

    @about("nat_delete", mode="plain", nat_delete=50)
    def test_deleting_takes_time_and_gives_all_back(self):
        subnet = self.subnet(self.vpc())
        before = ask("inventory")["network_interface"]
        nat = self.nat(subnet)
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual(self.state(nat), "deleting")
        pass_time(51)
        self.assertEqual(self.state(nat), "deleted")
        self.assertNotIn("AssociationId", self.ec2.describe_addresses()["Addresses"][0])
        self.assertEqual(ask("inventory")["network_interface"], before)

    @about("nat_filters", mode="plain")
    def test_found_by_tag(self):
        vpc = self.vpc()
        tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "mine", "Value": "yes"}]}]
        mine = self.nat(self.subnet(vpc, 0), TagSpecifications=tags)
        self.nat(self.subnet(vpc, 1))
        for name, value in (("tag:mine", "yes"), ("tag-key", "mine")):
            found = self.ec2.describe_nat_gateways(Filters=[{"Name": name, "Values": [value]}])["NatGateways"]
            self.assertEqual([each["NatGatewayId"] for each in found], [mine])
        with self.refused("NatGatewayNotFound"):
            self.ec2.describe_nat_gateways(NatGatewayIds=["nat-0123456789abcdef0"])

    @about("nat_interface", mode="plain")
    def test_a_refused_one_leaves_nothing(self):
        subnet, allocation = self.subnet(self.vpc()), self.address()
        nat = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]
        self.assertTrue(nat["NatGatewayAddresses"][0]["PrivateIp"].startswith("10.0.0."))
        before = ask("inventory")["network_interface"]
        with self.refused("Resource.AlreadyAssociated"):
            self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)
        self.assertEqual(ask("inventory")["network_interface"], before)

    @about("nat_needs_gateway")
    def test_it_needs_an_internet_gateway(self):
        with self.refused("Gateway.NotAttached"):
            self.nat(self.subnet(self.vpc(gateway=False)))

    @about("address_in_use")
    def test_its_address_is_not_released(self):
        self.nat(self.subnet(self.vpc()))
        address = self.ec2.describe_addresses()["Addresses"][0]
        with self.refused("InvalidIPAddress.InUse"):
            self.ec2.release_address(AllocationId=address["AllocationId"])

    @about("address_of_nat")
    def test_its_address_is_not_taken_from_it(self):
        self.nat(self.subnet(self.vpc()))
        address = self.ec2.describe_addresses()["Addresses"][0]
        with self.refused("AuthFailure"):
            self.ec2.disassociate_address(AssociationId=address["AssociationId"])

    @given(nat_delete=50)
    def test_its_subnet_and_address_stay_until_it_is_gone(self):
        subnet = self.subnet(self.vpc())
        nat = self.nat(subnet)
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        with self.refused("DependencyViolation"):
            self.ec2.delete_subnet(SubnetId=subnet)
        pass_time(51)
        self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.release_address(AllocationId=self.ec2.describe_addresses()["Addresses"][0]["AllocationId"])


class Routes(EmulatorCase):
    def table(self, vpc):
        return self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    def routes(self, table):
        return self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]

    @about("route_targets")
    def test_a_route_goes_to_a_gateway_of_the_vpc(self):
        table = self.table(self.vpc())
        other = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        with self.refused("InvalidParameterValue"):
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=other)
        with self.refused("InvalidNatGatewayID.NotFound"):
            self.ec2.create_route(
                RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId="nat-0123456789abcdef0"
            )

    @given(nat_create=100)
    def test_a_route_to_a_pending_nat_gateway_is_made(self):
        vpc = self.vpc()
        nat = self.nat(self.subnet(vpc))
        self.ec2.create_route(RouteTableId=self.table(vpc), DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)

    @given()
    def test_there_is_one_route_to_a_destination(self):
        vpc = self.vpc()
        table, nat = self.table(vpc), self.nat(self.subnet(vpc))
        where = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
        self.ec2.create_route(**where, GatewayId=self.gateway_of(vpc))
        with self.refused("RouteAlreadyExists"):
            self.ec2.create_route(**where, NatGatewayId=nat)

    @about("blackhole", mode="plain")
    def test_a_route_to_what_is_gone_is_a_black_hole(self):
        vpc = self.vpc()
        table, nat = self.table(vpc), self.nat(self.subnet(vpc))
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual({route["State"] for route in self.routes(table)}, {"active", "blackhole"})

    @about("one_association")
    def test_a_subnet_has_one_table(self):
        vpc, other = self.vpc(), self.vpc("10.1.0.0/16", gateway=False)
        subnet = self.subnet(vpc)
        self.ec2.associate_route_table(RouteTableId=self.table(vpc), SubnetId=subnet)
        with self.refused("Resource.AlreadyAssociated"):
            self.ec2.associate_route_table(RouteTableId=self.table(vpc), SubnetId=subnet)
        with self.refused("InvalidParameterValue"):
            self.ec2.associate_route_table(RouteTableId=self.table(other), SubnetId=self.subnet(vpc, 1))

    @about("main_route_table")
    def test_the_main_table_stays(self):
        vpc = self.vpc()
        main = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
        with self.refused("DependencyViolation"):
            self.ec2.delete_route_table(RouteTableId=main["RouteTableId"])


class Endpoints(EmulatorCase):
    def endpoint(self, vpc, *tables):
        made = self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=S3_SERVICE, RouteTableIds=list(tables))
        return made["VpcEndpoint"]["VpcEndpointId"]

    def tables_with_prefix(self):
        tables = self.ec2.describe_route_tables()["RouteTables"]
        return {
            table["RouteTableId"]
            for table in tables
            if any("DestinationPrefixListId" in route for route in table["Routes"])
        }

    @about("endpoint_type", mode="plain")
    def test_no_type_is_gateway(self):
        endpoint = self.endpoint(self.vpc())
        found = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
        self.assertEqual(found["VpcEndpointType"], "Gateway")

    @about("endpoint_delete", mode="plain", endpoint_delete=20)
    def test_a_deleted_one_is_gone_after_a_while(self):
        endpoint = self.endpoint(self.vpc())
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.assertEqual(self.ec2.describe_vpc_endpoints()["VpcEndpoints"][0]["State"], "deleting")
        pass_time(21)
        self.assertEqual(self.ec2.describe_vpc_endpoints()["VpcEndpoints"], [])
        failed = self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"]
        self.assertEqual(failed[0]["Error"]["Code"], "InvalidVpcEndpointId.NotFound")

    @about("endpoint_routes", mode="plain")
    def test_tables_added_later_have_the_route(self):
        vpc = self.vpc()
        tables = [self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2)]
        endpoint = self.endpoint(vpc, tables[0])
        self.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[tables[1]])
        self.assertEqual(self.tables_with_prefix(), set(tables))
        self.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveRouteTableIds=[tables[0]])
        self.assertEqual(self.tables_with_prefix(), {tables[1]})
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.assertEqual(self.tables_with_prefix(), set())

    @given(mode="plain")
    def test_found_by_state(self):
        endpoint = self.endpoint(self.vpc())
        filters = [{"Name": "vpc-endpoint-state", "Values": ["available"]}]
        found = self.ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        self.assertEqual([each["VpcEndpointId"] for each in found], [endpoint])

    @about("endpoint_services")
    def test_the_service_exists(self):
        vpc = self.vpc()
        with self.refused("InvalidServiceName"):
            self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.eu-west-1.s3")
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.endpoint(vpc, table)
        with self.refused("RouteAlreadyExists"):
            self.endpoint(vpc, table)


class Tagging(EmulatorCase):
    @about("tagging_api", mode="plain")
    def test_addresses_and_templates_are_known(self):
        tags = [{"Key": "mine", "Value": "yes"}]
        self.ec2.allocate_address(TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
        found = self.tagging.get_resources(TagFilters=[{"Key": "mine"}])["ResourceTagMappingList"]
        self.assertEqual([":elastic-ip/" in each["ResourceARN"] for each in found], [True])


if __name__ == "__main__":
    unittest.main()
