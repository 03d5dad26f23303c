//! What is allowed on what: one row for each set of actions that share resources and conditions.
//!
//! - What a call makes carries the cluster's tag from the first moment, so `aws:RequestTag` holds it; what is there is
//!   known by `aws:ResourceTag`. A condition key is only there for the resource types that take it: of `CreateSubnet` the
//!   subnet has the request's tags, and the VPC its own. So a call that makes something inside something is in two rows.
//! - Where names or paths are the cluster's alone, these are the resources.
//! - `*` stands where the Service Authorization Reference knows no resource type for an action, and for
//!   `ecs:DescribeCapacityProviders`, which is asked for all of them.
//! - IAM takes 6144 characters in a managed policy and all rows together have more: hence three documents.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Place;

/// "IAM and AWS STS quotas, character limits", IAM user guide; white space does not count.
#[cfg(test)]
pub(super) const MANAGED_POLICY_MAX: usize = 6144;

/// A policy document, to be attached with the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    pub name: &'static str,
    pub policy: Value,
}

/// What to ask `iam:SimulatePrincipalPolicy`: without its resources and condition keys even the right policy says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    pub actions: Vec<&'static str>,
    pub resources: Vec<String>,
    /// Condition keys, each with the values that a call of ours has.
    pub context: BTreeMap<&'static str, Vec<String>>,
}

/// Everything that `up`, `info`, `cert` and `down` of this cluster take.
pub fn policies(place: &Place) -> Vec<Document> {
    let document = |part: Part| {
        let rows = GRANTS.iter().filter(|grant| grant.part == part);
        let statements: Vec<Value> = rows.map(|grant| statement(grant, place)).collect();
        Document { name: part.name(), policy: json!({ "Version": "2012-10-17", "Statement": statements }) }
    };
    [Network, Storage, Nodes].map(document).into()
}

pub fn simulations(place: &Place) -> Vec<Simulation> {
    let simulation = |grant: &Grant| Simulation {
        actions: grant.actions.to_vec(),
        resources: grant.resources.iter().map(|resource| place.fill(resource)).collect(),
        context: grant
            .conditions
            .iter()
            .map(|(_, key, values)| (*key, values.iter().map(|value| place.fill(value)).collect()))
            .collect(),
    };
    GRANTS.iter().map(simulation).collect()
}

#[cfg(test)]
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    GRANTS.iter().flat_map(|grant| grant.actions).copied()
}

fn statement(grant: &Grant, place: &Place) -> Value {
    let filled = |all: &[&str]| match all {
        [only] => json!(place.fill(only)),
        several => json!(several.iter().map(|one| place.fill(one)).collect::<Vec<_>>()),
    };
    let mut operators: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (operator, key, values) in grant.conditions {
        operators.entry(operator).or_default().insert((*key).to_owned(), filled(values));
    }
    let resource = filled(grant.resources);
    let mut statement =
        json!({ "Sid": grant.sid, "Effect": "Allow", "Action": filled(grant.actions), "Resource": resource });
    if !operators.is_empty() {
        statement["Condition"] = json!(operators);
    }
    statement
}

impl Place {
    fn fill(&self, text: &str) -> String {
        let pairs = [
            ("${PARTITION}", &self.partition),
            ("${REGION}", &self.region),
            ("${ACCOUNT_ID}", &self.account_id),
            ("${CLUSTER}", &self.cluster),
            ("${BUCKET}", &self.bucket),
        ];
        pairs.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Network,
    Storage,
    Nodes,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Network => "create-network",
            Self::Storage => "create-storage",
            Self::Nodes => "create-nodes",
        }
    }
}

type Condition = (&'static str, &'static str, &'static [&'static str]);

struct Grant {
    part: Part,
    sid: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    conditions: &'static [Condition],
}

const fn grant(
    part: Part,
    sid: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    conditions: &'static [Condition],
) -> Grant {
    Grant { part, sid, actions, resources, conditions }
}

use Part::{Network, Nodes, Storage};

const EVERYTHING: &[&str] = &["*"];
const HERE: Condition = ("StringEquals", "aws:RequestedRegion", &["${REGION}"]);
/// What is there, is the cluster's.
const OURS: Condition = ("StringEquals", "aws:ResourceTag/cortex.dev/cluster-name", &["${CLUSTER}"]);
/// What is made, or tagged, will be the cluster's.
const TAGGED: Condition = ("StringEquals", "aws:RequestTag/cortex.dev/cluster-name", &["${CLUSTER}"]);

