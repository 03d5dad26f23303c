"""Instances, launch templates, Auto Scaling groups."""

import base64
import unittest

from ground import EmulatorCase, about, ask, given, pass_time

IMDS = {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}


def user_data(text):
    return base64.b64encode(text.encode()).decode()


class Instances(EmulatorCase):
    @about("instance_starts", instance_start=20)
    def test_it_is_pending_first(self):
        instance = self.instance(self.subnet(self.vpc()))
        self.assertEqual(self.state_of(instance), "pending")
        pass_time(21)
        self.assertEqual(self.state_of(instance), "running")

    @about("instance_stops", instance_stop=40)
    def test_it_shuts_down_before_it_is_gone(self):
        subnet = self.subnet(self.vpc())
        instance = self.instance(subnet)
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.assertEqual(self.state_of(instance), "shutting-down")
        with self.refused("DependencyViolation"):
            self.ec2.delete_subnet(SubnetId=subnet)
        pass_time(41)
        self.assertEqual(self.state_of(instance), "terminated")
        self.ec2.delete_subnet(SubnetId=subnet)

    @about("terminated_interfaces", mode="plain")
    def test_a_terminated_one_leaves_no_interface(self):
        subnet = self.subnet(self.vpc())
        before = ask("inventory")
        self.ec2.terminate_instances(InstanceIds=[self.instance(subnet)])
        self.assertEqual(ask("inventory"), before)

    @about("termination_protection")
    def test_a_protected_one_stays(self):
        instance = self.instance(self.subnet(self.vpc()), DisableApiTermination=True)
        with self.refused("OperationNotPermitted"):
            self.ec2.terminate_instances(InstanceIds=[instance])

    @about("launch_checks")
    def test_image_type_and_groups_have_to_fit(self):
        subnet = self.subnet(self.vpc())
        with self.refused("InvalidAMIID.NotFound"):
            self.instance(subnet, ImageId="ami-0123456789abcdef0")
        with self.refused("InvalidParameterValue"):
            self.instance(subnet, InstanceType="t9.huge")
        with self.refused("InvalidParameterValue"):
            self.instance(subnet, ImageId=self.image("arm64"))
        with self.refused("InvalidParameter"):
            self.instance(subnet, SecurityGroupIds=[self.group(self.vpc("10.1.0.0/16"))])

    @about("maximum_count", mode="plain")
    def test_as_many_as_there_is_room_for(self):
        subnet = self.subnet(self.vpc())
        made = self.ec2.run_instances(
            SubnetId=subnet, ImageId=self.image(), InstanceType="t3.small", MinCount=1, MaxCount=3
        )
        self.assertEqual(len(made["Instances"]), 3)

    @about("root_device", mode="plain")
    def test_the_disk_is_the_images(self):
        instance = self.instance(self.subnet(self.vpc()))
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        self.assertEqual([disk["DeviceName"] for disk in found["BlockDeviceMappings"]], ["/dev/xvda"])

    @about("profile_is_ready", "propagation", iam_propagation=8)
    def test_a_new_profile_is_seen_after_a_while(self):
        subnet, profile = self.subnet(self.vpc()), {"Name": self.profile()}
        with self.refused("InvalidParameterValue"):
            self.instance(subnet, IamInstanceProfile=profile)
        pass_time(9)
        self.instance(subnet, IamInstanceProfile=profile)

    @about("profile_is_ready")
    def test_a_profile_has_a_role(self):
        self.iam.create_instance_profile(InstanceProfileName="empty")
        with self.refused("InvalidParameterValue"):
            self.instance(self.subnet(self.vpc()), IamInstanceProfile={"Name": "empty"})

    @about("idempotency")
    def test_a_client_token_makes_one(self):
        subnet = self.subnet(self.vpc())
        once = self.instance(subnet, ClientToken="token")
        self.assertEqual(self.instance(subnet, ClientToken="token"), once)
        with self.refused("IdempotentParameterMismatch"):
            self.instance(subnet, ClientToken="token", InstanceType="t3.large")

    @about("idempotency")
    def test_a_client_token_makes_one_nat_gateway(self):
        subnet, allocation = self.subnet(self.vpc()), self.address()
        given = {"SubnetId": subnet, "AllocationId": allocation, "ClientToken": "token"}
        made = [self.ec2.create_nat_gateway(**given)["NatGateway"]["NatGatewayId"] for _ in range(2)]
        self.assertEqual(made[0], made[1])


