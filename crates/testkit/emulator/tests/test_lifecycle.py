"""All of it at once: a cluster's worth of resources, made, used, and taken down until nothing is left."""

import json
import unittest

from botocore.exceptions import ClientError
from ground import REGION, EmulatorCase, allow, ask, given, pass_time, trust

DELAYS = {
    "nat_create": 100,
    "nat_delete": 50,
    "elb_create": 150,
    "elb_interfaces": 60,
    "target_health": 100,
    "instance_start": 20,
    "instance_stop": 40,
    "endpoint_delete": 20,
    "iam_propagation": 8,
    "group_delete": 30,
    "capacity_attach": 5,
    "agent_register": 30,
    "task_start": 10,
    "task_healthy": 5,
    "task_stop": 5,
}
# Errors that time puts right, at the latest after a quarter of an hour.
_LATER = {
    "DependencyViolation",
    "ClusterContainsContainerInstancesException",
    "ClusterContainsServicesException",
    "ClusterContainsTasksException",
    "InvalidIPAddress.InUse",
    "InvalidParameterValue",
    "ResourceInUse",
    "ResourceInUseException",
    "ScalingActivityInProgress",
    "UpdateInProgressException",
    "ValidationError",
}


class Lifecycle(EmulatorCase):
    def later(self, call, **parameters):
        """Tries until it is done."""
        for _ in range(90):
            try:
                return call(**parameters)
            except ClientError as error:
                self.assertIn(error.response["Error"]["Code"], _LATER, error)
                last = error
                pass_time(10)
        raise last

    def up(self):
        vpc = self.vpc()
        zones = list(enumerate("ab"))
        public = [self.subnet(vpc, number, zone) for number, zone in zones]
        private = [self.subnet(vpc, 10 + number, zone) for number, zone in zones]
        self.nat(public[0])
        group = self.group(vpc, "nodes")
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=private[0])
        service = f"com.amazonaws.{REGION}.s3"
        self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, RouteTableIds=[table])
        balancer = self.balancer(public, Scheme="internet-facing", SecurityGroups=[group])
        targets = self.target_group(vpc)
        self.listener(balancer["LoadBalancerArn"], targets)
        self.bucket()
        self.s3.put_bucket_versioning(Bucket="bucket-of-tests", VersioningConfiguration={"Status": "Enabled"})
        self.s3.put_object(Bucket="bucket-of-tests", Key="a", Body=b"x")
        self.logs.create_log_group(logGroupName="g")
        self.nodes(private, group, targets)
        return vpc

    def nodes(self, subnets, group, targets):
        document = json.dumps(trust(Service="ec2.amazonaws.com"))
        self.iam.create_role(RoleName="node", Path="/cortex/", AssumeRolePolicyDocument=document)
        self.iam.put_role_policy(RoleName="node", PolicyName="p", PolicyDocument=json.dumps(allow("s3:GetObject")))
        self.iam.create_instance_profile(InstanceProfileName="node", Path="/cortex/")
        self.iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
        template = self.template(IamInstanceProfile={"Name": "node"}, SecurityGroupIds=[group])
        self.later(
            self.scaling_group, subnets=subnets, LaunchTemplate={"LaunchTemplateId": template}, TargetGroupARNs=[targets]
        )
        self.ecs.create_cluster(clusterName="c")
        details = {"autoScalingGroupArn": self.scaling_group_of()["AutoScalingGroupARN"]}
        self.ecs.create_capacity_provider(name="p", autoScalingGroupProvider=details)
        self.ecs.put_cluster_capacity_providers(
            cluster="c", capacityProviders=["p"], defaultCapacityProviderStrategy=[{"capacityProvider": "p"}]
        )
        container = {"name": "a", "image": "i", "memory": 100}
        self.ecs.register_task_definition(family="f", containerDefinitions=[container])
        self.ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)

    def settled(self):
        service = self.ecs.describe_services(cluster="c", services=["s"])["services"][0]
        health = [
            each["TargetHealth"]["State"]
            for group in self.elbv2.describe_target_groups()["TargetGroups"]
            for each in self.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])[
                "TargetHealthDescriptions"
            ]
        ]
        nat = self.ec2.describe_nat_gateways()["NatGateways"][0]["State"]
        return service["deployments"][0]["rolloutState"], health, nat

    def down(self, vpc):
        mine = [{"Name": "vpc-id", "Values": [vpc]}]
        self.ecs.delete_service(cluster="c", service="s", force=True)
        self.ecs.deregister_task_definition(taskDefinition="f:1")
        self.later(self.autoscaling.delete_auto_scaling_group, AutoScalingGroupName="nodes", ForceDelete=True)
        for each in self.elbv2.describe_load_balancers()["LoadBalancers"]:
            self.elbv2.delete_load_balancer(LoadBalancerArn=each["LoadBalancerArn"])
        for each in self.elbv2.describe_target_groups()["TargetGroups"]:
            self.elbv2.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
        for each in self.ec2.describe_nat_gateways()["NatGateways"]:
            self.ec2.delete_nat_gateway(NatGatewayId=each["NatGatewayId"])
        endpoints = [each["VpcEndpointId"] for each in self.ec2.describe_vpc_endpoints()["VpcEndpoints"]]
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=endpoints)
        self.later(self.ecs.delete_cluster, cluster="c")
        self.later(self.ecs.delete_capacity_provider, capacityProvider="p")
        self.ec2.delete_launch_template(LaunchTemplateName="nodes")
        self.iam.remove_role_from_instance_profile(InstanceProfileName="node", RoleName="node")
        self.iam.delete_instance_profile(InstanceProfileName="node")
        self.iam.delete_role_policy(RoleName="node", PolicyName="p")
        self.iam.delete_role(RoleName="node")
        self.logs.delete_log_group(logGroupName="g")
        for each in self.s3.list_object_versions(Bucket="bucket-of-tests")["Versions"]:
            self.s3.delete_object(Bucket="bucket-of-tests", Key=each["Key"], VersionId=each["VersionId"])
        self.s3.delete_bucket(Bucket="bucket-of-tests")
        for each in self.ec2.describe_addresses()["Addresses"]:
            self.later(self.ec2.release_address, AllocationId=each["AllocationId"])
        gateway = self.gateway_of(vpc)
        self.later(self.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
        self.ec2.delete_internet_gateway(InternetGatewayId=gateway)
        for each in self.ec2.describe_subnets(Filters=mine)["Subnets"]:
            self.later(self.ec2.delete_subnet, SubnetId=each["SubnetId"])
        for each in self.ec2.describe_security_groups(Filters=mine)["SecurityGroups"]:
            if each["GroupName"] != "default":
                self.later(self.ec2.delete_security_group, GroupId=each["GroupId"])
        for each in self.ec2.describe_route_tables(Filters=mine)["RouteTables"]:
            if not any(association["Main"] for association in each["Associations"]):
                self.ec2.delete_route_table(RouteTableId=each["RouteTableId"])
        self.later(self.ec2.delete_vpc, VpcId=vpc)

    def whole_life(self):
        before = ask("inventory")
        vpc = self.up()
        pass_time(300)
        self.assertEqual(self.settled(), ("COMPLETED", ["healthy"], "available"))
        self.down(vpc)
        left = ask("inventory")
        linked = left.pop("service_linked_role")
        before.pop("service_linked_role")
        self.assertEqual(left, before)
        return linked

    @given(mode="strict", auth="full", **DELAYS)
    def test_strict(self):
        made = {"AWSServiceRoleForAutoScaling", "AWSServiceRoleForECS", "AWSServiceRoleForElasticLoadBalancing"}
        self.assertEqual(set(self.whole_life()), made)

    @given(mode="strict", auth="full")
    def test_strict_at_once(self):
        self.whole_life()

    @given(mode="plain", auth="sts")
    def test_plain(self):
        self.whole_life()


if __name__ == "__main__":
    unittest.main()
