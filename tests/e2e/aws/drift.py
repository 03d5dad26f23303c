"""What others do to a cluster behind its back, in every kind of resource: `drift.py CLUSTER`.

Each change is one that the next `up` takes back, so that all it may ever call is called. `drift.py CLUSTER clean` removes what
they made for it, which is theirs; `drift.py CLUSTER grow` adds what a cluster has when it has been at work.
"""

import json
import os
import sys

import boto3

CLUSTER = sys.argv[1]
REGION = os.environ["AWS_DEFAULT_REGION"]
MINE = {"Name": "tag:cortex.dev/cluster-name", "Values": [CLUSTER]}


def client(service):
    return boto3.client(service, region_name=REGION, endpoint_url=os.environ["AWS_ENDPOINT_URL"])


ec2, elb, iam, ecs = client("ec2"), client("elbv2"), client("iam"), client("ecs")
autoscaling, logs, s3 = client("autoscaling"), client("logs"), client("s3")


def named(resource):
    return next(tag["Value"] for tag in resource["Tags"] if tag["Key"] == "cortex.dev/resource")


def network():
    vpc = ec2.describe_vpcs(Filters=[MINE])["Vpcs"][0]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "Name"}])
    subnets = {named(subnet): subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=[MINE])["Subnets"]}
    for subnet in subnets.values():
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    tables = {named(table): table for table in ec2.describe_route_tables(Filters=[MINE])["RouteTables"]}
    private = [table for name, table in sorted(tables.items()) if "private" in name]
    gateways = [
        route["NatGatewayId"] for table in private[1:] for route in table["Routes"] if route.get("NatGatewayId")
    ]
    first = private[0]["RouteTableId"]
    ec2.replace_route(RouteTableId=first, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateways[0])
    ec2.create_route(RouteTableId=first, DestinationCidrBlock="203.0.113.0/24", NatGatewayId=gateways[0])
    association = private[0]["Associations"][0]["RouteTableAssociationId"]
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_tags(Resources=[other], Tags=[{"Key": "Name", "Value": "drift"}])
    ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)
    endpoint = ec2.describe_vpc_endpoints(Filters=[MINE])["VpcEndpoints"][0]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], RemoveRouteTableIds=[first])


def security():
    groups = {named(group): group["GroupId"] for group in ec2.describe_security_groups(Filters=[MINE])["SecurityGroups"]}
    workers = groups["security-group/workers"]

    def rule(cidr, port, why="drift"):
        ranges = [{"CidrIp": cidr, "Description": why}]
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}

    ec2.authorize_security_group_ingress(GroupId=workers, IpPermissions=[rule("203.0.113.0/24", 22)])
    ec2.authorize_security_group_egress(GroupId=workers, IpPermissions=[rule("203.0.113.0/24", 22)])
    for group in ec2.describe_security_groups(GroupIds=list(groups.values()))["SecurityGroups"]:
        for permissions, change in (
            (group["IpPermissions"], ec2.update_security_group_rule_descriptions_ingress),
            (group["IpPermissionsEgress"], ec2.update_security_group_rule_descriptions_egress),
        ):
            for permission in permissions:
                if permission.get("IpRanges"):
                    ranges = [{"CidrIp": each["CidrIp"], "Description": "drift"} for each in permission["IpRanges"]]
                    given = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in permission}
                    change(GroupId=group["GroupId"], IpPermissions=[{**given, "IpRanges": ranges}])


def balancing():
    mine = [each for each in elb.describe_load_balancers()["LoadBalancers"] if each["LoadBalancerName"].startswith("cx-")]
    balancer = mine[0]["LoadBalancerArn"]
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    )
    elb.remove_tags(ResourceArns=[balancer], TagKeys=["Name"])
    other = ec2.create_security_group(GroupName="drift", Description="drift", VpcId=mine[0]["VpcId"])["GroupId"]
    elb.set_security_groups(LoadBalancerArn=balancer, SecurityGroups=[other])
    zones = [zone["SubnetId"] for zone in mine[0]["AvailabilityZones"]]
    elb.set_subnets(LoadBalancerArn=balancer, Subnets=zones[:2])
    groups = [each for each in elb.describe_target_groups()["TargetGroups"] if each["TargetGroupName"].startswith("cx-")]
    for group in groups:
        arn = group["TargetGroupArn"]
        elb.modify_target_group(TargetGroupArn=arn, HealthCheckIntervalSeconds=30)
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "1"}
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    listeners = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    for listener in listeners[:1]:
        now = listener["DefaultActions"][0].get("TargetGroupArn")
        other = next(group["TargetGroupArn"] for group in groups if group["TargetGroupArn"] != now)
        action = {"Type": "forward", "TargetGroupArn": other}
        elb.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=[action])