const EC2: &[&str] = &["arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:*/*"];
const TEMPLATES: &str = "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:launch-template/*";
const BALANCERS: &str = "arn:${PARTITION}:elasticloadbalancing:${REGION}:${ACCOUNT_ID}:loadbalancer/net/cx-*";
const LISTENERS: &str = "arn:${PARTITION}:elasticloadbalancing:${REGION}:${ACCOUNT_ID}:listener/net/cx-*";
const TARGETS: &str = "arn:${PARTITION}:elasticloadbalancing:${REGION}:${ACCOUNT_ID}:targetgroup/cx-*";
const BUCKET: &[&str] = &["arn:${PARTITION}:s3:::${BUCKET}"];
const OBJECTS: &[&str] = &["arn:${PARTITION}:s3:::${BUCKET}/*"];
/// With and without the end that stands for its streams: the API's calls differ.
const LOGS: &[&str] = &[
    "arn:${PARTITION}:logs:${REGION}:${ACCOUNT_ID}:log-group:/cortex/${CLUSTER}",
    "arn:${PARTITION}:logs:${REGION}:${ACCOUNT_ID}:log-group:/cortex/${CLUSTER}:*",
];
const ROLES: &[&str] = &["arn:${PARTITION}:iam::${ACCOUNT_ID}:role/cortex/${REGION}/${CLUSTER}/*"];
const PROFILES: &[&str] = &["arn:${PARTITION}:iam::${ACCOUNT_ID}:instance-profile/cortex/${REGION}/${CLUSTER}/*"];
const GROUPS: &[&str] = &[
    "arn:${PARTITION}:autoscaling:${REGION}:${ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/cortex-${CLUSTER}-*",
];
const ECS_CLUSTER: &[&str] = &["arn:${PARTITION}:ecs:${REGION}:${ACCOUNT_ID}:cluster/cortex-${CLUSTER}"];
const PROVIDERS: &str = "arn:${PARTITION}:ecs:${REGION}:${ACCOUNT_ID}:capacity-provider/cortex-${CLUSTER}-*";
const CONTAINER_INSTANCES: &[&str] =
    &["arn:${PARTITION}:ecs:${REGION}:${ACCOUNT_ID}:container-instance/cortex-${CLUSTER}/*"];
const ECS_SERVICES: &[&str] = &["arn:${PARTITION}:ecs:${REGION}:${ACCOUNT_ID}:service/cortex-${CLUSTER}/*"];
const FAMILIES: &[&str] = &["arn:${PARTITION}:ecs:${REGION}:${ACCOUNT_ID}:task-definition/cortex-${CLUSTER}-*:*"];
const LINKED: &[&str] = &["arn:${PARTITION}:iam::${ACCOUNT_ID}:role/aws-service-role/*"];

