//! What is allowed on nodes, on the roles that they have, and on ECS.

use super::{EVERYTHING, Grant, HERE, OURS, TAGGED, grant};

const TEMPLATES: &str = "arn:${PARTITION}:ec2:${REGION}:${ACCOUNT_ID}:launch-template/*";
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

pub(super) const GRANTS: &[Grant] = &[
    // Auto Scaling asks whether who makes a group could start what the template says. Both rows: only by templates of ours.
    grant("LaunchByOurTemplates", &["ec2:RunInstances"], &[TEMPLATES], &[OURS]),
    grant(
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
    grant("LookAtServices", &["ecs:ListServices"], EVERYTHING, &[("ArnEquals", "ecs:cluster", ECS_CLUSTER)]),
    grant(
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
        "PassRoles",
        &["iam:PassRole"],
        ROLES,
        &[("StringEquals", "iam:PassedToService", &["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])],
    ),
    grant(
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
        "MakeTaggedGroups",
        &["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"],
        GROUPS,
        &[TAGGED],
    ),
    grant(
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
    grant("ContainerInstances", &["ecs:DescribeContainerInstances"], CONTAINER_INSTANCES, &[]),
    grant("MakeTaggedProviders", &["ecs:CreateCapacityProvider", "ecs:TagResource"], &[PROVIDERS], &[TAGGED]),
    grant(
        "UseAndRemoveTaggedProviders",
        &["ecs:DeleteCapacityProvider", "ecs:TagResource", "ecs:UpdateCapacityProvider"],
        &[PROVIDERS],
        &[OURS],
    ),
    grant("EcsServices", &["ecs:DeleteService", "ecs:DescribeServices"], ECS_SERVICES, &[]),
    grant("TaskDefinitions", &["ecs:DeleteTaskDefinitions"], FAMILIES, &[]),
    // ECS knows no resource for it.
    grant("DeregisterTaskDefinitions", &["ecs:DeregisterTaskDefinition"], EVERYTHING, &[HERE]),
];
