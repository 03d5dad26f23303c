//! `cortex replica`: one copy of one API.

use std::{fs, path::Path};

use api::replica::ReplicaSpec;

use super::{begin, stop_requested, tracer};
use crate::{
    home::io_failure,
    report::{Exit, Failure},
};

pub async fn replica(spec: &Path) -> Result<(), Failure> {
    begin();
    let bytes = fs::read(spec).map_err(|error| io_failure("read", spec, &error))?;
    let spec: ReplicaSpec =
        serde_json::from_slice(&bytes).map_err(|error| Failure::internal(format!("{}: {error}", spec.display())))?;
    // The failure has been logged and written to the status file, where the engine finds it.
    Box::pin(::replica::run(spec, stop_requested()?, tracer("cortex-replica")))
        .await
        .map_err(|error| Failure::new(Exit::NotReady, "replica.failed", error.to_string()))
}
