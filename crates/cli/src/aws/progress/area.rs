//! What belongs together, for people.

use provision::resource::{Key, Kind};

/// In the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Network,
    Security,
    LoadBalancing,
    Storage,
    Roles,
    Nodes,
    Apis,
    /// What some other version has made.
    Other,
}

impl Area {
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Vpc
            | Kind::InternetGateway
            | Kind::Subnet
            | Kind::ElasticIp
            | Kind::NatGateway
            | Kind::RouteTable
            | Kind::VpcEndpoint => Self::Network,
            Kind::SecurityGroup => Self::Security,
            Kind::LoadBalancer | Kind::TargetGroup | Kind::Listener => Self::LoadBalancing,
            Kind::Bucket | Kind::Object | Kind::LogGroup => Self::Storage,
            Kind::Role | Kind::InstanceProfile => Self::Roles,
            Kind::LaunchTemplate
            | Kind::AutoScalingGroup
            | Kind::EcsCluster
            | Kind::CapacityProvider
            | Kind::ClusterCapacity
            | Kind::Instance => Self::Nodes,
            Kind::EcsService | Kind::TaskDefinition => Self::Apis,
        }
    }

    /// By the key's first part, which is the kind.
    pub fn of_key(key: &Key) -> Self {
        let kind = key.as_str().split('/').next().unwrap_or_default();
        let kinds = Kind::WANTED.iter().chain(Kind::GROWN);
        kinds.copied().find(|known| known.as_str() == kind).map_or(Self::Other, Self::of)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Security => "security",
            Self::LoadBalancing => "load balancing",
            Self::Storage => "storage",
            Self::Roles => "roles",
            Self::Nodes => "nodes",
            Self::Apis => "apis",
            Self::Other => "other",
        }
    }
}
