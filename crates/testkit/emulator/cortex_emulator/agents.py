"""What ECS agents and load balancer health checks would say.

Two ways: `auto`, in which instances register, tasks start and become healthy by themselves after their delays; and
`nodes`, in which a test's node runner does all of that. It registers instances and submits states over the AWS
API, with the instance's credentials; what the AWS API has no call for (an agent is told over a websocket what to run) is
here.
"""

import base64
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

from . import placement
from .errors import AwsError
from .tasks import STOPPED, ServiceTask

AUTO, NODES = "auto", "nodes"

_mode = AUTO


def by_themselves() -> bool:
    return _mode == AUTO


def set_mode(mode: str) -> dict[str, str]:
    global _mode
    if mode not in (AUTO, NODES):
        raise ValueError("the agents' mode is auto or nodes")
    _mode = mode
    return {"mode": mode}


def forget() -> None:
    global _mode
    _mode = AUTO


def instances(region: str = "us-east-1", account: str = DEFAULT_ACCOUNT_ID) -> list[dict[str, Any]]:
    """Every instance that is not terminated, with what its metadata service knows."""
    ec2 = ec2_backends[account][region]
    return [_instance(ec2, each) for each in ec2.all_instances() if each.state != "terminated"]


def _instance(ec2: Any, instance: Any) -> dict[str, Any]:
    user_data = instance.user_data.decode("utf-8") if instance.user_data else ""
    options = instance.metadata_options
    return {
        "id": instance.id,
        "state": instance.state,
        "type": instance.instance_type,
        "size": placement.size_of(instance.instance_type),
        "image": instance.image_id,
        "zone": instance.availability_zone,
        "private_ip": instance.private_ip,
        "public_ip": instance.public_ip,
        "subnet_id": instance.subnet_id,
        "vpc_id": instance.vpc_id,
        "groups": sorted({group.id for nic in instance.nics.values() for group in nic.group_set}),
        "profile": (instance.iam_instance_profile or {}).get("Arn"),
        "metadata": {"tokens": options.http_tokens, "hop_limit": options.http_put_response_hop_limit},
        "user_data": user_data,
        "user_data_base64": base64.b64encode(user_data.encode()).decode(),
        "tags": dict(ec2.tags.get(instance.id, {})),
    }


def poll(
    cluster: str, container_instance: str, region: str = "us-east-1", account: str = DEFAULT_ACCOUNT_ID
) -> list[dict[str, Any]]:
    """The tasks of one instance that have not stopped, with all that is needed to run them."""
    ecs = ecs_backends[account][region]
    return [
        {
            "task_arn": task.task_arn,
            "desired_status": task.desired_status,
            "last_status": task.last_status,
            "group": task.group,
            "task_role_arn": getattr(task.definition, "task_role_arn", None),
            "execution_role_arn": getattr(task.definition, "execution_role_arn", None),
            "volumes": task.definition.volumes,
            "network_mode": task.definition.network_mode,
            "containers": task.definition.container_definitions,
        }
        for task in ecs.tasks.get(cluster.rpartition("/")[2], {}).values()
        if isinstance(task, ServiceTask)
        and task.status != STOPPED
        and (task.container_instance_arn or "").rpartition("/")[2] == container_instance.rpartition("/")[2]
    ]


def report(
    task: str,
    status: str,
    containers: list[dict[str, Any]] | None = None,
    reason: str | None = None,
    region: str = "us-east-1",
    account: str = DEFAULT_ACCOUNT_ID,
) -> dict[str, Any]:
    """The agent says RUNNING or STOPPED of a task, and of containers whatever it knows.

    Containers by `name`, with any of `lastStatus`, `healthStatus`, `exitCode`, `reason`, `networkBindings`.
    """
    found = find_task(ecs_backends[account][region], task)
    if status == "RUNNING":
        found.run(containers)
        found.tell(containers or [])
    elif status == STOPPED:
        found.tell(containers or [])
        found.stopped(reason)
    else:
        raise AwsError("InvalidParameterException", f"a task is RUNNING or STOPPED, not {status}")
    return {"desired_status": found.desired_status, "last_status": found.last_status}


def find_task(ecs: Any, name: str) -> ServiceTask:
    for tasks in ecs.tasks.values():
        for task in tasks.values():
            if isinstance(task, ServiceTask) and task.task_arn.rpartition("/")[2] == name.rpartition("/")[2]:
                return task
    raise AwsError("InvalidParameterException", f"there is no task {name}")


def protect_busy(group: Any, busy: set[str | None]) -> None:
    """Managed scaling lets idle instances go, not those with tasks."""
    for _, _, ecs in list(ecs_backends.iter_backends()):
        for by_id in ecs.container_instances.values():
            owners = {each.ec2_instance_id: each.container_instance_arn for each in by_id.values()}
            for state in group.instance_states:
                if state.instance.id in owners:
                    state.protected_from_scale_in = owners[state.instance.id] in busy


def set_target_health(
    target_group: str,
    target: str,
    state: str | None,
    reason: str | None = None,
    region: str = "us-east-1",
    account: str = DEFAULT_ACCOUNT_ID,
) -> dict[str, Any]:
    """What health checks found out about a target (an instance id or an address); None forgets it."""
    groups = elbv2_backends[account][region].target_groups.values()
    for group in groups:
        if target_group in (group.name, group.arn):
            reported = group.__dict__.setdefault("cortex_reported", {})
            reported[target] = (state, reason)
            if state is None:
                del reported[target]
            return {"reported": {name: list(facts) for name, facts in reported.items()}}
    raise AwsError("TargetGroupNotFound", f"there is no target group {target_group}")


def balancers(region: str = "us-east-1", account: str = DEFAULT_ACCOUNT_ID) -> dict[str, list[dict[str, Any]]]:
    """All that it takes to be the load balancers: what they listen on, whom they forward to, how they check those."""
    elb = elbv2_backends[account][region]
    listeners = [
        {
            "dns_name": balancer.dns_name,
            "state": balancer.state,
            "port": int(listener.port),
            "protocol": listener.protocol,
            "target_groups": sorted(
                arn for action in listener.default_actions for arn in elb._get_target_group_arns_from(action.data)
            ),
        }
        for balancer in elb.load_balancers.values()
        for listener in balancer.listeners.values()
    ]
    groups = [
        {
            "arn": group.arn,
            "target_type": group.target_type,
            "check": {
                "protocol": group.health_check_protocol,
                "port": str(group.health_check_port or "traffic-port"),
                "path": group.health_check_path or "/",
                "codes": (getattr(group, "matcher", None) or {}).get("HttpCode", "200-399"),
                "timeout": float(group.health_check_timeout_seconds),
                "healthy_after": int(group.healthy_threshold_count),
                "unhealthy_after": int(group.unhealthy_threshold_count),
            },
            "targets": [{"id": each["Id"], "port": int(each["Port"])} for each in group.targets.values()],
            "reported": {name: state for name, (state, _) in group.__dict__.get("cortex_reported", {}).items()},
        }
        for group in elb.target_groups.values()
    ]
    return {"listeners": listeners, "groups": groups}
