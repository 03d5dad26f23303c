"""Errors, pages, quotas, logs, parameters, and the emulator's own functions."""

import json
import unittest
import urllib.request

from ground import ACCOUNT, COVERED, EmulatorCase, about, ask, client, given, pass_time, server


class Errors(EmulatorCase):
    @about("proper_errors", mode="plain")
    def test_what_is_not_implemented_has_a_code(self):
        with self.refused("InvalidAction"):
            self.ec2.create_instance_connect_endpoint(SubnetId="subnet-1")
        with self.refused("InvalidParameterValue"):
            self.ec2.describe_subnets(Filters=[{"Name": "no-such-filter", "Values": ["x"]}])
        with self.refused("UnknownOperationException"):
            self.quotas.request_service_quota_increase(ServiceCode="vpc", QuotaCode="L-F678F1CE", DesiredValue=9)


class Pages(EmulatorCase):
    @about("small_pages")
    def test_lists_are_in_pages(self):
        vpc = self.vpc()
        made = {self.subnet(vpc, number) for number in range(7)}
        mine = [{"Name": "vpc-id", "Values": [vpc]}]
        page = self.ec2.describe_subnets(Filters=mine)
        self.assertEqual(len(page["Subnets"]), 5)
        pages = self.ec2.get_paginator("describe_subnets").paginate(Filters=mine)
        self.assertEqual({each["SubnetId"] for page in pages for each in page["Subnets"]}, made)
        with self.refused("InvalidNextToken"):
            self.ec2.describe_subnets(Filters=mine, NextToken="other")

    @about("small_pages")
    def test_of_every_kind(self):
        ask("pages", size=1)
        self.ec2.create_key_pair(KeyName="k")
        for name in ("one", "two", "three"):
            self.role(name)
            self.ecs.create_cluster(clusterName=name)
        for service, call, key in (
            ("iam", "list_roles", "Roles"),
            ("ecs", "list_clusters", "clusterArns"),
            ("ec2", "describe_security_groups", "SecurityGroups"),
        ):
            first = getattr(client(service), call)()
            self.assertEqual(len(first[key]), 1, call)
            pages = client(service).get_paginator(call).paginate()
            self.assertGreaterEqual(sum(len(page[key]) for page in pages), 1 if service == "ec2" else 3, call)

    @given()
    def test_a_long_list_is_in_eight_parts(self):
        kinds = [page["InstanceTypes"] for page in self.ec2.get_paginator("describe_instance_types").paginate()]
        self.assertLessEqual(len(kinds), 9)
        self.assertGreater(sum(map(len, kinds)), 1000)


class Quotas(EmulatorCase):
    @about("quotas")
    def test_vpcs(self):
        for number in range(4):
            self.vpc(f"10.{number}.0.0/16", gateway=False)
        with self.refused("VpcLimitExceeded"):
            self.vpc("10.9.0.0/16", gateway=False)

    @about("quotas")
    def test_the_others(self):
        ask("quotas", **dict.fromkeys(["L-0263D0A3", "L-A4707A72", "L-FE5A380F", "L-69A177A2"], 1))
        subnet = self.subnet(self.vpc())
        self.nat(subnet)
        with self.refused("AddressLimitExceeded"):
            self.address()
        with self.refused("InternetGatewayLimitExceeded"):
            self.ec2.create_internet_gateway()
        ask("quotas", **{"L-0263D0A3": 2})
        with self.refused("NatGatewayLimitExceeded"):
            self.nat(subnet)
        self.balancer([subnet])
        with self.refused("TooManyLoadBalancers"):
            self.balancer([subnet], "second")
        ask("quotas", **{"L-1216C47A": 1})
        with self.refused("VcpuLimitExceeded"):
            self.instance(subnet)

    @about("service_quotas", mode="plain")
    def test_service_quotas_says_them(self):
        ask("quotas", **{"L-1216C47A": 7})
        for service, code, value in (("vpc", "L-F678F1CE", 5), ("ec2", "L-1216C47A", 7), ("ec2", "L-0263D0A3", 5)):
            found = self.quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
            self.assertEqual(found["Value"], value)
        with self.refused("NoSuchResourceException"):
            self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")
        listed = self.quotas.list_aws_default_service_quotas(ServiceCode="elasticloadbalancing")["Quotas"]
        self.assertIn("L-69A177A2", [each["QuotaCode"] for each in listed])

    @about("list_service_quotas", mode="plain")
    def test_and_lists_them(self):
        listed = self.quotas.list_service_quotas(ServiceCode="vpc")["Quotas"]
        self.assertIn("L-F678F1CE", [each["QuotaCode"] for each in listed])


class Others(EmulatorCase):
    @about("retention_days")
    def test_days_of_retention(self):
        self.logs.create_log_group(logGroupName="g")
        with self.refused("InvalidParameterException"):
            self.logs.put_retention_policy(logGroupName="g", retentionInDays=29)
        self.logs.put_retention_policy(logGroupName="g", retentionInDays=30)

    @about("public_images", mode="plain")
    def test_images_of_others_have_parameters(self):
        for name in (
            "/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id",
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        ):
            image = self.ssm.get_parameter(Name=name)["Parameter"]["Value"]
            self.assertEqual(len(self.ec2.describe_images(ImageIds=[image])["Images"]), 1)

    @about("parameter_text", mode="plain")
    def test_parameters_are_text(self):
        name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended"
        value = json.loads(self.ssm.get_parameter(Name=name)["Parameter"]["Value"])
        self.assertEqual(len(self.ec2.describe_images(ImageIds=[value["image_id"]])["Images"]), 1)


