//! `cortex node`: keeps the operator and the gateway of a local cluster, or of a control node on AWS, running.
//!
//! It starts each, starts it again when it ends, and passes a request to stop on to both. If a node is killed, the
//! processes it started live on; the next node finds them by their locks and watches over them as over its own.
//! It holds the gateway's listening sockets, so that a gateway can be replaced without a client noticing.

use std::{
    fs::OpenOptions,
    io,
    net::IpAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use api::replica::Phase;
use tokio::process::Command;

use super::{begin, place, sockets::Sockets, stop_requested};
use crate::{
    args::NodeArguments,
    home::io_failure,
    local::{Claim, Layout, Role},
    report::Failure,
};

/// How often a process that is not our child is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How often it is asked whether a child lets its successor begin. Meanwhile clients wait.
const HANDOVER: Duration = Duration::from_millis(25);
/// Pauses between starts of a process that does not stay up.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Up for so long, a process has earned a short pause again.
const STEADY: Duration = Duration::from_secs(10);
/// What each process gets to end by itself.
const PATIENCE: Duration = Duration::from_secs(35);

pub async fn node(arguments: NodeArguments) -> Result<(), Failure> {
    let log = begin()?;
    let layout = Layout::new(arguments.process.directory);
    let stop = stop_requested()?;
    if let (Some(bucket), Some(region)) = (&arguments.bucket, &arguments.region) {
        prepare(&layout, region, bucket, arguments.listen_address).await?;
    }
    let claim = Claim::take(&layout, Role::Node).await?;
    // Now, while this is the path of the program: another one may have been put in its place when a process is started again.
    let binary = std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?;
    claim.say(Phase::Ready, "running")?;
    tokio::select! {
        () = stop => {}
        outcome = keep(&layout, Role::Operator, &binary) => outcome?,
        outcome = keep(&layout, Role::Gateway, &binary) => outcome?,
    }
    claim.say(Phase::Draining, "stopping")?;
    tokio::join!(Role::Operator.stop(&layout, PATIENCE), Role::Gateway.stop(&layout, PATIENCE));
    // Before the role is.
    drop(log);
    Ok(())
}

#[cfg(feature = "aws")]
async fn prepare(layout: &Layout, region: &str, bucket: &str, listen: IpAddr) -> Result<(), Failure> {
    Box::pin(place::aws::prepare(layout, region, bucket, listen)).await
}

#[cfg(not(feature = "aws"))]
async fn prepare(_: &Layout, _: &str, _: &str, _: IpAddr) -> Result<(), Failure> {
    Err(Failure::without_aws())
}

async fn keep(layout: &Layout, role: Role, binary: &Path) -> Result<(), Failure> {
    let mut sockets = Sockets::default();
    let mut pause = FIRST_PAUSE;
    loop {
        while role.is_running(layout) {
            tokio::time::sleep(POLL).await;
        }
        if role == Role::Gateway {
            sockets.hold(&place::gateway_addresses(layout)?).await;
        }
        let begin = Instant::now();
        match run_once(layout, role, binary, &sockets).await {
            Ok(None) => {
                tracing::info!(role = role.name(), "a process has passed its role on; starting the next one");
                continue;
            }
            Ok(Some(status)) => tracing::warn!(role = role.name(), %status, "a process ended; starting it again"),
            Err(failure) => tracing::error!(role = role.name(), "{}", failure.message),
        }
        if begin.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// How it ended; `None` if it has passed its role on, whether or not it has ended by now.
async fn run_once(
    layout: &Layout,
    role: Role,
    binary: &Path,
    sockets: &Sockets,
) -> Result<Option<ExitStatus>, Failure> {
    let path = layout.log_file(role);
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(|error| io_failure("open", &path, &error))?;
    let errors = log.try_clone().map_err(|error| io_failure("open", &path, &error))?;
    let cannot_start = |error: io::Error| io_failure("start", binary, &error);
    let mut child = Command::new(binary)
        .arg(role.name())
        .arg("--directory")
        .arg(&layout.directory)
        .stdin(sockets.input().map_err(cannot_start)?.unwrap_or_else(Stdio::null))
        .stdout(sockets.output().map_err(cannot_start)?.unwrap_or_else(|| log.into()))
        .stderr(errors)
        .spawn()
        .map_err(cannot_start)?;
    let id = child.id();
    tokio::select! {
        status = child.wait() => {
            let status = status.map_err(|error| io_failure("wait for", binary, &error))?;
            // One without a connection ends before anybody sees what it says.
            Ok((!drains(layout, role, id)).then_some(status))
        }
        () = passed_on(layout, role, id) => Ok(None),
    }
}

/// Ready when that process has passed its role on.
async fn passed_on(layout: &Layout, role: Role, id: Option<u32>) {
    while !drains(layout, role, id) || role.is_running(layout) {
        tokio::time::sleep(HANDOVER).await;
    }
}

/// Whether that process has said that it finishes what it has begun.
fn drains(layout: &Layout, role: Role, id: Option<u32>) -> bool {
    role.status(layout).is_some_and(|status| status.phase == Phase::Draining && Some(status.pid) == id)
}
