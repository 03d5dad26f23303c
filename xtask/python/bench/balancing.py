"""Load balancers, with boto3."""

from typing import Any

from account import ELB, Attributes, tags, wait


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
