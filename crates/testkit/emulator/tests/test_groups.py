"""Security groups."""

import unittest

from ground import EmulatorCase, about, given, pass_time

TEXT = "from the load balancer"


def pair(group, **more):
    return {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group, **more}]}


class Groups(EmulatorCase):
    def rules(self, group):
        found = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        return [rule for rule in found["SecurityGroupRules"] if not rule["IsEgress"]]

    def admit(self, group, rule):
        return self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    @about("group_in_use")
    def test_a_group_of_an_instance_stays(self):
        vpc = self.vpc()
        group = self.group(vpc)
        self.instance(self.subnet(vpc), SecurityGroupIds=[group])
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=group)

    @about("group_in_use")
    def test_a_group_that_a_rule_names_stays(self):
        vpc = self.vpc()
        group, other = self.group(vpc, "a"), self.group(vpc, "b")
        self.admit(other, pair(group))
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=group)
        self.ec2.delete_security_group(GroupId=other)
        self.ec2.delete_security_group(GroupId=group)

    @given(elb_interfaces=60)
    def test_a_group_of_a_deleted_balancer_stays_for_a_while(self):
        vpc = self.vpc()
        group = self.group(vpc)
        balancer = self.balancer([self.subnet(vpc)], SecurityGroups=[group])
        self.elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
        with self.refused("DependencyViolation"):
            self.ec2.delete_security_group(GroupId=group)
        pass_time(61)
        self.ec2.delete_security_group(GroupId=group)

    @about("default_group_stays")
    def test_the_default_group_stays(self):
        groups = self.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.vpc()]}])
        with self.refused("CannotDelete"):
            self.ec2.delete_security_group(GroupId=groups["SecurityGroups"][0]["GroupId"])

    @about("default_group", mode="plain")
    def test_the_default_group_admits_itself(self):
        groups = self.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.vpc()]}])
        group = groups["SecurityGroups"][0]
        pairs = group["IpPermissions"][0]["UserIdGroupPairs"]
        self.assertEqual([each["GroupId"] for each in pairs], [group["GroupId"]])
        self.ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
        self.assertEqual(self.rules(group["GroupId"]), [])

    @about("rule_descriptions", mode="plain")
    def test_rules_about_groups_have_descriptions(self):
        vpc = self.vpc()
        group, other = self.group(vpc, "a"), self.group(vpc, "b")
        self.admit(group, pair(other, Description=TEXT))
        self.assertEqual([rule["Description"] for rule in self.rules(group)], [TEXT])
        with self.refused("InvalidPermission.Duplicate"):
            self.admit(group, pair(other, Description="another text"))
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[pair(other)])
        self.assertEqual(self.rules(group), [])

    @about("rule_descriptions", mode="plain")
    def test_rules_about_prefix_lists_have_descriptions(self):
        group = self.group(self.vpc())
        prefix_list = self.ec2.describe_managed_prefix_lists()["PrefixLists"][0]["PrefixListId"]
        item = {"PrefixListId": prefix_list, "Description": TEXT}
        self.admit(group, {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [item]})
        self.assertEqual(self.rules(group)[0]["Description"], TEXT)
        found = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        self.assertEqual(found["IpPermissions"][0]["PrefixListIds"], [item])

    @about("all_rules_answered", mode="plain")
    def test_every_new_rule_is_answered(self):
        group = self.group(self.vpc())
        rules = [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
            for port in (80, 443)
        ]
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
        self.assertEqual([rule["FromPort"] for rule in made["SecurityGroupRules"]], [80, 443])

    @about("group_texts")
    def test_texts_are_of_some_characters(self):
        vpc = self.vpc()
        with self.refused("InvalidParameterValue"):
            self.ec2.create_security_group(GroupName="a", Description="wörker", VpcId=vpc)
        with self.refused("InvalidVpcID.NotFound"):
            self.group("vpc-0123456789abcdef0")
        with self.refused("InvalidParameterValue"):
            self.admit(self.group(vpc), pair(self.group(vpc, "b"), Description="<b>"))

    @about("group_of_same_vpc")
    def test_a_rule_names_groups_of_its_vpc(self):
        group, other = self.group(self.vpc()), self.group(self.vpc("10.1.0.0/16", gateway=False))
        with self.refused("InvalidGroup.NotFound"):
            self.admit(group, pair(other))


if __name__ == "__main__":
    unittest.main()
