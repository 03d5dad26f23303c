"""What a cluster looks like by the account's own answers: `python topology.py CLUSTER`, with the account's environment.

Asked with AWS's own SDK for Python, which shares nothing with the product. One JSON document; everything that has the
cluster's tags is called by what it is for (`subnet/public/us-east-1a`), so that two runs give the same text.
"""

import json
import sys
from typing import Any

import boto3

CLUSTER_TAG = "cortex.dev/cluster-name"
RESOURCE_TAG = "cortex.dev/resource"
IMAGES = {
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": "Amazon Linux 2023",
    "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id": "Amazon Linux 2023 for ECS",
}

ec2, elb, s3, iam = (boto3.client(name) for name in ("ec2", "elbv2", "s3", "iam"))
scaling, ecs, logs, ssm = (boto3.client(name) for name in ("autoscaling", "ecs", "logs", "ssm"))


def pages(client: Any, operation: str, key: str, **asked: Any) -> list[dict[str, Any]]:
    return [item for page in client.get_paginator(operation).paginate(**asked) for item in page[key]]


class Topology:
    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        # Of ids and ARNs.
        self.names: dict[str, str] = {}

    def own(self, items: list[dict[str, Any]], id_key: str) -> dict[str, dict[str, Any]]:
        """Those with the cluster's tags, by name."""
        found = {}
        for item in items:
            tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
            if tags.get(CLUSTER_TAG) == self.cluster:
                self.names[item[id_key]] = tags[RESOURCE_TAG]
                assert tags[RESOURCE_TAG] not in found, f"two of {tags[RESOURCE_TAG]}"
                found[tags[RESOURCE_TAG]] = item
        return found

    def tagged_elb(self, items: list[dict[str, Any]], id_key: str) -> dict[str, dict[str, Any]]:
        for item in items:
            item["Tags"] = elb.describe_tags(ResourceArns=[item[id_key]])["TagDescriptions"][0]["Tags"]
        return self.own(items, id_key)

    def name(self, identifier: str) -> str:
        return self.names.get(identifier, identifier)

    def all_names(self, identifiers: list[str]) -> list[str]:
        return sorted(self.name(identifier) for identifier in identifiers)

    def picture(self) -> dict[str, Any]:
        vpcs = self.own(pages(ec2, "describe_vpcs", "Vpcs"), "VpcId")
        subnets = self.own(pages(ec2, "describe_subnets", "Subnets"), "SubnetId")
        self.own(pages(ec2, "describe_internet_gateways", "InternetGateways"), "InternetGatewayId")
        self.own(ec2.describe_addresses()["Addresses"], "AllocationId")
        nats = [nat for nat in pages(ec2, "describe_nat_gateways", "NatGateways") if nat["State"] != "deleted"]
        nats_by_name = self.own(nats, "NatGatewayId")
        self.own(pages(ec2, "describe_route_tables", "RouteTables"), "RouteTableId")
        endpoints = self.own(pages(ec2, "describe_vpc_endpoints", "VpcEndpoints"), "VpcEndpointId")
        groups = self.own(pages(ec2, "describe_security_groups", "SecurityGroups"), "GroupId")
        balancers = self.tagged_elb(pages(elb, "describe_load_balancers", "LoadBalancers"), "LoadBalancerArn")
        targets = self.tagged_elb(pages(elb, "describe_target_groups", "TargetGroups"), "TargetGroupArn")
        templates = self.own(pages(ec2, "describe_launch_templates", "LaunchTemplates"), "LaunchTemplateId")
        vpc_ids = [vpc["VpcId"] for vpc in vpcs.values()]
        return {
            "vpc": [self.vpc(vpc) for vpc in vpcs.values()],
            "subnets": {name: self.subnet(subnet) for name, subnet in subnets.items()},
            "nat gateways": {name: self.nat(nat) for name, nat in nats_by_name.items()},
            "vpc endpoints": {name: self.endpoint(endpoint) for name, endpoint in endpoints.items()},
            "security groups": {name: self.group(group) for name, group in groups.items()},
            "security groups nobody asked for": [
                self.group(group)
                for group in pages(ec2, "describe_security_groups", "SecurityGroups")
                if group["VpcId"] in vpc_ids and group["GroupId"] not in self.names
            ],
            "load balancers": {name: self.balancer(balancer) for name, balancer in balancers.items()},
            "target groups": {name: self.target_group(group) for name, group in targets.items()},
            "launch templates": {name: self.template(template) for name, template in templates.items()},
            "auto scaling groups": self.scaling_groups(),
            "instances": self.instances(),
            "roles": self.roles(),
            "bucket": self.buckets(),
            "log group": self.log_groups(),
            "ecs": self.ecs_clusters(),
        }

    def vpc(self, vpc: dict[str, Any]) -> dict[str, Any]:
        def attribute(name: str, key: str) -> bool:
            return ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=name)[key]["Value"]

        return {
            "cidr": vpc["CidrBlock"],
            "dns support": attribute("enableDnsSupport", "EnableDnsSupport"),
            "dns host names": attribute("enableDnsHostnames", "EnableDnsHostnames"),
        }

    def subnet(self, subnet: dict[str, Any]) -> dict[str, Any]:
        tables = pages(ec2, "describe_route_tables", "RouteTables")
        associated = [
            table
            for table in tables
            if any(association.get("SubnetId") == subnet["SubnetId"] for association in table["Associations"])
        ]
        main = [
            table
            for table in tables
            if table["VpcId"] == subnet["VpcId"] and any(a.get("Main") for a in table["Associations"])
        ]
        (table,) = associated or main
        return {
            "zone": subnet["AvailabilityZone"],
            "cidr": subnet["CidrBlock"],
            "gives public addresses": subnet["MapPublicIpOnLaunch"],
            "routes": sorted(self.route(route) for route in table["Routes"]),
        }

    def route(self, route: dict[str, Any]) -> str:
        to = route.get("DestinationCidrBlock") or self.prefix_list(route["DestinationPrefixListId"])
        via = route.get("NatGatewayId") or route.get("GatewayId") or "nowhere"
        state = "" if route["State"] == "active" else f" ({route['State']})"
        return f"{to} via {self.name(via)}{state}"

    def prefix_list(self, identifier: str) -> str:
        (found,) = ec2.describe_managed_prefix_lists(PrefixListIds=[identifier])["PrefixLists"]
        return found["PrefixListName"]

    def nat(self, nat: dict[str, Any]) -> dict[str, Any]:
        addresses = [address["AllocationId"] for address in nat["NatGatewayAddresses"]]
        return {"subnet": self.name(nat["SubnetId"]), "state": nat["State"], "addresses": self.all_names(addresses)}

    def endpoint(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        return {
            "service": endpoint["ServiceName"],
            "type": endpoint["VpcEndpointType"],
            "route tables": self.all_names(endpoint["RouteTableIds"]),
        }

    def group(self, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": group["GroupName"],
            "in": sorted(rule for entry in group["IpPermissions"] for rule in self.rules(entry, "from")),
            "out": sorted(rule for entry in group["IpPermissionsEgress"] for rule in self.rules(entry, "to")),
        }

    def rules(self, entry: dict[str, Any], word: str) -> list[str]:
        first, last = entry.get("FromPort"), entry.get("ToPort")
        ports = "" if first is None else f" {first}" if first == last else f" {first}-{last}"
        what = "everything" if entry["IpProtocol"] == "-1" else entry["IpProtocol"] + ports
        peers = [(entry["CidrIp"], entry) for entry in entry.get("IpRanges", [])]
        peers += [(entry["CidrIpv6"], entry) for entry in entry.get("Ipv6Ranges", [])]
        peers += [(self.name(entry["GroupId"]), entry) for entry in entry.get("UserIdGroupPairs", [])]
        peers += [(entry["PrefixListId"], entry) for entry in entry.get("PrefixListIds", [])]
        return [f"{what} {word} {peer}: {entry.get('Description', 'not described')}" for peer, entry in peers]

    def balancer(self, balancer: dict[str, Any]) -> dict[str, Any]:
        arn = balancer["LoadBalancerArn"]
        attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        listeners = pages(elb, "describe_listeners", "Listeners", LoadBalancerArn=arn)
        return {
            "type": balancer["Type"],
            "scheme": balancer["Scheme"],
            "subnets": self.all_names([zone["SubnetId"] for zone in balancer["AvailabilityZones"]]),
            "security groups": self.all_names(balancer["SecurityGroups"]),
            "attributes": {item["Key"]: item["Value"] for item in attributes},
            "listeners": {f"{item['Protocol']} {item['Port']}": self.listener(item) for item in listeners},
        }

    def listener(self, listener: dict[str, Any]) -> str:
        (action,) = listener["DefaultActions"]
        return f"{action['Type']} to {self.name(action['TargetGroupArn'])}"

    def target_group(self, group: dict[str, Any]) -> dict[str, Any]:
        attributes = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
        path, port = group.get("HealthCheckPath", ""), group["HealthCheckPort"]
        return {
            "to": f"{group['TargetType']} {group['Protocol']} {group['Port']}",
            "health check": f"{group['HealthCheckProtocol']} {port} {path} every {group['HealthCheckIntervalSeconds']} s, "
            f"{group['HealthCheckTimeoutSeconds']} s each, healthy after {group['HealthyThresholdCount']}, "
            f"unhealthy after {group['UnhealthyThresholdCount']}",
            "attributes": {item["Key"]: item["Value"] for item in attributes},
        }

    def template(self, template: dict[str, Any]) -> dict[str, Any]:
        asked = {"LaunchTemplateId": template["LaunchTemplateId"], "Versions": ["$Latest"]}
        (version,) = ec2.describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        images = ssm.get_parameters(Names=list(IMAGES))["Parameters"]
        images = {image["Value"]: IMAGES[image["Name"]] for image in images}
        return {
            "image": images[data["ImageId"]],
            "instance type": data["InstanceType"],
            "instance profile": data["IamInstanceProfile"]["Arn"].rsplit("/", 1)[1],
            "metadata": data["MetadataOptions"],
            "interfaces": [
                {
                    "device": interface["DeviceIndex"],
                    "public address": interface.get("AssociatePublicIpAddress"),
                    "security groups": self.all_names(interface["Groups"]),
                }
                for interface in data.get("NetworkInterfaces", [])
            ],
            "security groups": self.all_names(data.get("SecurityGroupIds", [])),
            "key pair": data.get("KeyName"),
            "volumes": {mapping["DeviceName"]: mapping["Ebs"] for mapping in data["BlockDeviceMappings"]},
            "tags what it makes": sorted(tags["ResourceType"] for tags in data["TagSpecifications"]),
        }

    def scaling_groups(self) -> dict[str, Any]:
        found = {}
        for group in pages(scaling, "describe_auto_scaling_groups", "AutoScalingGroups"):
            tags = {tag["Key"]: tag for tag in group["Tags"]}
            if tags.get(CLUSTER_TAG, {}).get("Value") != self.cluster:
                continue
            mixed = group.get("MixedInstancesPolicy")
            template = mixed["LaunchTemplate"]["LaunchTemplateSpecification"] if mixed else group["LaunchTemplate"]
            found[tags[RESOURCE_TAG]["Value"]] = {
                "name": group["AutoScalingGroupName"],
                "sizes": f"{group['MinSize']} to {group['MaxSize']}, {group['DesiredCapacity']} wanted",
                "subnets": self.all_names(group["VPCZoneIdentifier"].split(",")),
                "launch template": f"{self.name(template['LaunchTemplateId'])}, version {template['Version']}",
                "target groups": self.all_names(group.get("TargetGroupARNs", [])),
                "health check": f"{group['HealthCheckType']} after {group['HealthCheckGracePeriod']} s",
                "protected from scale in": group["NewInstancesProtectedFromScaleIn"],
                "mixed": mixed and {"spot": mixed["InstancesDistribution"], "types": self.overrides(mixed)},
            }
        return found

    def overrides(self, mixed: dict[str, Any]) -> list[str]:
        return sorted(override["InstanceType"] for override in mixed["LaunchTemplate"].get("Overrides", []))

    def instances(self) -> list[dict[str, Any]]:
        found = []
        for reservation in pages(ec2, "describe_instances", "Reservations"):
            for instance in reservation["Instances"]:
                tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                if tags.get(CLUSTER_TAG) != self.cluster or instance["State"]["Name"] == "terminated":
                    continue
                groups = [group["GroupId"] for nic in instance["NetworkInterfaces"] for group in nic["Groups"]]
                found.append(
                    {
                        "is": tags[RESOURCE_TAG],
                        "subnet": self.name(instance["SubnetId"]),
                        "has a public address": bool(instance.get("PublicIpAddress")),
                        "security groups": self.all_names(groups),
                    }
                )
        return sorted(found, key=str)

    def roles(self) -> dict[str, Any]:
        found = {}
        for role in pages(iam, "list_roles", "Roles"):
            tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role["RoleName"])["Tags"]}
            if tags.get(CLUSTER_TAG) != self.cluster:
                continue
            name = role["RoleName"]
            policies = [
                statement
                for policy in pages(iam, "list_role_policies", "PolicyNames", RoleName=name)
                for statement in iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]
            ]
            attached = pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
            found[tags[RESOURCE_TAG]] = {
                "path": role["Path"],
                "trusts": [self.statement(statement) for statement in role["AssumeRolePolicyDocument"]["Statement"]],
                "may": [self.statement(statement) for statement in policies],
                "attached": sorted(policy["PolicyArn"] for policy in attached),
            }
        return found

    def statement(self, statement: dict[str, Any]) -> str:
        def several(value: Any) -> str:
            return ", ".join(sorted(value)) if isinstance(value, list) else str(value)

        words = [statement["Effect"], several(statement["Action"])]
        if "Principal" in statement:
            words.append(f"by {json.dumps(statement['Principal'])}")
        if "Resource" in statement:
            words.append(f"on {several(statement['Resource'])}")
        if "Condition" in statement:
            words.append(f"if {json.dumps(statement['Condition'], sort_keys=True)}")
        return " ".join(words)

    def buckets(self) -> list[dict[str, Any]]:
        found = []
        for bucket in s3.list_buckets()["Buckets"]:
            name = bucket["Name"]
            try:
                tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
            except s3.exceptions.ClientError:
                continue
            if tags.get(CLUSTER_TAG) == self.cluster:
                found.append(self.bucket(name))
        return found

    def bucket(self, name: str) -> dict[str, Any]:
        rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
        return {
            "name": name,
            "public access block": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
            "versioning": s3.get_bucket_versioning(Bucket=name).get("Status"),
            "encryption": [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules],
            "ownership": [rule["ObjectOwnership"] for rule in ownership],
            "policy": {statement["Sid"]: self.statement(statement) for statement in policy["Statement"]},
            "lifecycle": [
                {key: value for key, value in rule.items() if key not in ("ID", "Prefix", "Filter")}
                for rule in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
            ],
        }

    def log_groups(self) -> dict[str, Any]:
        found = {}
        for group in pages(logs, "describe_log_groups", "logGroups"):
            if logs.list_tags_log_group(logGroupName=group["logGroupName"])["tags"].get(CLUSTER_TAG) == self.cluster:
                found[group["logGroupName"]] = {"days": group.get("retentionInDays")}
        return found

    def ecs_clusters(self) -> dict[str, Any]:
        found = {}
        arns = pages(ecs, "list_clusters", "clusterArns")
        for cluster in ecs.describe_clusters(clusters=arns, include=["TAGS", "SETTINGS"])["clusters"]:
            tags = {tag["key"]: tag["value"] for tag in cluster["tags"]}
            if tags.get(CLUSTER_TAG) == self.cluster:
                providers = cluster["capacityProviders"]
                found[cluster["clusterName"]] = {name: self.provider(name) for name in providers}
        return found

    def provider(self, name: str) -> dict[str, Any]:
        (provider,) = ecs.describe_capacity_providers(capacityProviders=[name])["capacityProviders"]
        of = provider["autoScalingGroupProvider"]
        return {
            "auto scaling group": of["autoScalingGroupArn"].rsplit("/", 1)[1],
            "managed scaling": of["managedScaling"]["status"],
            "termination protection": of["managedTerminationProtection"],
            "draining": of.get("managedDraining"),
        }


print(json.dumps(Topology(sys.argv[1]).picture(), sort_keys=True, default=str))
