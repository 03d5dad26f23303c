//! `cortex replica`: one copy of one API.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api::replica::ReplicaSpec;

use super::{
    begin, stop_requested,
    traces::{Source, traced},
};
use crate::{
    home::io_failure,
    report::{Exit, Failure},
};

/// `telemetry`: a file that says where traces go.
pub async fn replica(spec: &Path, telemetry: Option<PathBuf>) -> Result<(), Failure> {
    let _log = begin()?;
    let bytes = fs::read(spec).map_err(|error| io_failure("read", spec, &error))?;
    let spec: ReplicaSpec =
        serde_json::from_slice(&bytes).map_err(|error| Failure::internal(format!("{}: {error}", spec.display())))?;
    // The failure has been logged and written to the status file, where the engine finds it.
    let (stop, source) = (stop_requested()?, telemetry.map_or(Source::Nowhere, Source::File));
    traced("cortex-replica", source, async move |tracer| Box::pin(::replica::run(spec, stop, tracer)).await)
        .await
        .map_err(|error| Failure::new(Exit::NotReady, "replica.failed", error.to_string()))
}
