//! `cortex task`: one copy of one API in a container of Amazon ECS. Fetches the bundle and becomes the replica.

use std::{path::PathBuf, time::Duration};

use api::replica::{Phase, ReplicaSpec, ReplicaStatus, TASK_LISTEN_VARIABLE, TASK_VARIABLE, TaskSpec};
use transport::Address;

use super::{
    begin, stop_requested,
    traces::{Source, traced},
};
use crate::{
    home::{Home, make_private_directory},
    report::{Exit, Failure},
};

/// Of the 120 s that ECS waits before it kills a container.
const DRAIN: Duration = Duration::from_secs(90);
const LISTEN: &str = "0.0.0.0:8080";

fn directory() -> Result<PathBuf, Failure> {
    Ok(Home::find()?.task())
}

/// For the container's health check.
pub fn task_is_healthy() -> Result<(), Failure> {
    let status = directory()?.join("status.json");
    match ReplicaStatus::read(&status) {
        Ok(Some(ReplicaStatus { phase: Phase::Ready, .. })) => Ok(()),
        Ok(Some(status)) => Err(Failure::new(Exit::NotReady, "replica.not_ready", status.message)),
        Ok(None) => Err(Failure::new(Exit::NotReady, "replica.not_ready", "the replica has not begun yet")),
        Err(error) => Err(Failure::internal(format!("{}: {error}", status.display()))),
    }
}

pub async fn task() -> Result<(), Failure> {
    let _log = begin()?;
    let told = std::env::var(TASK_VARIABLE)
        .map_err(|_| Failure::internal(format!("{TASK_VARIABLE} does not say what to be")))?;
    let task: TaskSpec =
        serde_json::from_str(&told).map_err(|error| Failure::internal(format!("{TASK_VARIABLE}: {error}")))?;
    let directory = directory()?;
    make_private_directory(&directory)?;
    let (project, source) = fetch(&task, &directory).await?;
    let listen = std::env::var(TASK_LISTEN_VARIABLE).unwrap_or_else(|_| LISTEN.to_owned());
    let spec = ReplicaSpec {
        api: task.api,
        version: task.version,
        replica: replica_id(),
        program: task.program,
        project,
        listen: Address::Tcp(listen),
        status_file: directory.join("status.json"),
        cache: directory.join("cache"),
        python: "python3".into(),
        onnxruntime: Some(task.onnxruntime),
        drain_timeout: DRAIN,
        mem_bytes: task.mem_bytes,
        max_replica_concurrency: task.max_replica_concurrency,
    };
    let stop = stop_requested()?;
    traced("cortex-replica", source, async move |tracer| Box::pin(::replica::run(spec, stop, tracer)).await)
        .await
        .map_err(|error| Failure::new(Exit::NotReady, "replica.failed", error.to_string()))
}

/// The ECS agent puts the task's id into the metadata address: `http://169.254.170.2/v4/<task id>-<container>`.
fn replica_id() -> String {
    let address = std::env::var("ECS_CONTAINER_METADATA_URI_V4").unwrap_or_default();
    let last = address.rsplit('/').next().unwrap_or_default();
    let id = last.split('-').next().unwrap_or_default();
    if id.is_empty() { format!("task-{}", std::process::id()) } else { id.to_owned() }
}

/// The project, and where the cluster says what it wants.
#[cfg(feature = "aws")]
async fn fetch(task: &TaskSpec, directory: &std::path::Path) -> Result<(PathBuf, Source), Failure> {
    let config = aws_infra::load(Some(&task.region), None).await.map_err(crate::aws::setup)?;
    let state = crate::aws::cluster_state(&config, &task.bucket, None);
    let project = ::operator::engine::process::unpack_bundle(directory, &state, &task.bundle)
        .await
        .map_err(|error| Failure::new(Exit::NotReady, "replica.no_bundle", error.to_string()))?;
    Ok((project, Source::State(std::sync::Arc::new(state))))
}

#[cfg(not(feature = "aws"))]
async fn fetch(_: &TaskSpec, _: &std::path::Path) -> Result<(PathBuf, Source), Failure> {
    Err(Failure::without_aws())
}
