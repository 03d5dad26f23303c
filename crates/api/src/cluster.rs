//! What a cluster knows of itself: written once by `cluster up`, read by every process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::cluster::Telemetry;
use time::OffsetDateTime;

use crate::openapi::Moment;

/// State key of the [`ClusterRecord`].
pub const CLUSTER_KEY: &str = "cluster.json";
/// State key of the cluster's certificate authority with its key.
pub const AUTHORITY_KEY: &str = "private/authority.json";
/// State key of the [`CaRecord`].
pub const CA_KEY: &str = "ca.json";
/// State key of the [`ApiCertificate`].
pub const CERTIFICATE_KEY: &str = "config/certificate.json";
/// State key of who may use the operator ([`identity::sts::OperatorAccess`]), on AWS.
pub const ACCESS_KEY: &str = "config/access.json";
/// State key of what control nodes are told, on AWS. A [`TelemetryRecord`] is part of it.
pub const NODE_CONFIG_KEY: &str = "config/node.json";
/// State key of the key that sessions are made with.
pub const SESSION_KEY: &str = "private/session.json";
/// State key of the [`ApiKeyRecord`] made with the cluster.
pub const DEFAULT_API_KEY_KEY: &str = "private/api-keys/default.json";
/// Id of that key in `keys.json`.
pub const DEFAULT_API_KEY_ID: &str = "default";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    pub name: String,
    /// `local` or `aws`.
    pub provider: String,
    /// Where clients of APIs go: `https://host:port`.
    pub api_endpoint: String,
    /// Where the CLI goes: `https://host:port`.
    pub operator_endpoint: String,
    /// DNS names and IP addresses in the servers' certificates.
    pub host_names: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The authority's certificate, for those who may not read its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRecord {
    /// PEM.
    pub certificate: String,
}

/// Where gateways and replicas send traces: written by every `cluster up`, followed while they run. On one machine a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetryRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// What clients of APIs are shown: written by every `cluster up`. Local clusters have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum ApiCertificate {
    /// One of the cluster's authority, for the endpoint's own name.
    #[default]
    Cluster,
    /// One of AWS Certificate Manager: the load balancer ends TLS, and clients verify by the public authorities.
    Acm {
        /// DNS names, perhaps with a `*`.
        names: Vec<String>,
    },
    /// The user's. Who asks for the endpoint's own name is shown the authority's all the same.
    User {
        names: Vec<String>,
        #[serde(with = "time::serde::rfc3339")]
        #[schemars(with = "Moment")]
        not_after: OffsetDateTime,
        /// State key of the [`CertificatePem`].
        object: String,
    },
}

/// A certificate with its key, PEM. Secret: only under `private/`.
#[derive(Clone, Serialize, Deserialize)]
pub struct CertificatePem {
    /// Leaf first.
    pub chain: String,
    pub key: String,
}

/// An API key's value. Secret: only under `private/`.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    pub value: String,
    /// So that one which nobody came to name (a crash) can be told from one which is about to be named.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub made_at: Option<OffsetDateTime>,
}
