"""Roles, instances and ECS, with boto3."""

import time
from typing import Any

from account import AUTOSCALING, EC2, ECS, IAM, SCALE, SSM, Attributes, tagged, tags, wait
from botocore.exceptions import ClientError
from shape import image_parameter


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
