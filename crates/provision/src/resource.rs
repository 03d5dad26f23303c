//! Every kind of resource a cluster is made of, with exactly the fields that AWS is given.
//!
//! One struct serves three purposes, told apart by what stands where another resource is meant (`L`):
//!
//! - wanted, before anything exists: [`Desired`], links are [`Link`]s (`the id of subnet/public/us-east-1a`);
//! - about to be made: links are the ids themselves (`subnet-0abc`);
//! - found in the account: the same, so that wanted and found can be compared field by field.
//!
//! Whatever AWS gives back in no particular order is a set or a map here. What a struct does not have, nobody compares.

mod balancing;
mod compute;
mod iam;
mod key;
mod kind;
mod links;
mod network;
mod storage;

use serde::{Deserialize, Serialize};

pub use balancing::{HealthCheck, HealthProtocol, Listener, LoadBalancer, Protocol, TargetGroup, Tls};
pub use compute::{
    AutoScalingGroup, CapacityProvider, ClusterCapacity, EcsCluster, InstanceHealth, LaunchTemplate, Metadata, Mixed,
    SpotAllocation, Volume,
};
pub use iam::{InstanceProfile, Policy, Role};
pub use key::{Attribute, Key, Link, Ref};
pub use kind::{Kind, Service};
pub use network::{
    ElasticIp, InternetGateway, NatGateway, Peer, Ports, Route, RouteTable, Rule, SecurityGroup, Subnet, Via, Vpc,
    VpcEndpoint,
};
pub use storage::{Bucket, Encryption, Lifecycle, LogGroup, Object};

/// One resource. Serialised with its kind beside its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub enum Resource<L> {
    Vpc(Vpc),
    InternetGateway(InternetGateway<L>),
    Subnet(Subnet<L>),
    ElasticIp(ElasticIp),
    NatGateway(NatGateway<L>),
    RouteTable(RouteTable<L>),
    VpcEndpoint(VpcEndpoint<L>),
    SecurityGroup(SecurityGroup<L>),
    LoadBalancer(LoadBalancer<L>),
    TargetGroup(TargetGroup<L>),
    Listener(Listener<L>),
    Bucket(Bucket),
    Object(Object<L>),
    LogGroup(LogGroup),
    Role(Role),
    InstanceProfile(InstanceProfile<L>),
    LaunchTemplate(LaunchTemplate<L>),
    AutoScalingGroup(AutoScalingGroup<L>),
    EcsCluster(EcsCluster),
    CapacityProvider(CapacityProvider<L>),
    ClusterCapacity(ClusterCapacity<L>),
}

/// What should be.
pub type Desired = Resource<Link>;

/// What is, or is about to be: every link is what AWS calls the other resource.
pub type Concrete = Resource<String>;

/// Replaces one link; the argument of every `try_map`.
pub type Mapping<'a, L, M, E> = &'a mut dyn FnMut(L) -> Result<M, E>;

impl<L> Resource<L> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Vpc(_) => Kind::Vpc,
            Self::InternetGateway(_) => Kind::InternetGateway,
            Self::Subnet(_) => Kind::Subnet,
            Self::ElasticIp(_) => Kind::ElasticIp,
            Self::NatGateway(_) => Kind::NatGateway,
            Self::RouteTable(_) => Kind::RouteTable,
            Self::VpcEndpoint(_) => Kind::VpcEndpoint,
            Self::SecurityGroup(_) => Kind::SecurityGroup,
            Self::LoadBalancer(_) => Kind::LoadBalancer,
            Self::TargetGroup(_) => Kind::TargetGroup,
            Self::Listener(_) => Kind::Listener,
            Self::Bucket(_) => Kind::Bucket,
            Self::Object(_) => Kind::Object,
            Self::LogGroup(_) => Kind::LogGroup,
            Self::Role(_) => Kind::Role,
            Self::InstanceProfile(_) => Kind::InstanceProfile,
            Self::LaunchTemplate(_) => Kind::LaunchTemplate,
            Self::AutoScalingGroup(_) => Kind::AutoScalingGroup,
            Self::EcsCluster(_) => Kind::EcsCluster,
            Self::CapacityProvider(_) => Kind::CapacityProvider,
            Self::ClusterCapacity(_) => Kind::ClusterCapacity,
        }
    }
}

impl<L: Ord> Resource<L> {
    /// The same resource with every link replaced.
    ///
    /// # Errors
    ///
    /// The first one of `f`.
    pub fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<Resource<M>, E> {
        Ok(match self {
            Self::Vpc(r) => Resource::Vpc(r),
            Self::InternetGateway(r) => Resource::InternetGateway(r.try_map(f)?),
            Self::Subnet(r) => Resource::Subnet(r.try_map(f)?),
            Self::ElasticIp(r) => Resource::ElasticIp(r),
            Self::NatGateway(r) => Resource::NatGateway(r.try_map(f)?),
            Self::RouteTable(r) => Resource::RouteTable(r.try_map(f)?),
            Self::VpcEndpoint(r) => Resource::VpcEndpoint(r.try_map(f)?),
            Self::SecurityGroup(r) => Resource::SecurityGroup(r.try_map(f)?),
            Self::LoadBalancer(r) => Resource::LoadBalancer(r.try_map(f)?),
            Self::TargetGroup(r) => Resource::TargetGroup(r.try_map(f)?),
            Self::Listener(r) => Resource::Listener(r.try_map(f)?),
            Self::Bucket(r) => Resource::Bucket(r),
            Self::Object(r) => Resource::Object(r.try_map(f)?),
            Self::LogGroup(r) => Resource::LogGroup(r),
            Self::Role(r) => Resource::Role(r),
            Self::InstanceProfile(r) => Resource::InstanceProfile(r.try_map(f)?),
            Self::LaunchTemplate(r) => Resource::LaunchTemplate(r.try_map(f)?),
            Self::AutoScalingGroup(r) => Resource::AutoScalingGroup(r.try_map(f)?),
            Self::EcsCluster(r) => Resource::EcsCluster(r),
            Self::CapacityProvider(r) => Resource::CapacityProvider(r.try_map(f)?),
            Self::ClusterCapacity(r) => Resource::ClusterCapacity(r.try_map(f)?),
        })
    }
}

/// A set with every member's links replaced.
fn map_set<T, U: Ord, E>(
    set: std::collections::BTreeSet<T>,
    mut f: impl FnMut(T) -> Result<U, E>,
) -> Result<std::collections::BTreeSet<U>, E> {
    set.into_iter().map(&mut f).collect()
}
