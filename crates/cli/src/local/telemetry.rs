//! Where the processes of a cluster of this machine send traces: a file that gateway and replicas follow.

use std::fs;

use api::cluster::TelemetryRecord;
use spec::cluster::Telemetry;

use super::Layout;
use crate::{home::write_private, report::Failure};

/// Whether it says something else than before.
pub fn publish(layout: &Layout, telemetry: Option<&Telemetry>) -> Result<bool, Failure> {
    let record = TelemetryRecord { telemetry: telemetry.cloned() };
    let path = layout.telemetry_file();
    let before: TelemetryRecord =
        fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if before == record {
        return Ok(false);
    }
    let json = serde_json::to_vec_pretty(&record).map_err(|error| Failure::internal(error.to_string()))?;
    write_private(&path, &json).map(|()| true)
}
