//! What the operator can be asked to do, free of HTTP.

mod api_keys;
mod bundles;
mod cors;
mod deploy;
mod inspect;
mod measure;
mod scrape;
mod store;

use std::{path::PathBuf, sync::Arc};

use api::{
    cluster::{CLUSTER_KEY, ClusterRecord},
    wire::{AuditQuery, AuditReply, LogQuery},
};
use state::{State, StateError};
use transport::Address;

pub use store::{Deployment, Head, Specification, Store, bundle_key, deployments};

use crate::{
    audit,
    engine::{Engine, EngineError, LogStream},
    metrics::Metrics,
    reconcile::Troubles,
};

/// The use cases, with what they work on.
pub struct App {
    pub(crate) store: Store,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) cluster: ClusterRecord,
    /// The cluster's authority certificate, PEM.
    pub(crate) ca_certificate: String,
    /// What the reconciler could not do, by API.
    pub(crate) troubles: Troubles,
    /// Uploads in progress; on the same file system as the State if that is local.
    pub(crate) scratch: PathBuf,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the gateway beside this operator tells its metrics.
    pub(crate) gateway: Option<Address>,
}

/// Why something was not done. Each becomes one HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{message}")]
    Invalid { kind: &'static str, message: String },
    #[error("`{api}` and `{other}` both want the endpoint {endpoint}: set `networking.endpoint` of one of them")]
    EndpointTaken { api: String, other: String, endpoint: String },
    #[error("there is no API named `{0}`; `cortex get` lists what is deployed")]
    NoSuchApi(String),
    #[error("there is no bundle {0}: upload it first")]
    NoSuchBundle(String),
    #[error("there is no API key named `{0}`; `cortex api-key list` lists them")]
    NoSuchApiKey(String),
    #[error(
        "there is an API key named `{0}` already: choose another name, or `cortex api-key rotate {0}` for a new value"
    )]
    ApiKeyNameTaken(String),
    #[error("no API key opens all APIs: `cortex api-key list` lists the keys, `cortex api-key create NAME` makes one")]
    NoApiKeyForAll,
    #[error("`{0}` was changed by somebody else at the same moment: look at it and try again")]
    Conflict(String),
    #[error("the bundle is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("the upload ended early: {0}")]
    Interrupted(String),
    #[error(transparent)]
    DiskFull(StateError),
    #[error("{0}")]
    Unavailable(String),
}

impl From<StateError> for AppError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Conflict { key } => Self::Conflict(key),
            StateError::Full { .. } => Self::DiskFull(error),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<EngineError> for AppError {
    fn from(error: EngineError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl App {
    /// Who did what, newest first to go if there is too much of it.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditReply, AppError> {
        Ok(audit::read(self.store.state(), query.since, query.limit.min(AuditQuery::MOST)).await?)
    }

    pub async fn logs(&self, name: &str, query: &LogQuery) -> Result<LogStream, AppError> {
        if self.store.head(name).await?.is_none() {
            return Err(AppError::NoSuchApi(name.to_owned()));
        }
        Ok(self.engine.logs(name, query).await?)
    }
}

/// Reads what `cluster up` wrote.
pub async fn cluster_record(state: &dyn State) -> Result<ClusterRecord, AppError> {
    state::read(state, CLUSTER_KEY)
        .await?
        .map(|(record, _)| record)
        .ok_or_else(|| AppError::Unavailable("this store belongs to no cluster; run `cortex cluster up`".to_owned()))
}
