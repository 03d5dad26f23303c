//! Bodies of the operator's HTTP API.

use identity::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::realtime::Api;
use time::OffsetDateTime;

use crate::{
    cluster::ApiCertificate,
    openapi::{Moment, PrincipalForm},
};

/// Every refusal, of the operator and of the gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// Stable, for scripts.
    pub kind: String,
    /// For people: what is wrong and what to do.
    pub message: String,
    pub request_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    pub cluster_name: String,
    /// `local` or `aws`.
    pub provider: String,
    /// Version of the operator.
    pub version: String,
    /// Where clients of APIs go: `https://host:port`.
    pub api_endpoint: String,
    /// The cluster's certificate authority, PEM.
    pub ca_certificate: String,
    /// What clients of APIs are shown.
    #[serde(default)]
    pub api_certificate: ApiCertificate,
    pub apis: usize,
    pub replicas_ready: usize,
    /// Version of the routes; a gateway that serves them says the same at `/healthz`.
    pub routes_version: Option<String>,
}

/// A gateway's answer to `GET /healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayHealth {
    /// `ok`.
    pub status: String,
    /// Version of the routes it serves; absent while it has none from the State.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// SHA-256 of an uploaded bundle, lower-case hex.
    pub bundle: String,
    pub apis: Vec<Api>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployReply {
    /// One per API of the request, in its order.
    pub apis: Vec<Deployed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    pub name: String,
    pub action: DeployAction,
    /// Counts the deploys of this API that changed something.
    pub generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeployAction {
    Created,
    Updated,
    /// Exactly this is deployed already.
    Unchanged,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiList {
    pub apis: Vec<ApiSummary>,
}

/// One API in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiSummary {
    pub name: String,
    pub status: ApiStatus,
    /// One line: why it is not live, or what it is doing. Empty when all is well.
    pub message: String,
    /// Full URL.
    pub endpoint: String,
    /// What answers requests: `onnx`, `python` or `container`.
    pub predictor: String,
    pub generation: u64,
    pub replicas: ReplicaCounts,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

/// What a caller of the API sees comes first: `Live`, `Updating` and `UpdateFailed` answer requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiStatus {
    /// Every wanted replica of the present version is ready.
    Live,
    /// An older version, or part of the present one, serves while the rest gets ready.
    Updating,
    /// Nothing serves yet.
    Starting,
    /// An older version serves; the present one does not get ready.
    UpdateFailed,
    /// Nothing serves, and the present version does not get ready.
    Failed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaCounts {
    pub wanted: u32,
    /// Ready, of any version.
    pub ready: u32,
    /// Ready, of the present version.
    pub up_to_date: u32,
    pub failed: u32,
}

/// One API in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiDetail {
    #[serde(flatten)]
    pub summary: ApiSummary,
    pub spec: Api,
    pub bundle: String,
    pub replicas_detail: Vec<ReplicaDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaDetail {
    pub id: String,
    pub up_to_date: bool,
    pub phase: ReplicaPhase,
    pub message: String,
    /// Times it was started again after it had ended.
    pub restarts: u32,
}

/// The phases of [`crate::replica::Phase`], and what only the engine knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaPhase {
    Starting,
    Ready,
    Draining,
    /// It ended and will be started again after a pause.
    BackingOff,
}

/// One line of a log. Times of lines that carry none are those of their arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// RFC 3339, UTC.
    pub time: String,
    pub replica: String,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: String,
    /// `predictor` for what the user's code prints, else the part of the product.
    pub source: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogQuery {
    #[serde(default)]
    pub follow: bool,
    /// The last lines that are there already.
    #[serde(default = "default_tail")]
    pub tail: usize,
}

fn default_tail() -> usize {
    200
}

/// The value of an API key; goes to the administrator who asked for it and nowhere else.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyReply {
    pub api_key: String,
}

/// A session: for `Authorization: Cortex-Session <token>` on routes that change nothing.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionReply {
    pub token: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditQuery {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub since: OffsetDateTime,
    /// Of the newest.
    #[serde(default = "default_events")]
    pub limit: usize,
}

impl AuditQuery {
    /// Events that one answer has at most.
    pub const MOST: usize = 10_000;
}

fn default_events() -> usize {
    1_000
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditReply {
    /// Oldest first.
    pub events: Vec<AuditEvent>,
    /// There are older ones since the moment asked for.
    pub truncated: bool,
}

/// One request to the operator, or several equal ones of the same seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEvent {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub time: OffsetDateTime,
    pub request_id: String,
    pub outcome: AuditOutcome,
    /// Who it was; absent if nobody has proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PrincipalForm>")]
    pub principal: Option<Principal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<AuditVia>,
    /// Address that the request came from.
    pub peer: String,
    pub method: String,
    /// Of strangers, the route.
    pub path: String,
    /// Of the answer; absent if the caller went away before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub count: u64,
}

impl AuditEvent {
    /// Whether somebody was let in to change something.
    pub fn changes(&self) -> bool {
        self.outcome == AuditOutcome::Allowed && !matches!(self.method.as_str(), "GET" | "")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// The caller may do that. Whether it was done, the status tells.
    Allowed,
    /// A proved identity that may not.
    Denied,
    /// No proof, or a bad one.
    Unauthenticated,
    /// Too many requests without proof.
    Limited,
    /// Nobody could say who it was.
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditVia {
    /// A signature, or a local cluster's token.
    Proof,
    Session,
}