const GRANTS: &[Grant] = &[
    grant(
        Network,
        "LookAtNetwork",
        &[
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstances",
            "ec2:DescribeInstanceTypeOfferings",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeNatGateways",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        EVERYTHING,
        &[HERE],
    ),
    grant(
        Network,
        "MakeTagged",
        &[
            "ec2:AllocateAddress",
            "ec2:CreateInternetGateway",
            "ec2:CreateLaunchTemplate",
            "ec2:CreateNatGateway",
            "ec2:CreateRouteTable",
            "ec2:CreateSecurityGroup",
            "ec2:CreateSubnet",
            "ec2:CreateVpc",
            "ec2:CreateVpcEndpoint",
        ],
        EC2,
        &[TAGGED],
    ),
    grant(
        Network,
        "TagWhatIsMade",
        &["ec2:CreateTags"],
        EC2,
        &[
            TAGGED,
            (
                "StringEquals",
                "ec2:CreateAction",
                &[
                    "AllocateAddress",
                    "CreateInternetGateway",
                    "CreateLaunchTemplate",
                    "CreateNatGateway",
                    "CreateRouteTable",
                    "CreateSecurityGroup",
                    "CreateSubnet",
                    "CreateVpc",
                    "CreateVpcEndpoint",
                    "RunInstances",
                ],
            ),
        ],
    ),
    grant(
        Network,
        "UseAndRemoveTagged",
        &[
            "ec2:AssociateRouteTable",
            "ec2:AttachInternetGateway",
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateLaunchTemplateVersion",
            "ec2:CreateNatGateway",
            "ec2:CreateRoute",
            "ec2:CreateRouteTable",
            "ec2:CreateSubnet",
            "ec2:CreateTags",
            "ec2:CreateVpcEndpoint",
            "ec2:DeleteInternetGateway",
            "ec2:DeleteLaunchTemplate",
            "ec2:DeleteNatGateway",
            "ec2:DeleteRoute",
            "ec2:DeleteRouteTable",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteSubnet",
            "ec2:DeleteVpc",
            "ec2:DeleteVpcEndpoints",
            "ec2:DescribeVpcAttribute",
            "ec2:DetachInternetGateway",
            "ec2:DisassociateRouteTable",
            "ec2:ModifyLaunchTemplate",
            "ec2:ModifySubnetAttribute",
            "ec2:ModifyVpcAttribute",
            "ec2:ModifyVpcEndpoint",
            "ec2:ReleaseAddress",
            "ec2:ReplaceRoute",
            "ec2:ReplaceRouteTableAssociation",
            "ec2:TerminateInstances",
            "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
            "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ],
        EC2,
        &[OURS],
    ),
    // Subnets of the user's are in a VPC of the user's, which carries no tag of ours.
    grant(
        Network,
        "MakeGroupsInBroughtVpcs",
        &["ec2:CreateSecurityGroup"],
        &["arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:vpc/*"],
        &[],
    ),
    // A new VPC's default group has no tags, and nobody can give it any before it is there.
    grant(
        Network,
        "CloseOursAndDefaultGroups",
        &["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
        &["arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:security-group/*"],
        &[("StringEqualsIfExists", "aws:ResourceTag/cortex.dev/cluster-name", &["${CLUSTER}"])],
    ),
    // Auto Scaling asks whether who makes a group could start what the template says. Both rows: only by templates of ours.
    grant(Nodes, "LaunchByOurTemplates", &["ec2:RunInstances"], &[TEMPLATES], &[OURS]),
    grant(
        Nodes,
        "LaunchByTemplates",
        &["ec2:RunInstances"],
        &[
            "arn:${PARTITION}:ec2:${REGION}::image/*",
            "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:instance/*",
            "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:network-interface/*",
            "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:security-group/*",
            "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:subnet/*",
            "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:volume/*",
        ],
        &[("ArnLike", "ec2:LaunchTemplate", &[TEMPLATES])],
    ),
    grant(
        Network,
        "MakeTaggedBalancing",
        &["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"],
        &[BALANCERS, TARGETS],
        &[TAGGED],
    ),
    grant(
        Network,
        "TagBalancingThatIsMade",
        &["elasticloadbalancing:AddTags"],
        &[BALANCERS, LISTENERS, TARGETS],
        &[
            TAGGED,
            (
                "StringEquals",
                "elasticloadbalancing:CreateAction",
                &["CreateListener", "CreateLoadBalancer", "CreateTargetGroup"],
            ),
        ],
    ),
    grant(
        Network,
        "UseAndRemoveTaggedBalancing",
        &[
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:SetSubnets",
        ],
        &[BALANCERS, LISTENERS, TARGETS],
        &[OURS],
    ),
    grant(
        Nodes,
        "LookAtNodes",
        &[
            "autoscaling:DescribeAutoScalingGroups",
            "ecs:DescribeCapacityProviders",
            "ecs:DescribeTaskDefinition",
            "ecs:ListTaskDefinitionFamilies",
            "ecs:ListTaskDefinitions",
        ],
        EVERYTHING,
        &[HERE],
    ),
    grant(Storage, "LookAtRegion", &["logs:DescribeLogGroups", "servicequotas:ListServiceQuotas"], EVERYTHING, &[HERE]),
    // None of these is asked in a region of its own.
    grant(
        Storage,
        "LookAtAccount",
        &["iam:ListInstanceProfiles", "iam:ListRoles", "pricing:GetProducts", "s3:ListAllMyBuckets"],
        EVERYTHING,
        &[],
    ),
    grant(Nodes, "LookAtServices", &["ecs:ListServices"], EVERYTHING, &[("ArnEquals", "ecs:cluster", ECS_CLUSTER)]),
    grant(
        Storage,
        "LookAtImages",
        &["ssm:GetParameters"],
        &["arn:${PARTITION}:ssm:${REGION}::parameter/aws/service/*"],
        &[],
    ),
    grant(
        Storage,
        "LookAtCertificates",
        &["acm:DescribeCertificate"],
        &["arn:${PARTITION}:acm:${REGION}:${ACCOUNT_ID}:certificate/*"],
        &[],
    ),
    grant(
        Storage,
        "CheckPermissions",
        &["iam:SimulatePrincipalPolicy"],
        &["arn:${PARTITION}:iam::${ACCOUNT_ID}:role/*", "arn:${PARTITION}:iam::${ACCOUNT_ID}:user/*"],
        &[],
    ),
    grant(
        Storage,
        "CheckPolicies",
        &["iam:GetPolicy"],
        &["arn:${PARTITION}:iam::${ACCOUNT_ID}:policy/*", "arn:${PARTITION}:iam::aws:policy/*"],
        &[],
    ),
    grant(
        Storage,
        "Bucket",
        &[
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
            "s3:ListBucketVersions",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:TagResource",
        ],
        BUCKET,
        &[],
    ),
    grant(
        Storage,
        "Objects",
        &["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"],
        OBJECTS,
        &[],
    ),
    grant(
        Storage,
        "Logs",
        &[
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
        ],
        LOGS,
        &[],
    ),
    grant(
        Nodes,
        "Roles",
        &[
            "iam:AttachRolePolicy",
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:ListRolePolicies",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ],
        ROLES,
        &[],
    ),
    grant(
        Nodes,
        "PassRoles",
        &["iam:PassRole"],
        ROLES,
        &[("StringEquals", "iam:PassedToService", &["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])],
    ),
    grant(
        Nodes,
        "InstanceProfiles",
        &[
            "iam:AddRoleToInstanceProfile",
            "iam:CreateInstanceProfile",
            "iam:DeleteInstanceProfile",
            "iam:GetInstanceProfile",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagInstanceProfile",
        ],
        PROFILES,
        &[],
    ),
    // Only the first time in an account.
    grant(
        Nodes,
        "ServiceLinkedRoles",
        &["iam:CreateServiceLinkedRole"],
        LINKED,
        &[(
            "StringEquals",
            "iam:AWSServiceName",
            &["autoscaling.amazonaws.com", "ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com"],
        )],
    ),
    grant(
        Nodes,
        "MakeTaggedGroups",
        &["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"],
        GROUPS,
        &[TAGGED],
    ),
    grant(
        Nodes,
        "UseAndRemoveTaggedGroups",
        &[
            "autoscaling:AttachLoadBalancerTargetGroups",
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteAutoScalingGroup",
            "autoscaling:DetachLoadBalancerTargetGroups",
            "autoscaling:UpdateAutoScalingGroup",
        ],
        GROUPS,
        &[OURS],
    ),
    grant(
        Nodes,
        "EcsCluster",
        &[
            "ecs:CreateCluster",
            "ecs:DeleteCluster",
            "ecs:DeregisterContainerInstance",
            "ecs:DescribeClusters",
            "ecs:ListContainerInstances",
            "ecs:PutClusterCapacityProviders",
            "ecs:TagResource",
            "ecs:UpdateCluster",
        ],
        ECS_CLUSTER,
        &[],
    ),
    grant(Nodes, "ContainerInstances", &["ecs:DescribeContainerInstances"], CONTAINER_INSTANCES, &[]),
    grant(Nodes, "MakeTaggedProviders", &["ecs:CreateCapacityProvider", "ecs:TagResource"], &[PROVIDERS], &[TAGGED]),
    grant(
        Nodes,
        "UseAndRemoveTaggedProviders",
        &["ecs:DeleteCapacityProvider", "ecs:TagResource", "ecs:UpdateCapacityProvider"],
        &[PROVIDERS],
        &[OURS],
    ),
    grant(Nodes, "EcsServices", &["ecs:DeleteService", "ecs:DescribeServices"], ECS_SERVICES, &[]),
    grant(Nodes, "TaskDefinitions", &["ecs:DeleteTaskDefinitions"], FAMILIES, &[]),
    // ECS knows no resource for it.
    grant(Nodes, "DeregisterTaskDefinitions", &["ecs:DeregisterTaskDefinition"], EVERYTHING, &[HERE]),
];
