//! The long-running side of the binary: each process of a cluster, wired from its parts.

mod certificate;
mod gateway;
mod log;
mod node;
mod operator;
mod place;
mod redirect;
mod replica;
mod sockets;
mod task;
mod traces;

use std::{fs, net::SocketAddr, path::Path};

use api::{cluster::AUTHORITY_KEY, replica::Phase};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use state::{State, read};
use telemetry::LogEnd;
use tokio::signal::unix::{SignalKind, signal};
use transport::{Address, Authority, AuthorityPem, Listener, ServerTls};

pub use gateway::gateway;
pub use node::node;
pub use operator::operator;
pub use replica::replica;
pub use task::{task, task_is_healthy};

use crate::{
    home::io_failure,
    local::{Claim, Layout, Role},
    report::{Exit, Failure},
};

/// Open files of a process: twice as many as a server takes connections ([`transport::Limits`]), and then some.
const FILES: u64 = 32_768;

/// What every long-running process begins with. Whatever it and its children write, environment variables of predictors
/// and their logs included, is for this user only, even if the user's own data directory is open to others.
fn begin() -> Result<LogEnd, Failure> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let more = allow_files();
    let end = log::begin()?;
    if let Err(error) = more {
        tracing::warn!(%error, "the limit of open files, and so of connections, could not be raised");
    }
    Ok(end)
}

/// Each connection is an open file, and shells begin with a limit of 1024: a client with little could keep all others out.
fn allow_files() -> rustix::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    match limit.current {
        Some(current) if current < wanted => setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }),
        _ => Ok(()),
    }
}

/// Runs a process that has a role in a cluster's directory. A failure is told where `cluster up` and `cluster info` look for it.
async fn as_role<F>(directory: &Path, role: Role, serve: F) -> Result<(), Failure>
where
    F: AsyncFnOnce(&Layout, &Claim) -> Result<(), Failure>,
{
    let log = begin()?;
    let layout = Layout::new(directory);
    let claim = Claim::take(&layout, role).await?;
    let outcome = Box::pin(serve(&layout, &claim)).await;
    if let Err(failure) = &outcome {
        tracing::error!("{}", failure.message);
        claim.say(Phase::Failed, &failure.message)?;
    }
    // While the role is held: who waits for that to end takes the process for gone, and its ports for free.
    drop(log);
    outcome
}

async fn listen(address: SocketAddr) -> Result<Listener, Failure> {
    Listener::bind(&Address::Tcp(address.to_string())).await.map_err(|error| {
        Failure::new(Exit::Conflict, "cluster.port_unavailable", format!("cannot listen at {address}: {error}"))
    })
}

/// Ready when the process is asked to stop: SIGTERM, or Ctrl-C in a terminal.
fn stop_requested() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::internal(format!("signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    })
}

/// The cluster's authority, for a server certificate of one's own.
async fn server_tls(state: &dyn State, names: &[String]) -> Result<ServerTls, Failure> {
    let (pem, _) = read::<AuthorityPem>(state, AUTHORITY_KEY)
        .await?
        .ok_or_else(|| Failure::internal("the cluster has no certificate authority").hint("run `cortex cluster up`"))?;
    let authority = Authority::from_pem(&pem).map_err(|error| Failure::internal(error.to_string()))?;
    ServerTls::new(authority.into(), names).map_err(|error| Failure::internal(error.to_string()))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| io_failure("read", path, &error))
}