class Control(EmulatorCase):
    @given()
    def test_calls_are_recorded(self):
        last = ask("counts")["last"]
        self.vpc(gateway=False)
        self.ec2.describe_vpcs()
        with self.refused("InvalidVpcID.NotFound"):
            self.ec2.delete_vpc(VpcId="vpc-0123456789abcdef0")
        calls = ask("calls", since=last)["calls"]
        self.assertEqual([call["action"] for call in calls], ["CreateVpc", "DescribeVpcs", "DeleteVpc"])
        self.assertEqual(calls[2]["code"], "InvalidVpcID.NotFound")
        self.assertEqual(calls[0]["principal"], f"arn:aws:iam::{ACCOUNT}:user/emulator-admin")
        self.assertEqual(ask("counts", since=last)["mutating"], {"ec2:CreateVpc": 1})

    @given()
    def test_inventories_tell_what_is_left(self):
        before = ask("inventory")
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        self.nat(subnet)
        self.instance(subnet, IamInstanceProfile={"Name": self.profile()})
        self.balancer([subnet])
        self.bucket()
        self.logs.create_log_group(logGroupName="g")
        after = ask("inventory")
        new = {kind: len(items) - len(before[kind]) for kind, items in after.items() if items != before[kind]}
        expected = {
            "address": 1,
            "bucket": 1,
            "instance": 1,
            "instance_profile": 1,
            "internet_gateway": 1,
            "load_balancer": 1,
            "log_group": 1,
            "nat_gateway": 1,
            "network_acl": 1,
            "network_interface": 3,
            "role": 1,
            "route_table": 1,
            "security_group": 1,
            "service_linked_role": 1,
            "subnet": 1,
            "volume": 1,
            "vpc": 1,
        }
        self.assertEqual(new, expected)

    @given()
    def test_text_is_found_wherever_it_is(self):
        needle = "a-secret-of-some-length"
        self.assertEqual(ask("search", needles=[needle]), [])
        self.bucket()
        self.s3.put_object(Bucket="bucket-of-tests", Key="k", Body=f"x{needle}y".encode())
        self.ssm.put_parameter(Name="p", Value=needle, Type="String")
        import base64

        self.template(UserData=base64.b64encode(f"#! {needle}".encode()).decode())
        self.ecs.register_task_definition(
            family="f",
            containerDefinitions=[
                {"name": "a", "image": "i", "memory": 9, "environment": [{"name": "S", "value": needle}]}
            ],
        )
        found = {path.partition("/")[0] for path in ask("search", needles=[needle])}
        self.assertEqual(found, {"s3", "ssm", "ec2", "ecs"})
        secret = server().welcome["admin"]["secret_access_key"]
        self.assertEqual(ask("search", needles=[secret]), [])

    @given()
    def test_unknown_names_are_errors(self):
        for name, parameters in (("delays", {"x": 1}), ("rules", {"disable": ["x"]}), ("quotas", {"x": 1})):
            with self.assertRaises(AssertionError):
                ask(name, **parameters)

    @given(nat_create=100)
    def test_reset_forgets_what_is_pending(self):
        self.nat(self.subnet(self.vpc()))
        ask("reset")
        self.assertEqual(ask("advance", seconds=0)["pending"], 0)
        pass_time(200)

    @given()
    def test_connections_are_kept(self):
        with urllib.request.urlopen(f"{server().endpoint}/_cortex/welcome") as reply:
            self.assertEqual(reply.version, 11)


class Book(EmulatorCase):
    def test_every_rule_has_a_test(self):
        import test_balancers
        import test_ecs
        import test_groups
        import test_identity
        import test_instances
        import test_network
        import test_provisioning
        import test_s3

        modules = [
            test_balancers, test_ecs, test_groups, test_identity, test_instances, test_network, test_provisioning,
            test_s3,
        ]  # fmt: skip
        self.assertTrue(all(modules))
        rules = {rule["name"] for rule in ask("rules")}
        self.assertEqual(sorted(rules - COVERED), [])


if __name__ == "__main__":
    unittest.main()


class Prices(EmulatorCase):
    def test_products_are_found_by_all_attributes(self):
        pricing = client("pricing")
        attributes = {"productFamily": "NAT Gateway", "regionCode": "us-east-1", "usagetype": "NatGateway-Hours"}
        ask("prices", service="AmazonEC2", attributes=attributes, usd="0.045")

        def found(**wanted):
            filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
            return pricing.get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]

        self.assertEqual(found(productFamily="NAT Gateway", regionCode="eu-west-1"), [])
        (document,) = found(productFamily="NAT Gateway", regionCode="us-east-1")
        (offer,) = json.loads(document)["terms"]["OnDemand"].values()
        (price,) = offer["priceDimensions"].values()
        self.assertEqual(price["pricePerUnit"], {"USD": "0.045"})
