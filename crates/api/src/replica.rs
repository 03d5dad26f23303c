//! What an engine tells a replica to be, and what a replica says of itself.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use transport::Address;

/// Everything one replica process needs to know. An engine writes it to a file and names that file on the command line
/// (`cortex replica --spec FILE`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaSpec {
    pub api: String,
    /// The workload this replica is a copy of: hash of everything whose change needs new replicas.
    pub version: String,
    /// Unique among all replicas that ever ran.
    pub replica: String,
    /// Under its own name: `predictor` or `container`.
    #[serde(flatten)]
    pub program: spec::realtime::Program,
    /// The unpacked bundle, read-only.
    pub project: PathBuf,
    /// Where requests arrive.
    pub listen: Address,
    /// Where this replica keeps its [`ReplicaStatus`]; `<status_file>.lock` is locked for as long as it lives.
    pub status_file: PathBuf,
    /// Shared by all replicas of this machine: virtual environments, the ONNX Runtime library.
    pub cache: PathBuf,
    /// Interpreter that makes virtual environments and fetches ONNX Runtime; a bare name is looked up in `PATH`.
    pub python: PathBuf,
    /// The ONNX Runtime library to load instead of the pinned one.
    pub onnxruntime: Option<PathBuf>,
    /// How long a draining replica waits for its last requests.
    pub drain_timeout: Duration,
    /// Memory that it may have, in bytes.
    #[serde(default)]
    pub mem_bytes: Option<u64>,
    /// Requests in flight and waiting, [`DEFAULT_REPLICA_CONCURRENCY`] if absent.
    #[serde(default)]
    pub max_replica_concurrency: Option<u32>,
}

/// Requests in flight and waiting in one replica, if nobody says; more if more than that are worth having in flight.
pub const DEFAULT_REPLICA_CONCURRENCY: u32 = 1024;

/// What the container of a replica on Amazon ECS is told, as JSON in the environment variable [`TASK_VARIABLE`]
/// (`cortex task`). The container fetches the bundle by itself, with the role of its task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    pub api: String,
    /// As in [`ReplicaSpec`].
    pub version: String,
    /// Under its own name: `predictor` or `container`.
    #[serde(flatten)]
    pub program: spec::realtime::Program,
    pub region: String,
    pub bucket: String,
    /// SHA-256 of the bundle in that bucket.
    pub bundle: String,
    /// The ONNX Runtime library within the container.
    pub onnxruntime: PathBuf,
    /// As in [`ReplicaSpec`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_bytes: Option<u64>,
    /// As in [`ReplicaSpec`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replica_concurrency: Option<u32>,
}

/// Where a container finds its [`TaskSpec`].
pub const TASK_VARIABLE: &str = "CORTEX_TASK";
/// Address that a container's replica listens at, such as `0.0.0.0:8080`.
pub const TASK_LISTEN_VARIABLE: &str = "CORTEX_LISTEN";

/// A replica's own account of itself, rewritten atomically at every change of phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    pub pid: u32,
    pub phase: Phase,
    /// One line for people: what it is doing, or why it failed and what to do about it.
    pub message: String,
}

/// The life of a replica: `Starting -> Ready -> Draining`, or `-> Failed` from either of the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Installing requirements, loading the model, warming up.
    Starting,
    /// Its socket is bound and its predictor answers.
    Ready,
    /// Still answers whatever reaches it, but wants to be taken out of the routes.
    Draining,
    /// It ends, and starting it again without a change will most likely end the same way.
    Failed,
}

impl ReplicaStatus {
    /// Reads a status file; `None` if the replica has not written one yet.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file in one step, so that a reader sees the old status or the new one and never half of either.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let staged = path.with_extension("new");
        let mut file = fs::File::create(&staged)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        drop(file);
        fs::rename(&staged, path)
    }

    /// Where the lock lies that a living replica holds.
    pub fn lock_path(status_file: &Path) -> PathBuf {
        status_file.with_extension("lock")
    }
}
