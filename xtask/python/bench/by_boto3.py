"""Makes a cluster's resources with boto3 as most scripts do: one after the other, waiting for each with the SDK's waiters.

usage: by_boto3.py CLUSTER.TF.JSON SCALE

SCALE is that of the emulator's delays; the waiters' own steps of 15 seconds are scaled with them.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from shape import Shape, image_parameter, replaced

SHAPE = Shape(sys.argv[1])
SCALE = float(sys.argv[2])
EC2, ELB, S3, IAM, LOGS, ECS, AUTOSCALING, SSM = (
    boto3.client(name, region_name="us-east-1")
    for name in ("ec2", "elbv2", "s3", "iam", "logs", "ecs", "autoscaling", "ssm")
)

Attributes = dict[str, str]


def wait(client: Any, waiter: str, **what: Any) -> None:
    client.get_waiter(waiter).wait(WaiterConfig={"Delay": 15 * SCALE, "MaxAttempts": 80}, **what)


def tags(of: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in of.get("tags", {}).items()]


def tagged(kind: str, of: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags(of)}]


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


def load_balancer(of: dict[str, Any]) -> Attributes:
    made = ELB.create_load_balancer(
        Name=of["name"],
        Type="network",
        Scheme="internal" if of["internal"] else "internet-facing",
        Subnets=of["subnets"],
        SecurityGroups=of["security_groups"],
        Tags=tags(of),
    )["LoadBalancers"][0]
    attributes = {
        "load_balancing.cross_zone.enabled": of["enable_cross_zone_load_balancing"],
        "deletion_protection.enabled": of["enable_deletion_protection"],
    }
    attributes = [{"Key": key, "Value": str(on).lower()} for key, on in attributes.items()]
    ELB.modify_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"], Attributes=attributes)
    wait(ELB, "load_balancer_available", LoadBalancerArns=[made["LoadBalancerArn"]])
    return {"arn": made["LoadBalancerArn"], "dns_name": made["DNSName"]}


def target_group(of: dict[str, Any]) -> Attributes:
    health = of["health_check"]
    made = ELB.create_target_group(
        Name=of["name"],
        VpcId=of["vpc_id"],
        Protocol=of["protocol"],
        Port=of["port"],
        TargetType=of["target_type"],
        HealthCheckProtocol=health["protocol"],
        HealthCheckPort=str(health["port"]),
        HealthCheckPath=health["path"],
        HealthCheckIntervalSeconds=health["interval"],
        HealthCheckTimeoutSeconds=health["timeout"],
        HealthyThresholdCount=health["healthy_threshold"],
        UnhealthyThresholdCount=health["unhealthy_threshold"],
        Tags=tags(of),
    )["TargetGroups"][0]["TargetGroupArn"]
    attributes = {
        "deregistration_delay.timeout_seconds": of["deregistration_delay"],
        "deregistration_delay.connection_termination.enabled": of["connection_termination"],
        "preserve_client_ip.enabled": of["preserve_client_ip"],
    }
    attributes = [{"Key": key, "Value": str(value).lower()} for key, value in attributes.items()]
    ELB.modify_target_group_attributes(TargetGroupArn=made, Attributes=attributes)
    return {"arn": made}


def listener(of: dict[str, Any]) -> Attributes:
    action = {"Type": "forward", "TargetGroupArn": of["default_action"]["target_group_arn"]}
    where = {"LoadBalancerArn": of["load_balancer_arn"], "Protocol": of["protocol"], "Port": of["port"]}
    made = ELB.create_listener(DefaultActions=[action], Tags=tags(of), **where)
    return {"arn": made["Listeners"][0]["ListenerArn"]}


def bucket(of: dict[str, Any]) -> Attributes:
    S3.create_bucket(Bucket=of["bucket"])
    wait(S3, "bucket_exists", Bucket=of["bucket"])
    S3.put_bucket_tagging(Bucket=of["bucket"], Tagging={"TagSet": tags(of)})
    return {"id": of["bucket"], "bucket": of["bucket"]}


def public_access_block(of: dict[str, Any]) -> Attributes:
    settings = {
        "BlockPublicAcls": of["block_public_acls"],
        "BlockPublicPolicy": of["block_public_policy"],
        "IgnorePublicAcls": of["ignore_public_acls"],
        "RestrictPublicBuckets": of["restrict_public_buckets"],
    }
    S3.put_public_access_block(Bucket=of["bucket"], PublicAccessBlockConfiguration=settings)
    return {}


def ownership_controls(of: dict[str, Any]) -> Attributes:
    rules = {"Rules": [{"ObjectOwnership": of["rule"]["object_ownership"]}]}
    S3.put_bucket_ownership_controls(Bucket=of["bucket"], OwnershipControls=rules)
    return {}


def versioning(of: dict[str, Any]) -> Attributes:
    status = {"Status": of["versioning_configuration"]["status"]}
    S3.put_bucket_versioning(Bucket=of["bucket"], VersioningConfiguration=status)
    return {}


def encryption(of: dict[str, Any]) -> Attributes:
    by = {"SSEAlgorithm": of["rule"]["apply_server_side_encryption_by_default"]["sse_algorithm"]}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by}]}
    S3.put_bucket_encryption(Bucket=of["bucket"], ServerSideEncryptionConfiguration=rules)
    return {}


def bucket_policy(of: dict[str, Any]) -> Attributes:
    S3.put_bucket_policy(Bucket=of["bucket"], Policy=of["policy"])
    return {}


def lifecycle(of: dict[str, Any]) -> Attributes:
    rules = []
    for rule in of["rule"]:
        made: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": ""}}
        if "abort_incomplete_multipart_upload" in rule:
            days = rule["abort_incomplete_multipart_upload"]["days_after_initiation"]
            made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        else:
            days = rule["noncurrent_version_expiration"]["noncurrent_days"]
            made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
        rules.append(made)
    S3.put_bucket_lifecycle_configuration(Bucket=of["bucket"], LifecycleConfiguration={"Rules": rules})
    return {}


def s3_object(of: dict[str, Any]) -> Attributes:
    S3.put_object(Bucket=of["bucket"], Key=of["key"], Body=b"\0" * 35_000)
    return {}


def log_group(of: dict[str, Any]) -> Attributes:
    LOGS.create_log_group(logGroupName=of["name"], tags=of["tags"])
    LOGS.put_retention_policy(logGroupName=of["name"], retentionInDays=of["retention_in_days"])
    return {}


def role(of: dict[str, Any]) -> Attributes:
    IAM.create_role(
        RoleName=of["name"],
        Path=of["path"],
        Description=of["description"],
        AssumeRolePolicyDocument=of["assume_role_policy"],
        Tags=tags(of),
    )
    wait(IAM, "role_exists", RoleName=of["name"])
    return {"id": of["name"], "name": of["name"]}


def role_policy(of: dict[str, Any]) -> Attributes:
    IAM.put_role_policy(RoleName=of["role"], PolicyName=of["name"], PolicyDocument=of["policy"])
    return {}


def instance_profile(of: dict[str, Any]) -> Attributes:
    made = IAM.create_instance_profile(InstanceProfileName=of["name"], Path=of["path"], Tags=tags(of))
    IAM.add_role_to_instance_profile(InstanceProfileName=of["name"], RoleName=of["role"])
    wait(IAM, "instance_profile_exists", InstanceProfileName=of["name"])
    return {"arn": made["InstanceProfile"]["Arn"], "name": of["name"]}


def launch_template(of: dict[str, Any], name: str) -> Attributes:
    interface, mapping, metadata = of["network_interfaces"], of["block_device_mappings"], of["metadata_options"]
    ebs = mapping["ebs"]
    data = {
        "ImageId": SSM.get_parameter(Name=image_parameter(name))["Parameter"]["Value"],
        "InstanceType": of["instance_type"],
        "UserData": of["user_data"],
        "IamInstanceProfile": {"Arn": of["iam_instance_profile"]["arn"]},
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": interface["associate_public_ip_address"],
                "DeleteOnTermination": True,
                "Groups": interface["security_groups"],
            }
        ],
        "BlockDeviceMappings": [
            {
                "DeviceName": mapping["device_name"],
                "Ebs": {
                    "VolumeType": ebs["volume_type"],
                    "VolumeSize": ebs["volume_size"],
                    "Encrypted": ebs["encrypted"],
                    "DeleteOnTermination": True,
                },
            }
        ],
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": metadata["http_tokens"],
            "HttpPutResponseHopLimit": metadata["http_put_response_hop_limit"],
        },
    }
    specification = tagged("launch-template", of)
    made = EC2.create_launch_template(
        LaunchTemplateName=of["name"], LaunchTemplateData=data, TagSpecifications=specification
    )
    return {"id": made["LaunchTemplate"]["LaunchTemplateId"]}


def autoscaling_group(of: dict[str, Any]) -> Attributes:
    name = of["name"]
    arguments: dict[str, Any] = {
        "AutoScalingGroupName": name,
        "MinSize": of["min_size"],
        "MaxSize": of["max_size"],
        "DesiredCapacity": of["desired_capacity"],
        "VPCZoneIdentifier": ",".join(of["vpc_zone_identifier"]),
        "TargetGroupARNs": of.get("target_group_arns", []),
        "HealthCheckType": of["health_check_type"],
        "HealthCheckGracePeriod": of["health_check_grace_period"],
        "CapacityRebalance": of["capacity_rebalance"],
        "NewInstancesProtectedFromScaleIn": of["protect_from_scale_in"],
        "Tags": [
            {"Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": tag["propagate_at_launch"]}
            for tag in of["tag"]
        ],
    }
    if "launch_template" in of:
        arguments["LaunchTemplate"] = {"LaunchTemplateId": of["launch_template"]["id"], "Version": "$Latest"}
    else:
        mixed = of["mixed_instances_policy"]
        template, distribution = mixed["launch_template"], mixed["instances_distribution"]
        used = template["launch_template_specification"]["launch_template_id"]
        arguments["MixedInstancesPolicy"] = {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": used, "Version": "$Latest"},
                "Overrides": [{"InstanceType": one["instance_type"]} for one in template["override"]],
            },
            "InstancesDistribution": {
                "OnDemandBaseCapacity": distribution["on_demand_base_capacity"],
                "OnDemandPercentageAboveBaseCapacity": distribution["on_demand_percentage_above_base_capacity"],
                "SpotAllocationStrategy": distribution["spot_allocation_strategy"],
                "SpotInstancePools": distribution["spot_instance_pools"],
            },
        }
    while True:
        try:
            AUTOSCALING.create_auto_scaling_group(**arguments)
            break
        except ClientError as error:
            # EC2 does not see the instance profile yet.
            if "profile" not in str(error).lower():
                raise
            time.sleep(5 * SCALE)
    # The SDK has no waiter for groups; this is what those who want one write.
    while True:
        found = AUTOSCALING.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        in_service = [one for one in found["Instances"] if one["LifecycleState"] == "InService"]
        if len(in_service) >= of["min_size"]:
            return {"arn": found["AutoScalingGroupARN"]}
        time.sleep(15 * SCALE)


def ecs_cluster(of: dict[str, Any]) -> Attributes:
    tags = [{"key": key, "value": value} for key, value in of["tags"].items()]
    made = ECS.create_cluster(clusterName=of["name"], settings=[of["setting"]], tags=tags)
    return {"name": of["name"], "arn": made["cluster"]["clusterArn"]}


def capacity_provider(of: dict[str, Any]) -> Attributes:
    group = of["auto_scaling_group_provider"]
    scaling = group["managed_scaling"]
    ECS.create_capacity_provider(
        name=of["name"],
        tags=[{"key": key, "value": value} for key, value in of["tags"].items()],
        autoScalingGroupProvider={
            "autoScalingGroupArn": group["auto_scaling_group_arn"],
            "managedTerminationProtection": group["managed_termination_protection"],
            "managedDraining": group["managed_draining"],
            "managedScaling": {
                "status": scaling["status"],
                "targetCapacity": scaling["target_capacity"],
                "instanceWarmupPeriod": scaling["instance_warmup_period"],
            },
        },
    )
    return {"name": of["name"]}


def cluster_capacity(of: dict[str, Any]) -> Attributes:
    ECS.put_cluster_capacity_providers(
        cluster=of["cluster_name"],
        capacityProviders=of["capacity_providers"],
        defaultCapacityProviderStrategy=[],
    )
    return {}


MAKES: dict[str, Callable[..., Attributes]] = {
    "aws_autoscaling_group": autoscaling_group,
    "aws_cloudwatch_log_group": log_group,
    "aws_default_security_group": default_security_group,
    "aws_ecs_capacity_provider": capacity_provider,
    "aws_ecs_cluster": ecs_cluster,
    "aws_ecs_cluster_capacity_providers": cluster_capacity,
    "aws_eip": eip,
    "aws_iam_instance_profile": instance_profile,
    "aws_iam_role": role,
    "aws_iam_role_policy": role_policy,
    "aws_internet_gateway": internet_gateway,
    "aws_lb": load_balancer,
    "aws_lb_listener": listener,
    "aws_lb_target_group": target_group,
    "aws_nat_gateway": nat_gateway,
    "aws_route": route,
    "aws_route_table": route_table,
    "aws_route_table_association": route_table_association,
    "aws_s3_bucket": bucket,
    "aws_s3_bucket_lifecycle_configuration": lifecycle,
    "aws_s3_bucket_ownership_controls": ownership_controls,
    "aws_s3_bucket_policy": bucket_policy,
    "aws_s3_bucket_public_access_block": public_access_block,
    "aws_s3_bucket_server_side_encryption_configuration": encryption,
    "aws_s3_bucket_versioning": versioning,
    "aws_s3_object": s3_object,
    "aws_security_group": security_group,
    "aws_subnet": subnet,
    "aws_vpc": vpc,
    "aws_vpc_endpoint": vpc_endpoint,
    "aws_vpc_security_group_egress_rule": egress_rule,
    "aws_vpc_security_group_ingress_rule": ingress_rule,
}


def main() -> None:
    made: dict[str, Attributes] = {}
    for address, body in SHAPE.in_order():
        kind, _, name = address.partition(".")
        settings = replaced(body, lambda to, attribute: made[to][attribute])
        made[address] = launch_template(settings, name) if kind == "aws_launch_template" else MAKES[kind](settings)


if __name__ == "__main__":
    main()
