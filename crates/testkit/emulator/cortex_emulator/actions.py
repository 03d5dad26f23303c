"""What a request needs to be allowed: IAM's names of its action and of its resources.

AWS: service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

Resources are known for S3, STS, IAM, EC2, Elastic Load Balancing, Auto Scaling, ECS, CloudWatch Logs and Systems
Manager parameters. For the rest, the `Resource` of a policy is taken to match.
"""

import re
from collections.abc import Iterator

from moto.ec2.models import ec2_backends

from .request import AwsRequest

_S3_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_S3_VERSIONED = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}

# What an EC2 identifier begins with, and the type of that resource in ARNs.
_EC2_TYPES = {
    "ami": "image",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
EC2_CREATES = {
    "AllocateAddress": ["elastic-ip"],
    "AuthorizeSecurityGroupEgress": ["security-group-rule"],
    "AuthorizeSecurityGroupIngress": ["security-group-rule"],
    "CreateInternetGateway": ["internet-gateway"],
    "CreateLaunchTemplate": ["launch-template"],
    "CreateNatGateway": ["natgateway"],
    "CreateNetworkInterface": ["network-interface"],
    "CreateRouteTable": ["route-table"],
    "CreateSecurityGroup": ["security-group"],
    "CreateSubnet": ["subnet"],
    "CreateVpc": ["vpc"],
    "CreateVpcEndpoint": ["vpc-endpoint"],
    "RunInstances": ["instance", "volume", "network-interface"],
}
_EC2_ID = re.compile(rf"^({'|'.join(_EC2_TYPES)})-[0-9a-f]{{8,17}}$")

Forms = tuple[str, ...]


def action_of(request: AwsRequest) -> str:
    """`s3:GetObject`."""
    name = request.action
    if request.service == "s3":
        name = _S3_ACTIONS.get(name, name)
        if "versionId" in request.query:
            name = _S3_VERSIONED.get(name, name)
    return f"{request.service}:{name}"


def resources_of(request: AwsRequest, account: str) -> list[Forms]:
    """Every resource that has to be allowed, each in the forms in which it may be written."""
    finder = _FINDERS.get(request.service)
    if finder is None:
        return [()]
    return list(finder(request, f"{request.region}:{account}")) or [("*",)]


def names_what_is_gone(request: AwsRequest, account: str) -> bool:
    """Whether it names its resources by an association that is no more: nobody can tell which, and the operation says so."""
    association = request.form.get("AssociationId") if request.service == "ec2" else None
    return association is not None and not _associated(association, f"{request.region}:{account}")


def s3_arn(request: AwsRequest) -> str:
    path = f"{request.bucket}/{request.key}" if request.key else request.bucket
    return f"arn:aws:s3:::{path}" if path else "*"


def _s3(request: AwsRequest, _: str) -> Iterator[Forms]:
    if request.action == "DeleteObjects":
        # The keys are in the body; each is judged when it is deleted.
        yield ()
    else:
        yield (s3_arn(request),)


def _sts(request: AwsRequest, _: str) -> Iterator[Forms]:
    yield (request.form.get("RoleArn", "*"),)


def _iam(request: AwsRequest, place: str) -> Iterator[Forms]:
    from moto.iam.models import iam_backends

    account, form = place.rpartition(":")[2], request.form
    backend = iam_backends[account]["aws"]
    known = {
        "RoleName": ("role", lambda: backend.get_roles()),
        "InstanceProfileName": ("instance-profile", lambda: backend.get_instance_profiles()),
        "UserName": ("user", lambda: backend.users.values()),
    }
    if "PolicyArn" in form and "RoleName" not in form:
        yield (form["PolicyArn"],)
    if "PolicySourceArn" in form:
        yield (form["PolicySourceArn"],)
    for parameter, (kind, holders) in known.items():
        # What a role is put into is the resource, and the role itself another permission's.
        if parameter in form and not (parameter == "RoleName" and "InstanceProfileName" in form):
            name, path = form[parameter], form.get("Path", "/")
            arns = [holder.arn for holder in holders() if holder.name == name]
            yield (arns[0] if arns else f"arn:aws:iam::{account}:{kind}{path}{name}",)


def _ec2(request: AwsRequest, place: str) -> Iterator[Forms]:
    if request.action.startswith(("Describe", "Get")) and request.action != "DescribeVpcAttribute":
        return
    tagged = {value for name, value in request.form.items() if name.endswith(".ResourceType")}
    for kind in EC2_CREATES.get(request.action, []):
        # Rules are resources of their own only where they are given tags.
        if kind != "security-group-rule" or kind in tagged:
            yield (f"arn:aws:ec2:{place}:{kind}/*",)
    association = request.form.get("AssociationId")
    # What a template says is asked for when something is launched by it.
    named = {value for name, value in request.form.items() if not name.startswith("LaunchTemplateData.")}
    for value in sorted(named | _associated(association, place)):
        found = _EC2_ID.match(value)
        # A subnet that gets another table: the one that it had is not asked for.
        replaced = request.action == "ReplaceRouteTableAssociation" and value not in named and value.startswith("rtb-")
        if found and not replaced:
            owner = place if found[1] != "ami" else f"{place.partition(':')[0]}:"
            yield (f"arn:aws:ec2:{owner}:{_EC2_TYPES[found[1]]}/{value}",)


def _associated(association: str | None, place: str) -> set[str]:
    """The route table and the subnet of an association."""
    region, _, account = place.partition(":")
    tables = ec2_backends[account][region].route_tables.values() if association else ()
    return {
        name
        for table in tables
        if association in table._associations
        for name in (table.id, table._associations[association])
    }


def _elb(request: AwsRequest, place: str) -> Iterator[Forms]:
    form = request.form
    if request.action.startswith("Describe"):
        return
    if request.action == "CreateLoadBalancer":
        kind = "net" if form.get("Type") == "network" else "app"
        yield (f"arn:aws:elasticloadbalancing:{place}:loadbalancer/{kind}/{form.get('Name')}/*",)
    if request.action == "CreateTargetGroup":
        yield (f"arn:aws:elasticloadbalancing:{place}:targetgroup/{form.get('Name')}/*",)
    names = ("LoadBalancerArn", "ListenerArn", "TargetGroupArn", "RuleArn")
    for name, value in form.items():
        if name in names or name.startswith("ResourceArns.member."):
            yield (value,)


def _autoscaling(request: AwsRequest, place: str) -> Iterator[Forms]:
    if request.action.startswith("Describe"):
        return
    names = {request.form.get("AutoScalingGroupName"), request.form.get("Tags.member.1.ResourceId")} - {None}
    for name in sorted(names):
        yield (f"arn:aws:autoscaling:{place}:autoScalingGroup:*:autoScalingGroupName/{name}",)


def _ecs(request: AwsRequest, place: str) -> Iterator[Forms]:
    parameters = request.json
    cluster = last(parameters.get("cluster") or parameters.get("clusterName") or "default")

    def arn(kind: str, name: str) -> Forms:
        return (name if name.startswith("arn:") else f"arn:aws:ecs:{place}:{kind}/{name}",)

    if request.action in ("ListClusters", "ListTaskDefinitionFamilies", "ListTaskDefinitions", "DescribeTaskDefinition", "DeregisterTaskDefinition"):
        return
    if request.action == "DeleteTaskDefinitions":
        yield from (arn("task-definition", name) for name in parameters.get("taskDefinitions", []))
    elif request.action == "RegisterTaskDefinition":
        yield arn("task-definition", f"{parameters.get('family')}:*")
    elif "service" in parameters or "serviceName" in parameters:
        yield arn("service", f"{cluster}/{last(parameters.get('service') or parameters['serviceName'])}")
    elif "resourceArn" in parameters:
        yield (parameters["resourceArn"],)
    elif request.action.endswith(("CapacityProvider", "CapacityProviders")) and "cluster" not in parameters:
        yield arn("capacity-provider", parameters.get("name") or last(parameters.get("capacityProvider") or "*"))
    elif request.action == "DescribeServices":
        yield from (arn("service", f"{cluster}/{last(name)}") for name in parameters.get("services", []))
    elif request.action in ("DescribeTasks", "StopTask"):
        names = parameters.get("tasks") or [parameters.get("task", "*")]
        yield from (arn("task", f"{cluster}/{last(name)}") for name in names)
    elif request.action == "DescribeContainerInstances":
        yield from (arn("container-instance", f"{cluster}/{last(name)}") for name in parameters["containerInstances"])
    elif request.action == "DescribeClusters":
        yield from (arn("cluster", last(name)) for name in parameters.get("clusters", []))
    else:
        yield arn("cluster", cluster)


def _logs(request: AwsRequest, place: str) -> Iterator[Forms]:
    group = request.json.get("logGroupName")
    if group is None:
        identifier = request.json.get("resourceArn") or request.json.get("logGroupIdentifier")
        group = identifier.removesuffix(":*").partition("log-group:")[2] if identifier else None
    if group is None:
        yield (f"arn:aws:logs:{place}:log-group:*", f"arn:aws:logs:{place}:log-group::log-stream:*", "*")
        return
    base = f"arn:aws:logs:{place}:log-group:{group}"
    stream = request.json.get("logStreamName")
    yield (f"{base}:log-stream:{stream}",) if stream else (base, f"{base}:*")


def _ssm(request: AwsRequest, place: str) -> Iterator[Forms]:
    parameters = request.json
    names = parameters.get("Names") or [parameters.get("Name") or parameters.get("Path") or "*"]
    for name in names:
        owner = f"{place.partition(':')[0]}:" if name.startswith("/aws/") else place
        yield (f"arn:aws:ssm:{owner}:parameter/{name.lstrip('/')}",)


_FINDERS = {
    "s3": _s3,
    "sts": _sts,
    "iam": _iam,
    "ec2": _ec2,
    "elasticloadbalancing": _elb,
    "autoscaling": _autoscaling,
    "ecs": _ecs,
    "logs": _logs,
    "ssm": _ssm,
}


def last(name: str) -> str:
    return name.rpartition("/")[2]