def identities():
    for role in iam.list_roles(PathPrefix=f"/cortex/{REGION}/{CLUSTER}/")["Roles"]:
        name = role["RoleName"]
        anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        trust = json.loads(json.dumps(role["AssumeRolePolicyDocument"]))
        trust["Statement"] = [*trust["Statement"], {**trust["Statement"][0], "Sid": "Drift"}]
        iam.update_role(RoleName=name, Description="drift")
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="drift", PolicyDocument=json.dumps(anything))
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        iam.untag_role(RoleName=name, TagKeys=["Name"])


def nodes():
    groups = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    vpc = ec2.describe_vpcs(Filters=[MINE])["Vpcs"][0]["VpcId"]
    made = elb.create_target_group(Name="drift", Protocol="TCP", Port=1, VpcId=vpc)
    stray = made["TargetGroups"][0]["TargetGroupArn"]
    for group in groups:
        name = group["AutoScalingGroupName"]
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=group["MaxSize"] + 1)
        tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": "Name"}
        autoscaling.delete_tags(Tags=[tag])
        if group["TargetGroupARNs"]:
            taken = group["TargetGroupARNs"][:1]
            autoscaling.detach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=taken)
        else:
            autoscaling.attach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=[stray])
    for template in ec2.describe_launch_templates(Filters=[MINE])["LaunchTemplates"]:
        name = template["LaunchTemplateName"]
        data = {"InstanceType": "t3.large"}
        ec2.create_launch_template_version(LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData=data)
        ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")


def containers():
    cluster = f"cortex-{CLUSTER}"
    ecs.update_cluster(cluster=cluster, settings=[{"name": "containerInsights", "value": "enabled"}])
    described = ecs.describe_clusters(clusters=[cluster], include=["TAGS"])["clusters"][0]
    ecs.untag_resource(resourceArn=described["clusterArn"], tagKeys=["Name"])
    for name in described["capacityProviders"]:
        ecs.update_capacity_provider(
            name=name, autoScalingGroupProvider={"managedScaling": {"status": "ENABLED", "targetCapacity": 50}}
        )


def storage():
    group = f"/cortex/{CLUSTER}"
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"].removesuffix(":*")
    logs.untag_resource(resourceArn=arn, tagKeys=["Name"])
    bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("cortex-"))
    s3.create_multipart_upload(Bucket=bucket, Key="drift")


def clean():
    groups = elb.describe_target_groups(Names=["drift"])["TargetGroups"]
    elb.delete_target_group(TargetGroupArn=groups[0]["TargetGroupArn"])
    strays = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["drift"]}])["SecurityGroups"]
    ec2.delete_security_group(GroupId=strays[0]["GroupId"])
    tables = ec2.describe_route_tables(Filters=[{"Name": "tag:Name", "Values": ["drift"]}])["RouteTables"]
    ec2.delete_route_table(RouteTableId=tables[0]["RouteTableId"])


def grow():
    """A service of the operator's with its task definition, and an instance that its group has lost."""
    tags = {"cortex.dev/cluster-name": CLUSTER, "cortex.dev/resource": "grown"}
    lower = [{"key": key, "value": value} for key, value in tags.items()]
    container = {"name": "api", "image": "python:3.12", "memory": 64}
    family, cluster = f"cortex-{CLUSTER}-api", f"cortex-{CLUSTER}"
    ecs.register_task_definition(family=family, containerDefinitions=[container], tags=lower)
    ecs.create_service(cluster=cluster, serviceName="api", taskDefinition=family, desiredCount=0, tags=lower)
    subnet = ec2.describe_subnets(Filters=[MINE])["Subnets"][0]["SubnetId"]
    template = ec2.describe_launch_templates(Filters=[MINE])["LaunchTemplates"][0]["LaunchTemplateName"]
    image = ec2.describe_launch_template_versions(LaunchTemplateName=template)["LaunchTemplateVersions"][0]
    upper = [{"Key": key, "Value": value} for key, value in tags.items()]
    ec2.run_instances(
        ImageId=image["LaunchTemplateData"]["ImageId"],
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": upper}],
    )


DRIFT = (network, security, balancing, identities, nodes, containers, storage)
for step in {"clean": (clean,), "grow": (grow,)}[sys.argv[2]] if sys.argv[2:] else DRIFT:
    step()
