//! What control nodes are told, by way of an object in the bucket: all that is not secret and not known to the user data.

pub use api::cluster::NODE_CONFIG_KEY;
use provision::{cloud::ClusterId, names};
use serde::{Deserialize, Serialize};
use spec::cluster::Telemetry;

/// Public within the account: nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeConfig {
    pub cluster: String,
    pub region: String,
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: String,
    pub account_id: String,
    pub bucket: String,
    pub ecs_cluster: String,
    pub log_group: String,
    pub task_role_arn: String,
    /// The roles of the cluster's own machines and tasks, by ARN: they have no business at the operator.
    pub own_roles: Vec<String>,
    /// Runs the replicas' containers: Python, and a glibc that the node binary can use.
    pub image: String,
    /// Object with the keys that the cluster runs with instead of its instance role.
    pub runtime_keys: Option<String>,
    /// Serve APIs without TLS on port 80 instead of redirecting.
    pub api_http: bool,
    /// As in [`api::cluster::TelemetryRecord`]: gateways and tasks look for it here while they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// The official image of Docker's library, as Amazon mirrors it: no account and no rate limit of another registry.
const IMAGE: &str = "public.ecr.aws/docker/library/python:3.12-slim-bookworm";

impl NodeConfig {
    pub fn new(cluster: &ClusterId, partition: &str, bucket: &str) -> Self {
        Self {
            cluster: cluster.name.clone(),
            region: cluster.region.clone(),
            partition: partition.to_owned(),
            account_id: cluster.account_id.clone(),
            bucket: bucket.to_owned(),
            ecs_cluster: names::ecs_cluster(cluster),
            log_group: names::log_group(cluster),
            task_role_arn: names::role_arn(partition, cluster, "task"),
            own_roles: ["control", "worker", "task"].map(|role| names::role_arn(partition, cluster, role)).into(),
            image: IMAGE.to_owned(),
            runtime_keys: None,
            api_http: false,
            telemetry: None,
        }
    }
}

/// Secret: under `private/` only.
#[derive(Clone, Serialize, Deserialize)]
pub struct RuntimeKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
}
