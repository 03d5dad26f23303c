"""`set_up.py control` or `set_up.py worker`: a node of an emulated account, by the AWS API. Prints its instance id."""

import base64
import json
import sys
from typing import Any

import boto3

BUCKET = "nodes-of-tests"

# Both fetch something with their role's credentials, as nodes do.
FETCH = r"""#!/bin/bash
set -eu
metadata=http://169.254.169.254/latest
mkdir -p /opt/cortex /etc/cortex
token=$(curl -sf -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token")
instance() { curl -sf -H "x-aws-ec2-metadata-token: $token" "$metadata/$1"; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
role=$(instance meta-data/iam/security-credentials/)
credentials=$(instance "meta-data/iam/security-credentials/$role")
address=$(instance meta-data/local-ipv4)
curl -sSf --proto =https --tlsv1.2 -o /opt/cortex/program --aws-sigv4 aws:amz:us-east-1:s3 \
  -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K - https://nodes-of-tests.s3.us-east-1.amazonaws.com/bin/program <<END
user = "$(field AccessKeyId <<<"$credentials"):$(field SecretAccessKey <<<"$credentials")"
header = "x-amz-security-token: $(field Token <<<"$credentials")"
END
chmod 755 /opt/cortex/program
"""
CONTROL = """
echo "NODE_ADDRESS=$address" >/etc/cortex/node.env
cat >/etc/systemd/system/cortex.service <<END
[Service]
EnvironmentFile=/etc/cortex/node.env
ExecStart=/opt/cortex/program node --directory /var/lib/cortex
Restart=always
END
systemctl daemon-reload
systemctl enable --now cortex.service
"""
WORKER = """
printf '%s\\n' ECS_CLUSTER=c "ECS_INSTANCE_ATTRIBUTES={\\"cortex.address\\":\\"$address\\"}" >/etc/ecs/ecs.config
"""
PROGRAM = """#!/usr/bin/env python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello of {os.environ.get('NODE_ADDRESS')}".encode())
address, _, port = os.environ.get("CORTEX_LISTEN", f"{os.environ.get('CORTEX_LISTEN_ADDRESS')}:8443").partition(":")
print("task says hello", flush=True)
http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
"""
CHECK = 'import os, urllib.request; urllib.request.urlopen("http://" + os.environ["CORTEX_LISTEN"])'


def client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")


def role(name: str, service: str, *statements: tuple[str, str]) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    iam = client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document([trust]))
    if allowed:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(allowed))
    return made["Role"]["Arn"]


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def ground(*statements: tuple[str, str]) -> tuple[str, str]:
    """The program in its bucket, a profile `node`, and a network: VPC and subnet."""
    s3, iam, ec2 = client("s3"), client("iam"), client("ec2")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="bin/program", Body=PROGRAM.encode())
    role("node", "ec2.amazonaws.com", ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/bin/*"), *statements)
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")
    return vpc, subnet["Subnet"]["SubnetId"]


def image() -> str:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    return client("ssm").get_parameter(Name=name)["Parameter"]["Value"]


def control() -> str:
    vpc, subnet = ground()
    made = client("ec2").run_instances(
        ImageId=image(),
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        UserData=FETCH + CONTROL,
        IamInstanceProfile={"Name": "node"},
    )
    instance = made["Instances"][0]["InstanceId"]
    elb = client("elbv2")
    balancer = elb.create_load_balancer(Name="b", Type="network", Scheme="internal", Subnets=[subnet])
    group = elb.create_target_group(
        Name="t", Protocol="TCP", Port=8443, VpcId=vpc, TargetType="instance", HealthCheckProtocol="TCP"
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="TCP",
        Port=443,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    return str(instance)


def worker() -> str:
    agent = ("RegisterContainerInstance", "DiscoverPollEndpoint", "SubmitTaskStateChange")
    _, subnet = ground(*((f"ecs:{action}", "*") for action in agent))
    ec2, ecs, scaling = client("ec2"), client("ecs"), client("autoscaling")
    data = {
        "ImageId": image(),
        "InstanceType": "t3.small",
        "UserData": base64.b64encode((FETCH + WORKER).encode()).decode(),
        "IamInstanceProfile": {"Name": "node"},
    }
    template = ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)["LaunchTemplate"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="workers",
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"},
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=subnet,
    )
    group = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"][0]
    ecs.create_cluster(clusterName="c")
    ecs.create_capacity_provider(
        name="p", autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"]}
    )
    strategy = [{"capacityProvider": "p"}]
    ecs.put_cluster_capacity_providers(
        cluster="c", capacityProviders=["p"], defaultCapacityProviderStrategy=strategy
    )
    container = {
        "name": "replica",
        "image": "none",
        "memory": 256,
        "entryPoint": ["/opt/cortex/program"],
        "portMappings": [{"containerPort": 8888, "hostPort": 0}],
        "mountPoints": [{"sourceVolume": "binaries", "containerPath": "/opt/cortex"}],
        "healthCheck": {"command": ["CMD", "python3", "-c", CHECK]},
    }
    ecs.register_task_definition(
        family="f",
        networkMode="bridge",
        taskRoleArn=role("task", "ecs-tasks.amazonaws.com"),
        containerDefinitions=[container],
        volumes=[{"name": "binaries", "host": {"sourcePath": "/opt/cortex"}}],
    )
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)
    return str(group["Instances"][0]["InstanceId"])


if __name__ == "__main__":
    print({"control": control, "worker": worker}[sys.argv[1]]())
