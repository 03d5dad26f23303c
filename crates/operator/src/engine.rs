//! Where replicas run.
//!
//! An engine is told how many copies of a workload there should be, and says what there is. It restarts what ends, and
//! stops what is too much by draining it: a replica asked to stop goes on answering until the gateways have let go of it.

pub mod process;

use std::{collections::BTreeSet, path::PathBuf, pin::Pin, time::Duration};

use api::wire::{LogLine, LogQuery, ReplicaPhase};
use async_trait::async_trait;
use futures_util::Stream;
use spec::realtime::{Compute, Program};
use transport::Address;

/// Everything an engine needs to start a copy of one version of one API.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub api: String,
    /// Hash of all the rest.
    pub version: String,
    pub program: Program,
    pub compute: Compute,
    /// As in [`api::replica::ReplicaSpec`].
    pub max_replica_concurrency: Option<u32>,
    /// How long a request may take to be answered. Not in the hash: it is for replicas that are started from then on.
    pub request_timeout: Duration,
    /// SHA-256 of the bundle.
    pub bundle: String,
}

/// One copy, as the engine sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    pub id: String,
    pub api: String,
    pub version: String,
    pub address: Address,
    pub phase: ReplicaPhase,
    /// One line for people.
    pub message: String,
    pub restarts: u32,
    /// It does not get ready, and another attempt will most likely end the same way.
    pub failed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the bundle {0} is missing: deploy again")]
    NoBundle(String),
    #[error("the bundle cannot be unpacked: {0}")]
    BadBundle(String),
    #[error("the disk under {} is full: make room and deploy again", .0.display())]
    DiskFull(PathBuf),
    #[error("{0}")]
    Failed(String),
}

/// Lines of a log as they come.
pub type LogStream = Pin<Box<dyn Stream<Item = LogLine> + Send>>;

#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Whether replicas can run in images of their users' choice here.
    fn runs_images(&self) -> bool {
        false
    }

    /// Everything that runs, and is to be restarted, here.
    async fn observe(&self) -> Result<Vec<Replica>, EngineError>;

    /// Makes it so that `replicas` copies run, besides those that are draining. Idempotent.
    async fn scale(&self, workload: &Workload, replicas: u32) -> Result<(), EngineError>;

    /// Stops, by draining, all but `keep` copies of a version whose description may be gone.
    async fn shrink(&self, api: &str, version: &str, keep: u32) -> Result<(), EngineError>;

    /// Forgets what is kept, logs above all, of APIs that are not among these and have no replicas left.
    async fn forget_all_but(&self, deployed: &BTreeSet<&str>) -> Result<(), EngineError>;

    /// Returns when [`Engine::observe`] may have something new to say.
    async fn changed(&self);

    async fn logs(&self, api: &str, query: &LogQuery) -> Result<LogStream, EngineError>;
}
