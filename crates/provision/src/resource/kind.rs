//! The kinds of resources, and what is true of all resources of a kind.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Vpc,
    InternetGateway,
    Subnet,
    ElasticIp,
    NatGateway,
    RouteTable,
    VpcEndpoint,
    SecurityGroup,
    LoadBalancer,
    TargetGroup,
    Listener,
    Bucket,
    Object,
    LogGroup,
    Role,
    InstanceProfile,
    LaunchTemplate,
    AutoScalingGroup,
    EcsCluster,
    CapacityProvider,
    ClusterCapacity,
    /// An EC2 instance of one of the groups. Never wanted by itself: found, so that `down` can end it.
    Instance,
    /// An ECS service the operator made. Never wanted by `up`, like the next.
    EcsService,
    /// A family of ECS task definitions the operator registered.
    TaskDefinition,
}

/// Whose request limits a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    Ec2,
    Elb,
    S3,
    Logs,
    Iam,
    AutoScaling,
    Ecs,
}

impl Kind {
    /// What `up` makes, dependencies first.
    pub const WANTED: &[Self] = &[
        Self::Vpc,
        Self::InternetGateway,
        Self::Subnet,
        Self::ElasticIp,
        Self::NatGateway,
        Self::RouteTable,
        Self::VpcEndpoint,
        Self::SecurityGroup,
        Self::LoadBalancer,
        Self::TargetGroup,
        Self::Listener,
        Self::Bucket,
        Self::Object,
        Self::LogGroup,
        Self::Role,
        Self::InstanceProfile,
        Self::LaunchTemplate,
        Self::AutoScalingGroup,
        Self::EcsCluster,
        Self::CapacityProvider,
        Self::ClusterCapacity,
    ];

    /// What else the cluster makes while it runs, and `down` removes.
    pub const GROWN: &[Self] = &[Self::Instance, Self::EcsService, Self::TaskDefinition];

    /// Kinds whose observation takes the same answers: observed together they take fewer calls.
    pub const TOGETHER: &[&[Self]] = &[
        &[Self::LoadBalancer, Self::TargetGroup, Self::Listener],
        &[Self::Bucket, Self::Object],
        &[Self::EcsCluster, Self::ClusterCapacity, Self::EcsService],
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vpc => "vpc",
            Self::InternetGateway => "internet-gateway",
            Self::Subnet => "subnet",
            Self::ElasticIp => "elastic-ip",
            Self::NatGateway => "nat-gateway",
            Self::RouteTable => "route-table",
            Self::VpcEndpoint => "vpc-endpoint",
            Self::SecurityGroup => "security-group",
            Self::LoadBalancer => "load-balancer",
            Self::TargetGroup => "target-group",
            Self::Listener => "listener",
            Self::Bucket => "bucket",
            Self::Object => "object",
            Self::LogGroup => "log-group",
            Self::Role => "role",
            Self::InstanceProfile => "instance-profile",
            Self::LaunchTemplate => "launch-template",
            Self::AutoScalingGroup => "auto-scaling-group",
            Self::EcsCluster => "ecs-cluster",
            Self::CapacityProvider => "capacity-provider",
            Self::ClusterCapacity => "cluster-capacity",
            Self::Instance => "instance",
            Self::EcsService => "ecs-service",
            Self::TaskDefinition => "task-definition",
        }
    }

    pub fn service(self) -> Service {
        match self {
            Self::Vpc
            | Self::InternetGateway
            | Self::Subnet
            | Self::ElasticIp
            | Self::NatGateway
            | Self::RouteTable
            | Self::VpcEndpoint
            | Self::SecurityGroup
            | Self::LaunchTemplate
            | Self::Instance => Service::Ec2,
            Self::LoadBalancer | Self::TargetGroup | Self::Listener => Service::Elb,
            Self::Bucket | Self::Object => Service::S3,
            Self::LogGroup => Service::Logs,
            Self::Role | Self::InstanceProfile => Service::Iam,
            Self::AutoScalingGroup => Service::AutoScaling,
            Self::EcsCluster
            | Self::CapacityProvider
            | Self::ClusterCapacity
            | Self::EcsService
            | Self::TaskDefinition => Service::Ecs,
        }
    }

    /// Whether it can carry tags. The others are found by a deterministic name, inside something that carries them.
    pub fn taggable(self) -> bool {
        !matches!(self, Self::Object | Self::ClusterCapacity)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Service {
    pub const ALL: &[Self] = &[Self::Ec2, Self::Elb, Self::S3, Self::Logs, Self::Iam, Self::AutoScaling, Self::Ecs];
}
