"""What is changed shows when it is described: several services."""

import unittest
import urllib.request

from ground import EmulatorCase, about, given
from test_ecs import EcsCase


class Changes(EmulatorCase):
    @about("versioning_root", mode="plain")
    def test_the_root_of_a_bucket_versioning(self):
        self.bucket()
        url = self.s3.generate_presigned_url("get_bucket_versioning", Params={"Bucket": "bucket-of-tests"})
        with urllib.request.urlopen(url) as reply:
            self.assertIn("<VersioningConfiguration", reply.read().decode())

    @given(mode="plain")
    def test_a_bucket_or_an_object_that_is_not_there(self):
        with self.refused("404"):
            self.s3.head_bucket(Bucket="no-such-bucket")
        with self.refused("404"):
            self.s3.head_object(Bucket=self.bucket(), Key="no-such-key")

    @about("associations_end", mode="plain")
    def test_a_route_table_without_its_subnet(self):
        vpc = self.vpc()
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        subnet = self.subnet(vpc)
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.delete_route_table(RouteTableId=table)

    @about("template_tags_change", mode="plain")
    def test_the_tags_of_a_template(self):
        template = self.template()
        tags = [{"Key": "mine", "Value": "yes"}]
        self.ec2.create_tags(Resources=[template], Tags=tags)
        found = self.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
        self.assertEqual(found["Tags"], tags)

    @about("update_capacity_rebalance", mode="plain")
    def test_the_rebalancing_of_a_group(self):
        self.scaling_group([self.subnet(self.vpc())])
        self.autoscaling.update_auto_scaling_group(AutoScalingGroupName="nodes", CapacityRebalance=True)
        self.assertTrue(self.scaling_group_of()["CapacityRebalance"])


class Providers(EcsCase):
    @about("update_managed_draining", mode="plain")
    def test_the_draining_of_a_provider(self):
        self.cluster(size=0)
        self.ecs.update_capacity_provider(name="p", autoScalingGroupProvider={"managedDraining": "ENABLED"})
        found = self.ecs.describe_capacity_providers(capacityProviders=["p"])["capacityProviders"][0]
        self.assertEqual(found["autoScalingGroupProvider"]["managedDraining"], "ENABLED")

    @about("unknown_provider", mode="plain")
    def test_a_provider_that_is_not_there(self):
        with self.refused("ClientException"):
            self.ecs.delete_capacity_provider(capacityProvider="none")


# Else its tests would run here again.
del EcsCase

if __name__ == "__main__":
    unittest.main()
