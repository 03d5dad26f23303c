//! Which action is for what, and when: by kind of resource, each as its module of `aws-infra` calls it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::Kind;

/// When an action is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Before anything is made. Who may not is not stopped: the check is left out.
    Check,
    /// By every command.
    Look,
    Make,
    Change,
    Remove,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check",
            Self::Look => "look at",
            Self::Make => "make",
            Self::Change => "change",
            Self::Remove => "remove",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Of(Kind),
    /// What is no resource of the cluster.
    Other(&'static str),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(kind) => kind.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// One action of one purpose.
pub(super) fn rows() -> impl Iterator<Item = (Purpose, Use, &'static str)> {
    NEEDS.iter().flat_map(|(purpose, when, actions)| actions.iter().map(|action| (*purpose, *when, *action)))
}

use Kind as K;
use Purpose::{Of, Other};
use Use::{Change, Check, Look, Make, Remove};

type Row = (Purpose, Use, &'static [&'static str]);

/// "Tagging" is the same everywhere: it takes a permission of its own also where the creating call does it.
const NEEDS: &[Row] = &[
    // What a cluster needs to know of the account.
    (Other("the zones"), Look, &["ec2:DescribeAvailabilityZones", "ec2:DescribeInstanceTypeOfferings"]),
    (Other("the nodes' images"), Look, &["ssm:GetParameters"]),
    (Other("who may use the operator"), Look, &["iam:GetRole", "iam:GetUser"]),
    (Other("your own network"), Look, &["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]),
    (Other("the health of control nodes"), Look, &["elasticloadbalancing:DescribeTargetHealth"]),
    (Other("your certificate"), Check, &["acm:DescribeCertificate"]),
    (Other("instance types"), Check, &["ec2:DescribeInstanceTypes"]),
    (Other("prices"), Check, &["pricing:GetProducts"]),
    (Other("quotas"), Check, &["servicequotas:ListServiceQuotas"]),
    (Other("permissions"), Check, &["iam:SimulatePrincipalPolicy"]),
    (Other("your policies"), Check, &["iam:GetPolicy"]),
    // Network.
    (Of(K::Vpc), Look, &["ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeSecurityGroups"]),
    (Of(K::Vpc), Make, &["ec2:CreateVpc", "ec2:CreateTags", "ec2:ModifyVpcAttribute"]),
    // A new VPC has a default security group that lets its members talk.
    (Of(K::Vpc), Make, &["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"]),
    (Of(K::Vpc), Change, &["ec2:ModifyVpcAttribute", "ec2:CreateTags"]),
    (Of(K::Vpc), Remove, &["ec2:DeleteVpc"]),
    (Of(K::InternetGateway), Look, &["ec2:DescribeInternetGateways"]),
    (Of(K::InternetGateway), Make, &["ec2:CreateInternetGateway", "ec2:CreateTags", "ec2:AttachInternetGateway"]),
    (Of(K::InternetGateway), Remove, &["ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"]),
    (Of(K::Subnet), Look, &["ec2:DescribeSubnets"]),
    (Of(K::Subnet), Make, &["ec2:CreateSubnet", "ec2:CreateTags", "ec2:ModifySubnetAttribute"]),
    (Of(K::Subnet), Change, &["ec2:ModifySubnetAttribute"]),
    (Of(K::Subnet), Remove, &["ec2:DeleteSubnet"]),
    (Of(K::ElasticIp), Look, &["ec2:DescribeAddresses"]),
    (Of(K::ElasticIp), Make, &["ec2:AllocateAddress", "ec2:CreateTags"]),
    (Of(K::ElasticIp), Remove, &["ec2:ReleaseAddress"]),
    (Of(K::NatGateway), Look, &["ec2:DescribeNatGateways"]),
    (Of(K::NatGateway), Make, &["ec2:CreateNatGateway", "ec2:CreateTags"]),
    (Of(K::NatGateway), Remove, &["ec2:DeleteNatGateway"]),
    (Of(K::RouteTable), Look, &["ec2:DescribeRouteTables"]),
    (
        Of(K::RouteTable),
        Make,
        &["ec2:CreateRouteTable", "ec2:CreateTags", "ec2:CreateRoute", "ec2:AssociateRouteTable"],
    ),
    (Of(K::RouteTable), Change, &["ec2:ReplaceRoute", "ec2:DeleteRoute", "ec2:ReplaceRouteTableAssociation"]),
    (Of(K::RouteTable), Remove, &["ec2:DisassociateRouteTable", "ec2:DeleteRouteTable"]),
    (Of(K::VpcEndpoint), Look, &["ec2:DescribeVpcEndpoints"]),
    (Of(K::VpcEndpoint), Make, &["ec2:CreateVpcEndpoint", "ec2:CreateTags"]),
    (Of(K::VpcEndpoint), Change, &["ec2:ModifyVpcEndpoint"]),
    (Of(K::VpcEndpoint), Remove, &["ec2:DeleteVpcEndpoints"]),
    (Of(K::SecurityGroup), Look, &["ec2:DescribeSecurityGroups"]),
    (Of(K::SecurityGroup), Make, &["ec2:CreateSecurityGroup", "ec2:CreateTags"]),
    (Of(K::SecurityGroup), Make, &["ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress"]),
    // The rule for everything that goes out, which a new group has.
    (Of(K::SecurityGroup), Make, &["ec2:RevokeSecurityGroupEgress"]),
    (Of(K::SecurityGroup), Change, &["ec2:RevokeSecurityGroupIngress"]),
    (Of(K::SecurityGroup), Change, &["ec2:UpdateSecurityGroupRuleDescriptionsIngress"]),
    (Of(K::SecurityGroup), Change, &["ec2:UpdateSecurityGroupRuleDescriptionsEgress"]),
    (Of(K::SecurityGroup), Remove, &["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"]),
    (Of(K::SecurityGroup), Remove, &["ec2:DeleteSecurityGroup"]),
    // Load balancing.
    (Of(K::LoadBalancer), Look, &["elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTags"]),
    (Of(K::LoadBalancer), Look, &["elasticloadbalancing:DescribeLoadBalancerAttributes"]),
    (Of(K::LoadBalancer), Make, &["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:AddTags"]),
    (Of(K::LoadBalancer), Make, &["elasticloadbalancing:ModifyLoadBalancerAttributes", "iam:CreateServiceLinkedRole"]),
    (Of(K::LoadBalancer), Change, &["elasticloadbalancing:SetSubnets", "elasticloadbalancing:SetSecurityGroups"]),
    (Of(K::LoadBalancer), Change, &["elasticloadbalancing:AddTags"]),
    (Of(K::LoadBalancer), Remove, &["elasticloadbalancing:DeleteLoadBalancer"]),
    (Of(K::TargetGroup), Look, &["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTags"]),
    (Of(K::TargetGroup), Look, &["elasticloadbalancing:DescribeTargetGroupAttributes"]),
    (Of(K::TargetGroup), Make, &["elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags"]),
    (Of(K::TargetGroup), Make, &["elasticloadbalancing:ModifyTargetGroupAttributes"]),
    (Of(K::TargetGroup), Change, &["elasticloadbalancing:ModifyTargetGroup"]),
    (Of(K::TargetGroup), Remove, &["elasticloadbalancing:DeleteTargetGroup"]),
    (Of(K::Listener), Look, &["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeTags"]),
    (Of(K::Listener), Make, &["elasticloadbalancing:CreateListener", "elasticloadbalancing:AddTags"]),
    (Of(K::Listener), Change, &["elasticloadbalancing:ModifyListener"]),
    (Of(K::Listener), Remove, &["elasticloadbalancing:DeleteListener"]),
    // The bucket and the log group.
    (Of(K::Bucket), Look, &["s3:GetBucketTagging", "s3:GetBucketPublicAccessBlock", "s3:GetBucketOwnershipControls"]),
    (Of(K::Bucket), Look, &["s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetBucketPolicy"]),
    (Of(K::Bucket), Look, &["s3:GetLifecycleConfiguration"]),
    (Of(K::Bucket), Make, &["s3:CreateBucket", "s3:TagResource", "s3:PutBucketTagging"]),
    (Of(K::Bucket), Make, &["s3:PutBucketPublicAccessBlock", "s3:PutBucketOwnershipControls"]),
    (Of(K::Bucket), Make, &["s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutBucketPolicy"]),
    (Of(K::Bucket), Make, &["s3:PutLifecycleConfiguration"]),
    (Of(K::Bucket), Remove, &["s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"]),
    (Of(K::Bucket), Remove, &["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucket"]),
    (Of(K::Object), Look, &["s3:ListBucket", "s3:GetObject"]),
    (Of(K::Object), Make, &["s3:PutObject"]),
    (Other("the lease of `up` and `down`"), Make, &["s3:GetObject", "s3:PutObject"]),
    (Other("the lease of `up` and `down`"), Remove, &["s3:DeleteObject"]),
    (Other("a cluster of which only the name is known"), Look, &["s3:ListAllMyBuckets"]),
    (Of(K::LogGroup), Look, &["logs:DescribeLogGroups", "logs:ListTagsForResource"]),
    (Of(K::LogGroup), Make, &["logs:CreateLogGroup", "logs:TagResource", "logs:PutRetentionPolicy"]),
    (Of(K::LogGroup), Change, &["logs:PutRetentionPolicy", "logs:TagResource"]),
    (Of(K::LogGroup), Remove, &["logs:DeleteLogGroup"]),
    // Who nodes and replicas are.
    (Of(K::Role), Look, &["iam:ListRoles", "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy"]),
    (Of(K::Role), Look, &["iam:ListAttachedRolePolicies"]),
    (Of(K::Role), Make, &["iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"]),
    (Of(K::Role), Change, &["iam:UpdateRole", "iam:UpdateAssumeRolePolicy"]),
    (Of(K::Role), Remove, &["iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:ListInstanceProfilesForRole"]),
    (Of(K::Role), Remove, &["iam:RemoveRoleFromInstanceProfile", "iam:DeleteRole"]),
    (Of(K::InstanceProfile), Look, &["iam:ListInstanceProfiles", "iam:GetInstanceProfile"]),
    (Of(K::InstanceProfile), Make, &["iam:CreateInstanceProfile", "iam:TagInstanceProfile"]),
    (Of(K::InstanceProfile), Make, &["iam:AddRoleToInstanceProfile", "iam:PassRole"]),
    (Of(K::InstanceProfile), Remove, &["iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"]),
    // Nodes.
    (Of(K::LaunchTemplate), Look, &["ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"]),
    (Of(K::LaunchTemplate), Make, &["ec2:CreateLaunchTemplate", "ec2:CreateTags"]),
    (Of(K::LaunchTemplate), Change, &["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"]),
    (Of(K::LaunchTemplate), Remove, &["ec2:DeleteLaunchTemplate"]),
    (Of(K::AutoScalingGroup), Look, &["autoscaling:DescribeAutoScalingGroups"]),
    (Of(K::AutoScalingGroup), Make, &["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"]),
    // Of what the group's launch template says.
    (Of(K::AutoScalingGroup), Make, &["ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"]),
    (Of(K::AutoScalingGroup), Make, &["iam:CreateServiceLinkedRole"]),
    (Of(K::AutoScalingGroup), Change, &["autoscaling:UpdateAutoScalingGroup"]),
    (Of(K::AutoScalingGroup), Change, &["autoscaling:AttachLoadBalancerTargetGroups"]),
    (Of(K::AutoScalingGroup), Change, &["autoscaling:DetachLoadBalancerTargetGroups"]),
    (Of(K::AutoScalingGroup), Remove, &["autoscaling:DeleteAutoScalingGroup"]),
    (Of(K::Instance), Look, &["ec2:DescribeInstances"]),
    (Of(K::Instance), Remove, &["ec2:TerminateInstances"]),
    // ECS.
    (Of(K::EcsCluster), Look, &["ecs:DescribeClusters"]),
    (Of(K::EcsCluster), Make, &["ecs:CreateCluster", "ecs:TagResource", "iam:CreateServiceLinkedRole"]),
    (Of(K::EcsCluster), Change, &["ecs:UpdateCluster", "ecs:TagResource"]),
    (
        Of(K::EcsCluster),
        Remove,
        &["ecs:ListContainerInstances", "ecs:DeregisterContainerInstance", "ecs:DeleteCluster"],
    ),
    (Other("health of workers"), Check, &["ecs:ListContainerInstances", "ecs:DescribeContainerInstances"]),
    (Of(K::CapacityProvider), Look, &["ecs:DescribeCapacityProviders"]),
    // ECS puts a tag of its own on the group.
    (
        Of(K::CapacityProvider),
        Make,
        &["ecs:CreateCapacityProvider", "ecs:TagResource", "autoscaling:CreateOrUpdateTags"],
    ),
    (Of(K::CapacityProvider), Change, &["ecs:UpdateCapacityProvider"]),
    (Of(K::CapacityProvider), Remove, &["ecs:DeleteCapacityProvider"]),
    (Of(K::ClusterCapacity), Look, &["ecs:DescribeClusters"]),
    (Of(K::ClusterCapacity), Make, &["ecs:PutClusterCapacityProviders"]),
    (Of(K::EcsService), Look, &["ecs:ListServices", "ecs:DescribeServices"]),
    (Of(K::EcsService), Remove, &["ecs:DeleteService"]),
    (Of(K::TaskDefinition), Look, &["ecs:ListTaskDefinitionFamilies", "ecs:DescribeTaskDefinition"]),
    (Of(K::TaskDefinition), Look, &["ecs:ListTaskDefinitions"]),
    (Of(K::TaskDefinition), Remove, &["ecs:DeregisterTaskDefinition", "ecs:DeleteTaskDefinitions"]),
];