class LaunchTemplates(EmulatorCase):
    def latest(self, template):
        found = self.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Latest"])
        return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]

    @about("source_version", mode="plain")
    def test_a_version_from_another_has_its_data(self):
        template = self.template(UserData=user_data("one"))
        self.ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
        )
        data = self.latest(template)
        self.assertEqual((data["ImageId"], data["InstanceType"]), (self.image(), "t3.large"))
        self.assertEqual(data["UserData"], user_data("one"))

    @about("template_tags", mode="plain")
    def test_its_own_tags_are_not_in_its_data(self):
        tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "mine", "Value": "yes"}]}]
        made = self.ec2.create_launch_template(
            LaunchTemplateName="nodes", LaunchTemplateData={"InstanceType": "t3.small"}, TagSpecifications=tags
        )["LaunchTemplate"]
        self.assertEqual(made["Tags"], [{"Key": "mine", "Value": "yes"}])
        self.assertFalse(self.latest(made["LaunchTemplateId"]).get("TagSpecifications"))

    @about("unknown_templates", mode="plain")
    def test_an_unknown_one_is_an_error(self):
        with self.refused("InvalidLaunchTemplateId.NotFound"):
            self.ec2.describe_launch_templates(LaunchTemplateIds=["lt-0123456789abcdef0"])

    @about("template_checks")
    def test_user_data_has_16_kb(self):
        with self.refused("InvalidUserData.Malformed"):
            self.template(UserData=user_data("x" * 16500))
        with self.refused("InvalidLaunchTemplateName.MalformedException"):
            self.template("a b")

    @about("launch_from_template", mode="plain")
    def test_an_instance_has_all_that_it_says(self):
        vpc = self.vpc()
        group = self.group(vpc)
        disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": True}}
        template = self.template(
            MetadataOptions=IMDS,
            IamInstanceProfile={"Name": self.profile()},
            BlockDeviceMappings=[disk],
            NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [group]}],
            TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "mine", "Value": "yes"}]}],
        )
        made = self.ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": template}, SubnetId=self.subnet(vpc), MinCount=1, MaxCount=1
        )["Instances"][0]["InstanceId"]
        found = self.ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]
        self.assertEqual(found["MetadataOptions"]["HttpTokens"], "required")
        self.assertTrue(found["IamInstanceProfile"]["Arn"].endswith("/node"))
        self.assertEqual([each["GroupId"] for each in found["NetworkInterfaces"][0]["Groups"]], [group])
        self.assertIn("PublicIpAddress", found)
        self.assertEqual([each["DeviceName"] for each in found["BlockDeviceMappings"]], ["/dev/xvda"])
        volume = self.ec2.describe_volumes()["Volumes"][0]
        self.assertEqual((volume["Size"], volume["Encrypted"]), (30, True))
        self.assertEqual(volume["Tags"], [{"Key": "mine", "Value": "yes"}])


