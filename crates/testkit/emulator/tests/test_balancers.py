"""Load balancers, listeners, target groups, certificates."""

import datetime
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ground import EmulatorCase, about, ask, given, pass_time


def pem_key(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate():
    """A certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), pem_key(key)


class BalancerCase(EmulatorCase):
    def ground(self):
        vpc = self.vpc()
        return vpc, [self.subnet(vpc, 0, "a"), self.subnet(vpc, 1, "b")]

    def arn(self, subnets, name="balancer", **more):
        return self.balancer(subnets, name, **more)["LoadBalancerArn"]

    def imported(self):
        body, key = certificate()
        return self.acm.import_certificate(Certificate=body, PrivateKey=key)["CertificateArn"]


class Balancers(BalancerCase):
    @about("network_names", mode="plain")
    def test_arns_and_names_of_network_load_balancers(self):
        vpc, subnets = self.ground()
        made = self.balancer(subnets, Scheme="internet-facing", Tags=[{"Key": "mine", "Value": "yes"}])
        self.assertIn(":loadbalancer/net/balancer/", made["LoadBalancerArn"])
        self.assertRegex(made["DNSName"], r"^balancer-[0-9a-f]{16}\.elb\.us-east-1\.amazonaws\.com$")
        listener = self.listener(made["LoadBalancerArn"], self.target_group(vpc))
        self.assertIn(":listener/net/balancer/", listener["ListenerArn"])
        tags = self.elbv2.describe_tags(ResourceArns=[made["LoadBalancerArn"]])["TagDescriptions"][0]["Tags"]
        self.assertEqual(tags, [{"Key": "mine", "Value": "yes"}])

    @about("network_names", mode="plain")
    def test_a_scheme_not_given_is_internet_facing(self):
        made = self.elbv2.create_load_balancer(Name="b", Type="network", Subnets=self.ground()[1])
        self.assertEqual(made["LoadBalancers"][0].get("Scheme"), "internet-facing")

    @about("balancer_pending", elb_create=150)
    def test_a_new_one_is_provisioning(self):
        made = self.balancer(self.ground()[1])
        self.assertEqual(made["State"]["Code"], "provisioning")
        for seconds, state in ((149, "provisioning"), (2, "active")):
            pass_time(seconds)
            found = self.elbv2.describe_load_balancers(Names=["balancer"])["LoadBalancers"][0]
            self.assertEqual(found["State"]["Code"], state)

    @about("balancer_names")
    def test_one_of_a_name(self):
        _, subnets = self.ground()
        once = self.arn(subnets)
        self.assertEqual(self.arn(subnets), once)
        with self.refused("DuplicateLoadBalancerName"):
            self.balancer(subnets[:1])

    @about("balancer_names")
    def test_names_are_short(self):
        _, subnets = self.ground()
        for name in ("x" * 33, "a_b", "-a", "internal-a"):
            with self.refused("ValidationError"):
                self.balancer(subnets, name)

    @about("balancer_network")
    def test_subnets_groups_and_scheme(self):
        vpc, subnets = self.ground()
        other = self.vpc("10.1.0.0/16", gateway=False)
        with self.refused("InvalidConfigurationRequest"):
            self.balancer([subnets[0], self.subnet(vpc, 2, "a")])
        with self.refused("InvalidConfigurationRequest"):
            self.balancer(subnets, SecurityGroups=[self.group(other)])
        with self.refused("ValidationError"):
            self.balancer(subnets, Scheme="public")
        with self.refused("ValidationError"):
            self.balancer(subnets[:1], Type="application")
        self.arn(subnets[:1])

    @about("balancer_network")
    def test_internet_facing_needs_a_gateway(self):
        vpc = self.vpc(gateway=False)
        with self.refused("InvalidSubnet"):
            self.balancer([self.subnet(vpc)], Scheme="internet-facing")

    @about("groups_from_the_start")
    def test_groups_come_at_the_start_or_never(self):
        vpc, subnets = self.ground()
        arn = self.arn(subnets)
        with self.refused("InvalidConfigurationRequest"):
            self.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[self.group(vpc)])

    @about("deletion_protection")
    def test_a_protected_one_stays(self):
        arn = self.arn(self.ground()[1])
        on = [{"Key": "deletion_protection.enabled", "Value": "true"}]
        self.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=on)
        with self.refused("OperationNotPermitted"):
            self.elbv2.delete_load_balancer(LoadBalancerArn=arn)


class Interfaces(BalancerCase):
    def mine(self):
        found = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in found if each["Description"].startswith("ELB net/balancer/")]

    @about("balancer_interfaces", elb_interfaces=60)
    def test_they_outlive_it_for_a_while(self):
        vpc, subnets = self.ground()
        arn = self.arn(subnets, SecurityGroups=[self.group(vpc)])
        self.assertEqual({each["SubnetId"] for each in self.mine()}, set(subnets))
        self.elbv2.delete_load_balancer(LoadBalancerArn=arn)
        with self.refused("DependencyViolation"):
            self.ec2.delete_subnet(SubnetId=subnets[0])
        pass_time(61)
        self.assertEqual(self.mine(), [])
        self.ec2.delete_subnet(SubnetId=subnets[0])

    @about("balancer_interfaces")
    def test_they_have_its_groups_and_subnets(self):
        vpc, subnets = self.ground()
        arn = self.arn(subnets, SecurityGroups=[self.group(vpc, "a")])
        other = self.group(vpc, "b")
        self.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[other])
        more = [*subnets, self.subnet(vpc, 2, "c")]
        self.elbv2.set_subnets(LoadBalancerArn=arn, Subnets=more)
        self.assertEqual({each["SubnetId"] for each in self.mine()}, set(more))
        self.assertIn(other, [group["GroupId"] for each in self.mine() for group in each["Groups"]])

    @about("interface_in_use")
    def test_users_do_not_delete_them(self):
        self.instance(self.subnet(self.vpc()))
        interface = self.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
        with self.refused("InvalidParameterValue"):
            self.ec2.delete_network_interface(NetworkInterfaceId=interface)


class Listeners(BalancerCase):
    @about("policy_of_tls_only", mode="plain")
    def test_a_tcp_listener_has_no_tls_policy(self):
        vpc, subnets = self.ground()
        self.assertNotIn("SslPolicy", self.listener(self.arn(subnets), self.target_group(vpc)))

    @about("modify_network_listener", mode="plain")
    def test_a_listener_becomes_tls(self):
        vpc, subnets = self.ground()
        listener = self.listener(self.arn(subnets), self.target_group(vpc))["ListenerArn"]
        arn = self.imported()
        changed = self.elbv2.modify_listener(
            ListenerArn=listener,
            Protocol="TLS",
            SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
            Certificates=[{"CertificateArn": arn}],
            AlpnPolicy=["HTTP2Preferred"],
        )["Listeners"][0]
        self.assertEqual(changed["Protocol"], "TLS")
        self.assertEqual(changed["AlpnPolicy"], ["HTTP2Preferred"])
        found = self.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]
        self.assertEqual(found["Certificates"], [{"CertificateArn": arn}])
        self.assertEqual(found["SslPolicy"], "ELBSecurityPolicy-TLS13-1-2-2021-06")

    @about("listener_ports")
    def test_one_on_a_port(self):
        vpc, subnets = self.ground()
        arn, group = self.arn(subnets), self.target_group(vpc)
        self.listener(arn, group)
        with self.refused("DuplicateListener"):
            self.listener(arn, group)

    @about("listener_certificates")
    def test_tls_needs_a_certificate(self):
        vpc, subnets = self.ground()
        arn, group = self.arn(subnets), self.target_group(vpc)
        with self.refused("ValidationError"):
            self.listener(arn, group, Protocol="TLS")
        mine = [{"CertificateArn": self.imported()}]
        with self.refused("SSLPolicyNotFound"):
            self.listener(arn, group, Protocol="TLS", Certificates=mine, SslPolicy="None-Such")
        self.listener(arn, group, Protocol="TLS", Certificates=mine)

    @about("listener_targets")
    def test_targets_have_to_fit(self):
        vpc, subnets = self.ground()
        arn, group = self.arn(subnets), self.target_group(vpc)
        other = self.target_group(self.vpc("10.1.0.0/16"), "other")
        with self.refused("InvalidConfigurationRequest"):
            self.listener(arn, other)
        with self.refused("InvalidConfigurationRequest"):
            self.listener(arn, group, Protocol="UDP")
        self.listener(arn, group)
        with self.refused("TargetGroupAssociationLimit"):
            self.listener(self.arn(subnets, "second"), group)


class TargetGroups(BalancerCase):
    @about("balancers_of_groups", mode="plain")
    def test_who_forwards_to_it(self):
        vpc, subnets = self.ground()
        arn, group = self.arn(subnets), self.target_group(vpc)
        listeners = [self.listener(arn, group, port)["ListenerArn"] for port in (80, 443)]

        def balancers():
            found = self.elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
            return found["LoadBalancerArns"]

        self.assertEqual(balancers(), [arn])
        self.elbv2.delete_listener(ListenerArn=listeners[0])
        self.assertEqual(balancers(), [arn])
        self.elbv2.delete_listener(ListenerArn=listeners[1])
        self.assertEqual(balancers(), [])

    @about("target_group_names")
    def test_the_same_again_is_the_same(self):
        vpc = self.vpc()
        once = self.target_group(vpc)
        self.assertEqual(self.target_group(vpc), once)
        with self.refused("DuplicateTargetGroupName"):
            self.target_group(vpc, Port=444)

    @about("target_health", target_health=100)
    def test_health_takes_a_while(self):
        vpc, subnets = self.ground()
        group, instance = self.target_group(vpc), self.instance(subnets[0])
        self.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])

        def state():
            found = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            return found[0]["TargetHealth"]["State"]

        self.assertEqual(state(), "unused")
        self.listener(self.arn(subnets), group)
        self.assertEqual(state(), "initial")
        pass_time(101)
        self.assertEqual(state(), "healthy")
        ask("targets/health", target_group="targets", target=instance, state="unhealthy", reason="Target.Timeout")
        self.assertEqual(state(), "unhealthy")

    @about("reported_health", mode="plain")
    def test_health_is_what_was_reported(self):
        vpc, subnets = self.ground()
        group, instance = self.target_group(vpc), self.instance(subnets[0])
        self.listener(self.arn(subnets), group)

        def state():
            found = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            return found[0]["TargetHealth"]["State"]

        targets = [{"Id": instance}]
        self.elbv2.register_targets(TargetGroupArn=group, Targets=targets)
        ask("agents/mode", mode="nodes")
        self.assertEqual(state(), "initial")
        for found in ("healthy", "unhealthy"):
            ask("targets/health", target_group="targets", target=instance, state=found)
            self.assertEqual(state(), found)
        self.elbv2.deregister_targets(TargetGroupArn=group, Targets=targets)
        self.elbv2.register_targets(TargetGroupArn=group, Targets=targets)
        self.assertEqual(state(), "initial")
        self.assertEqual([each["port"] for each in ask("balancers")["listeners"]], [443])


class Certificates(BalancerCase):
    @about("certificate_in_use")
    def test_one_in_use_stays(self):
        vpc, subnets = self.ground()
        arn = self.imported()
        self.listener(self.arn(subnets), self.target_group(vpc), Protocol="TLS", Certificates=[{"CertificateArn": arn}])
        with self.refused("ResourceInUseException"):
            self.acm.delete_certificate(CertificateArn=arn)

    @about("key_of_certificate")
    def test_the_key_is_its_own(self):
        (body, _), (_, key) = certificate(), certificate()
        with self.refused("ValidationException"):
            self.acm.import_certificate(Certificate=body, PrivateKey=key)

    @given()
    def test_a_good_one_is_taken(self):
        self.assertIn(":certificate/", self.imported())


if __name__ == "__main__":
    unittest.main()
