//! When a cluster works: its control nodes answer to the load balancers, and have published their authority.

use std::{sync::Arc, time::Duration};

use api::cluster::{CA_KEY, CaRecord};
use aws_infra::{Clients, target_health};
use provision::{
    plan::deadline,
    resource::{Key, Kind},
};
use state::{State, read};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{account, progress::Progress};
use crate::report::{Exit, Failure};

const TICK: Duration = Duration::from_secs(2);
/// From the start of an instance to the first answer to a health check.
const USUAL: Duration = Duration::from_secs(90);

/// Waits; returns the authority's certificate, PEM.
pub async fn wait(
    clients: &Clients,
    target_groups: &[String],
    state: &Arc<dyn State>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<String, Failure> {
    let end = Instant::now() + deadline(Kind::Instance);
    let nodes = Key::new(Kind::Instance, &["control"]);
    loop {
        let missing = match missing(clients, target_groups, state).await? {
            Ok(certificate) => {
                progress.found(&nodes);
                return Ok(certificate);
            }
            Err(missing) => missing,
        };
        if Instant::now() > end {
            return Err(not_ready(&missing));
        }
        progress.missing(&nodes, USUAL, &missing);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = cancel.cancelled() => {
                return Err(Failure::new(
                    Exit::Cancelled,
                    "cli.cancelled",
                    format!("everything was made, but nobody waited until it works: {missing}"),
                )
                .hint("`cortex cluster up` waits again, `cortex cluster down` removes everything"));
            }
        }
    }
}

fn not_ready(missing: &str) -> Failure {
    Failure::new(
        Exit::NotReady,
        "cluster.not_ready",
        format!("everything was made, but the control nodes do not get ready: {missing}"),
    )
    .hint(
        "the console log of the control instance says how far it came (EC2 > Instances > Monitor > Get system log); \
         private nodes need a way to S3, STS, ECS and CloudWatch Logs",
    )
}

/// The certificate, or what is missing.
async fn missing(
    clients: &Clients,
    target_groups: &[String],
    state: &Arc<dyn State>,
) -> Result<Result<String, String>, Failure> {
    for group in target_groups {
        let targets = target_health(clients, group).await.map_err(|error| account::cloud(&error))?;
        if !targets.iter().any(|target| target.healthy) {
            let why: Vec<String> = targets.iter().map(ToString::to_string).collect();
            let why = if why.is_empty() { "no instance yet".to_owned() } else { why.join(", ") };
            let name = group.rsplit('/').nth(1).unwrap_or(group);
            return Ok(Err(format!("no healthy control node in {name} ({why})")));
        }
    }
    match read::<CaRecord>(&**state, CA_KEY).await? {
        Some((record, _)) => Ok(Ok(record.certificate)),
        None => Ok(Err("the cluster's certificate authority is not there yet".to_owned())),
    }
}