class ScalingGroups(EmulatorCase):
    def subnets(self):
        vpc = self.vpc()
        return [self.subnet(vpc, number, zone) for number, zone in enumerate("abc")]

    def instances(self, name="nodes"):
        ids = [each["InstanceId"] for each in self.scaling_group_of(name)["Instances"]]
        found = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    @about("spread_over_zones", mode="plain")
    def test_instances_are_spread_and_launched_from_the_version(self):
        template = self.template(MetadataOptions=IMDS)
        version = {"ImageId": self.image(), "InstanceType": "t3.large"}
        self.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=version)
        subnets = self.subnets()
        self.scaling_group(
            subnets,
            DesiredCapacity=3,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "2"},
            Tags=[{"Key": "mine", "Value": "yes", "PropagateAtLaunch": True}],
        )
        instances = self.instances()
        self.assertEqual({each["SubnetId"] for each in instances}, set(subnets))
        self.assertEqual({each["InstanceType"] for each in instances}, {"t3.large"})
        self.assertIn({"Key": "mine", "Value": "yes"}, instances[0]["Tags"])
        versions = {each["LaunchTemplate"]["Version"] for each in self.scaling_group_of()["Instances"]}
        self.assertEqual(versions, {"2"})

    @about("spread_over_zones", mode="plain")
    def test_spot_by_the_policy(self):
        template = {"LaunchTemplateId": self.template(), "Version": "$Latest"}
        distribution = {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0}
        policy = {
            "LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": [{"InstanceType": "t3.large"}]},
            "InstancesDistribution": distribution,
        }
        self.scaling_group(self.subnets(), DesiredCapacity=3, MixedInstancesPolicy=policy)
        kinds = sorted(each.get("InstanceLifecycle", "on-demand") for each in self.instances())
        self.assertEqual(kinds, ["on-demand", "spot", "spot"])

    @about("keep_the_template", mode="plain")
    def test_an_update_of_sizes_keeps_the_policy(self):
        template = {"LaunchTemplateId": self.template(), "Version": "$Latest"}
        policy = {"LaunchTemplate": {"LaunchTemplateSpecification": template}}
        self.scaling_group(self.subnets(), MixedInstancesPolicy=policy)
        self.autoscaling.update_auto_scaling_group(AutoScalingGroupName="nodes", MaxSize=7)
        self.assertIn("MixedInstancesPolicy", self.scaling_group_of())

    @about("zones_once", mode="plain")
    def test_each_zone_once(self):
        vpc = self.vpc()
        group = self.scaling_group([self.subnet(vpc, 0), self.subnet(vpc, 1)])
        self.assertEqual(group["AvailabilityZones"], ["us-east-1a"])

    @about("scale_in", mode="plain")
    def test_what_goes_leaves_its_target_group(self):
        subnets = self.subnets()
        vpc = self.ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
        group = self.target_group(vpc)
        self.scaling_group(subnets, DesiredCapacity=3, TargetGroupARNs=[group])
        self.autoscaling.set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=1)
        left = self.scaling_group_of()["Instances"][0]["InstanceId"]
        targets = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertEqual([each["Target"]["Id"] for each in targets], [left])

    @about("policy_arn", mode="plain")
    def test_a_policy_has_an_arn(self):
        self.scaling_group(self.subnets())
        made = self.autoscaling.put_scaling_policy(
            AutoScalingGroupName="nodes", PolicyName="p", AdjustmentType="ChangeInCapacity", ScalingAdjustment=1
        )
        self.assertIn(":scalingPolicy:", made["PolicyARN"])

    @about("scaling_activities", mode="plain")
    def test_launches_are_listed(self):
        self.scaling_group(self.subnets(), DesiredCapacity=2)
        found = self.autoscaling.describe_scaling_activities(AutoScalingGroupName="nodes")["Activities"]
        self.assertEqual([each["StatusCode"] for each in found], ["Successful", "Successful"])
        self.assertIn("i-", found[0]["Description"])

    @given()
    def test_a_launch_that_fails_is_an_activity(self):
        ask("quotas", **{"L-1216C47A": 2})
        self.scaling_group(self.subnets(), DesiredCapacity=2)
        found = self.autoscaling.describe_scaling_activities(AutoScalingGroupName="nodes")["Activities"]
        self.assertEqual(sorted(each["StatusCode"] for each in found), ["Failed", "Successful"])

    @about("scaling_group_exists")
    def test_one_of_a_name(self):
        subnets = self.subnets()
        group = self.scaling_group(subnets)
        with self.refused("AlreadyExists"):
            self.autoscaling.create_auto_scaling_group(
                AutoScalingGroupName="nodes",
                MinSize=0,
                MaxSize=1,
                VPCZoneIdentifier=subnets[0],
                LaunchTemplate={"LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"]},
            )

    @about("scaling_group_sizes")
    def test_sizes_are_in_order(self):
        subnets = self.subnets()
        with self.refused("ValidationError"):
            self.scaling_group(subnets, "other", DesiredCapacity=9)
        self.scaling_group(subnets)
        with self.refused("ValidationError"):
            self.autoscaling.set_desired_capacity(AutoScalingGroupName="nodes", DesiredCapacity=9)
        with self.refused("ValidationError"):
            self.autoscaling.update_auto_scaling_group(AutoScalingGroupName="nodes", MinSize=9)

    @about("scaling_group_template", iam_propagation=8)
    def test_the_template_can_launch(self):
        subnets = self.subnets()
        template = self.template(IamInstanceProfile={"Name": self.profile()})
        with self.refused("ValidationError"):
            self.scaling_group(subnets, LaunchTemplate={"LaunchTemplateId": template})
        pass_time(9)
        self.scaling_group(subnets, LaunchTemplate={"LaunchTemplateId": template})
        with self.refused("ValidationError"):
            self.scaling_group(subnets, "other", LaunchTemplate={"LaunchTemplateId": template, "Version": "7"})

    @about("scaling_group_in_use", group_delete=30)
    def test_one_with_instances_goes_by_force_and_slowly(self):
        self.scaling_group(self.subnets())
        with self.refused("ResourceInUse"):
            self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="nodes")
        self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="nodes", ForceDelete=True)
        self.assertEqual(self.scaling_group_of()["Status"], "Delete in progress")
        with self.refused("ScalingActivityInProgress"):
            self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="nodes", ForceDelete=True)
        pass_time(31)
        self.assertEqual(self.scaling_group_of(), {})

    @about("instance_lifecycle", instance_start=20)
    def test_instances_are_pending_first(self):
        subnets = self.subnets()
        vpc = self.ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
        group = self.target_group(vpc)
        self.scaling_group(subnets, TargetGroupARNs=[group])
        self.autoscaling.update_auto_scaling_group(AutoScalingGroupName="nodes", DesiredCapacity=1)
        states = [each["LifecycleState"] for each in self.scaling_group_of()["Instances"]]
        self.assertEqual(states, ["Pending"])
        pass_time(21)
        states = [each["LifecycleState"] for each in self.scaling_group_of()["Instances"]]
        self.assertEqual(states, ["InService"])
        targets = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertEqual(len(targets), 1)

    @about("replacements_are_targets", mode="plain")
    def test_what_replaces_a_lost_instance_is_a_target(self):
        vpc = self.vpc()
        targets = self.target_group(vpc)
        group = self.scaling_group([self.subnet(vpc)], TargetGroupARNs=[targets])
        lost = group["Instances"][0]["InstanceId"]
        self.ec2.terminate_instances(InstanceIds=[lost])
        new = self.scaling_group_of()["Instances"][0]["InstanceId"]
        self.assertNotEqual(new, lost)
        health = self.elbv2.describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]
        self.assertIn(new, [each["Target"]["Id"] for each in health])


if __name__ == "__main__":
    unittest.main()
