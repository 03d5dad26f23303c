//! `provider: aws`: the checked model of a cluster in an AWS account.
//!
//! Everything that can be judged without asking AWS has been judged; whether zones, instance types, certificates, policies
//! and subnets exist is preflight's business.

mod access;
mod check;
mod names;
mod network;
mod node_groups;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use check::read;
pub(super) use written::Written;

use super::Telemetry;
use crate::Secret;

/// A cluster on AWS, checked and with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    pub region: String,
    /// Bucket of the cluster; named after cluster, account and region if absent.
    pub bucket: Option<String>,
    /// On every resource, besides cortex's own.
    pub tags: BTreeMap<String, String>,
    pub network: Network,
    pub load_balancers: LoadBalancers,
    /// The user's group for the load balancers, instead of our own.
    pub security_group: Option<SecurityGroup>,
    pub certificate: Certificate,
    /// Serve APIs over plain HTTP on port 80 instead of redirecting.
    pub api_http: bool,
    /// Additional policies of the roles that replicas run with.
    pub iam_policy_arns: Vec<String>,
    /// One of the values CloudWatch Logs knows.
    pub log_retention_days: u32,
    pub control_plane: ControlPlane,
    /// At least one; names are unique.
    pub node_groups: Vec<NodeGroup>,
    /// First match decides; empty means that every IAM user and role of the account is `admin`.
    pub operator_access: Vec<AccessRule>,
    /// Nothing is traced without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Used for creating the cluster, instead of the standard AWS settings. Never stored.
    #[serde(skip)]
    pub create_credentials: Option<Credentials>,
    /// What the cluster itself runs with, instead of its instance role. Never part of the stored configuration.
    #[serde(skip)]
    pub runtime_credentials: Option<Credentials>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Of the subnets that nodes run in.
    pub visibility: Visibility,
    pub vpc: Vpc,
}

/// Whose VPC it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Vpc {
    /// Made by us, deleted with the cluster.
    Own {
        cidr: Ipv4Net,
        /// Empty: the first usable ones of the region.
        availability_zones: Vec<String>,
        nat_gateway: Nat,
    },
    /// The user's; never changed. Egress is the user's too.
    Brought {
        /// Nodes run here.
        subnets: Vec<Subnet>,
        /// Load balancers stand here; the same as `subnets` unless said otherwise.
        load_balancer_subnets: Vec<Subnet>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    pub availability_zone: String,
    pub subnet_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Nodes have public addresses.
    Public,
    Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    None,
    /// One for all zones.
    Single,
    /// One per zone.
    HighlyAvailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancers {
    /// Resolved: `Shared` only if the schemes are equal.
    pub sharing: Sharing,
    pub api: LoadBalancer,
    pub operator: LoadBalancer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    pub scheme: Scheme,
    /// Who may connect. Never empty.
    pub cidr_white_list: Vec<Ipv4Net>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// One load balancer for APIs and operator.
    Shared,
    /// One each.
    Dedicated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    InternetFacing,
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecurityGroup {
    /// Exists.
    Id(String),
    /// Made if it does not exist.
    Name(String),
}

/// What the load balancers present to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Certificate {
    /// Issued by the cluster's own authority.
    Cluster,
    /// Kept in ACM; the load balancer ends TLS.
    Acm { arn: String },
    /// The user's PEM files, as written: relative to the directory of `cluster.yaml`.
    Files { certificate_path: PathBuf, private_key_path: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlPlane {
    pub instances: u32,
    pub instance_type: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeGroup {
    pub name: String,
    pub instance_type: String,
    pub min_instances: u32,
    /// At least 1, at least `min_instances`.
    pub max_instances: u32,
    pub volume: Volume,
    /// Absent: on-demand instances only.
    pub spot: Option<Spot>,
}

/// The boot volume of a node; always encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    pub r#type: VolumeType,
    pub size_gib: u32,
    /// `gp3` and `io1`.
    pub iops: Option<u32>,
    /// MiB/s; `gp3`.
    pub throughput: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VolumeType {
    Gp2,
    Gp3,
    Io1,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// The types to choose from, in order of preference; the group's own is always the first.
    pub instance_distribution: Vec<String>,
    pub on_demand_base_capacity: u32,
    pub on_demand_percentage_above_base_capacity: u32,
    /// US dollars per instance and hour; the on-demand price if absent.
    pub max_price: Option<f64>,
    pub instance_pools: u32,
}

/// What one principal, or all whose ARN begins alike, may ask of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// ARN of an IAM user or role; a `*` at its end stands for anything.
    pub principal: String,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Deploy and delete APIs, and read.
    Deploy,
    Read,
}

/// A pair of AWS keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Secret,
}
