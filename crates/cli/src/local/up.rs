//! `cluster up`: from whatever there is to a running cluster. Doing it again changes nothing.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Client,
    cluster::{CLUSTER_KEY, ClusterRecord},
    replica::Phase,
};
use identity::{KeyKind, Secret};
use spec::cluster::Telemetry;
use state::{LocalState, State, update};
use time::OffsetDateTime;

use super::{Layout, Role, Settings, certificate::publish, down, role::last_lines, telemetry};
use crate::{
    certificate::Chosen,
    founding::found,
    home::{io_failure, make_private_directory, write_private},
    operator_client::Bearer,
    report::{Exit, Failure},
};

/// How long the processes may take to answer.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// From a process giving its role back to its end, which is the end of its sockets.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// What `bring_up` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Created,
    /// It existed, and something was changed or started.
    Updated,
    Unchanged,
}

/// Makes the cluster exist and run with these settings.
pub async fn bring_up(
    layout: &Layout,
    settings: &Settings,
    before: Option<&Settings>,
    certificate: &Chosen,
    telemetry: Option<&Telemetry>,
) -> Result<Outcome, Failure> {
    let running = Role::Node.is_running(layout);
    let same = before == Some(settings);
    if running && same && wait_ready(layout, settings).await.is_ok() {
        let state = LocalState::open(&layout.state()).await?;
        let certificate = publish(&state, certificate).await?;
        let telemetry = telemetry::publish(layout, telemetry)?;
        return Ok(if certificate || telemetry { Outcome::Updated } else { Outcome::Unchanged });
    }
    if running {
        down::stop_processes(layout).await;
    }
    // A gateway that has lost its node still holds its port; the new node takes it over.
    if !Role::Gateway.is_running(layout) && !Role::Operator.is_running(layout) {
        check_ports(settings, if running { LAST_BREATH } else { Duration::ZERO }).await?;
    } else if !same {
        down::stop_processes(layout).await;
        check_ports(settings, LAST_BREATH).await?;
    }
    for directory in [layout.directory.clone(), layout.run(), layout.scratch(), layout.gateway_cache()] {
        make_private_directory(&directory)?;
    }
    settings.save(layout)?;
    telemetry::publish(layout, telemetry)?;
    write_documents(layout, settings, certificate).await?;
    start_node(layout)?;
    if let Err(failure) = wait_ready(layout, settings).await {
        down::stop_processes(layout).await;
        return Err(failure);
    }
    Ok(if before.is_some() { Outcome::Updated } else { Outcome::Created })
}

/// Whether the ports are free, or get free in that time.
async fn check_ports(settings: &Settings, patience: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        match settings.check_ports() {
            Err(failure) if Instant::now() >= deadline => return Err(failure),
            Err(_) => tokio::time::sleep(POLL).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// What has to be in the State before a process starts. What is there stays: a second `up` must not change a key.
async fn write_documents(layout: &Layout, settings: &Settings, chosen: &Chosen) -> Result<(), Failure> {
    let state = LocalState::open(&layout.state()).await?;
    let state: &dyn State = &state;
    let certificate = found(state, &settings.name).await?;
    publish(state, chosen).await?;
    let record = ClusterRecord {
        name: settings.name.clone(),
        provider: "local".to_owned(),
        api_endpoint: settings.api_endpoint(),
        operator_endpoint: settings.operator_endpoint(),
        host_names: settings.host_names.clone(),
        created_at: OffsetDateTime::now_utc(),
    };
    update(state, CLUSTER_KEY, |present: Option<ClusterRecord>| {
        let created_at = present.as_ref().map_or(record.created_at, |present| present.created_at);
        let wanted = ClusterRecord { created_at, ..record.clone() };
        (present.as_ref() != Some(&wanted)).then_some(wanted)
    })
    .await?;
    write_private(&layout.ca_file(), certificate.as_bytes())?;
    if !layout.token_file().exists() {
        write_private(&layout.token_file(), KeyKind::LocalAdmin.generate().expose().as_bytes())?;
    }
    Ok(())
}

fn start_node(layout: &Layout) -> Result<(), Failure> {
    // A status of an earlier process must not be taken for the new one's.
    for role in [Role::Node, Role::Operator, Role::Gateway] {
        let path = layout.status_file(role);
        if !role.is_running(layout)
            && let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(io_failure("remove", &path, &error));
        }
    }
    let path = layout.log_file(Role::Node);
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(|error| io_failure("open", &path, &error))?;
    let errors = log.try_clone().map_err(|error| io_failure("open", &path, &error))?;
    let binary = std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?;
    Command::new(&binary)
        .arg("node")
        .arg("--directory")
        .arg(&layout.directory)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .current_dir("/")
        .process_group(0)
        .spawn()
        .map_err(|error| io_failure("start", &binary, &error))?;
    Ok(())
}

/// Waits until operator and gateway both answer, over TLS if they are to.
async fn wait_ready(layout: &Layout, settings: &Settings) -> Result<(), Failure> {
    let deadline = Instant::now() + READY;
    for role in [Role::Operator, Role::Gateway] {
        loop {
            match role.status(layout) {
                Some(status) if status.phase == Phase::Ready && role.is_running(layout) => break,
                Some(status) if status.phase == Phase::Failed => {
                    return Err(not_started(layout, role, &status.message));
                }
                _ if Instant::now() > deadline => return Err(not_started(layout, role, "it does not get ready")),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
    let ca = fs::read_to_string(layout.ca_file()).map_err(|error| io_failure("read", &layout.ca_file(), &error))?;
    for (role, endpoint) in [(Role::Operator, settings.operator_endpoint()), (Role::Gateway, settings.api_endpoint())] {
        while let Err(error) = health(&endpoint, &ca).await {
            if Instant::now() > deadline {
                return Err(not_started(layout, role, &error));
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

/// Both answer `/healthz` to anybody.
async fn health(endpoint: &str, ca: &str) -> Result<(), String> {
    if endpoint.starts_with("http://") {
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        let answer =
            client.get(format!("{endpoint}/healthz")).send().await.and_then(reqwest::Response::error_for_status);
        return answer.map(drop).map_err(|error| error.to_string());
    }
    let client = Client::new(endpoint, ca, Arc::new(Bearer(Secret::new("")))).map_err(|error| error.to_string())?;
    client.health().await.map_err(|error| error.to_string())
}

fn not_started(layout: &Layout, role: Role, why: &str) -> Failure {
    let log = layout.log_file(role);
    let failure = Failure::new(
        Exit::NotReady,
        "cluster.not_ready",
        format!("the cluster's {} did not start: {why}", role.name()),
    );
    match last_lines(&log, 3) {
        Ok(lines) if !lines.is_empty() => failure.hint(format!("the end of {} says:\n{lines}", log.display())),
        _ => failure.hint(format!("see {}", log.display())),
    }
}
