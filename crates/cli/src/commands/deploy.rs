//! `cortex deploy`: check, pack, upload, ask, wait.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use api::{
    Client,
    wire::{ApiStatus, ApiSummary, DeployAction, DeployReply, DeployRequest},
};
use serde::Serialize;
use spec::realtime::Api;
use tokio_util::io::ReaderStream;

use crate::{
    args,
    door::Door,
    environments::Environment,
    home::io_failure,
    operator_client::connect,
    output::{Format, say},
    project::{self, Bundle},
    report::{Exit, Failure},
};

/// How often the APIs are looked at while they get ready.
const POLL: Duration = Duration::from_millis(200);

/// How long the gateway may take to serve new routes.
const SETTLE: Duration = Duration::from_secs(5);

/// What `-o json` prints for each API.
#[derive(Serialize)]
struct Outcome {
    name: String,
    action: DeployAction,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<ApiSummary>,
}

pub async fn deploy(arguments: args::Deploy) -> Result<(), Failure> {
    let format = arguments.printed.output;
    let apis = read(&arguments.file)?;
    let (environment, client) = connect(arguments.target.env.as_deref()).await?;
    let directory = project_directory(&arguments.file);
    let bundle = project::pack(directory, &arguments.file)?;
    let sha256 = upload(&client, bundle).await?;
    let reply = client.deploy(&DeployRequest { bundle: sha256, apis }).await?;
    if format == Format::Pretty {
        for api in &reply.apis {
            say!("{}", announce(&api.name, api.action));
        }
    }
    let ready = if arguments.no_wait {
        BTreeMap::new()
    } else {
        wait(&client, &reply, Duration::from_secs(arguments.timeout)).await?
    };
    if ready.values().any(|api| api.status == ApiStatus::Live) {
        settle(&environment, &client).await?;
    }
    print(&reply, &ready, format)?;
    complain(&ready)
}

/// The APIs of the file, if all of it makes sense and what it names is there.
fn read(file: &Path) -> Result<Vec<Api>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "deploy.no_file", format!("there is no file {}", file.display()))
                .hint("name the configuration: `cortex deploy path/to/cortex.yaml`")
        }
        _ => io_failure("read", file, &error),
    })?;
    let apis = spec::realtime::parse(&file.display().to_string(), &text)?;
    let directory = project_directory(file);
    let missing: Vec<_> = apis
        .iter()
        .filter_map(|api| Some((api, api.program.predictor()?)))
        .filter(|(_, predictor)| !directory.join(&predictor.path).is_file())
        .map(|(api, predictor)| format!("`{}` wants {}", api.name, predictor.path))
        .collect();
    if missing.is_empty() {
        return Ok(apis);
    }
    let message = format!("files that {} names are not there: {}", file.display(), missing.join(", "));
    Err(Failure::new(Exit::InvalidConfig, "deploy.missing_file", message)
        .hint(format!("`predictor.path` is relative to {}", directory.display())))
}

fn project_directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("."),
    }
}

async fn upload(client: &Client, bundle: Bundle) -> Result<String, Failure> {
    if !client.has_bundle(&bundle.sha256).await? {
        let megabytes = bundle.bytes as f64 / 1e6;
        let plural = if bundle.files == 1 { "" } else { "s" };
        say!("uploading {} file{plural}, {megabytes:.1} MB", bundle.files);
        if megabytes > 500.0 {
            say!("that is a lot: name what the predictor does not need in a .cortexignore file");
        }
        let content = ReaderStream::with_capacity(tokio::fs::File::from_std(bundle.file), 256 * 1024);
        client.put_bundle(&bundle.sha256, bundle.bytes, content).await?;
    }
    Ok(bundle.sha256)
}

fn announce(name: &str, action: DeployAction) -> String {
    match action {
        DeployAction::Created => format!("creating {name}"),
        DeployAction::Updated => format!("updating {name}"),
        DeployAction::Unchanged => format!("{name} is deployed as it is"),
    }
}

/// Waits until each API is live or has failed, telling of every step.
async fn wait(client: &Client, reply: &DeployReply, limit: Duration) -> Result<BTreeMap<String, ApiSummary>, Failure> {
    let begin = Instant::now();
    let mut done = BTreeMap::new();
    let mut told = BTreeMap::new();
    loop {
        for deployed in reply.apis.iter().filter(|api| !done.contains_key(&api.name)).collect::<Vec<_>>() {
            let summary = client.api(&deployed.name).await?.summary;
            if summary.generation != deployed.generation {
                return Err(Failure::new(
                    Exit::Conflict,
                    "deploy.superseded",
                    format!("`{}` was deployed again by {}", summary.name, summary.updated_by),
                ));
            }
            let message = summary.message.clone();
            if !message.is_empty() && told.insert(deployed.name.clone(), message.clone()).as_ref() != Some(&message) {
                say!("{}: {message}", deployed.name);
            }
            if matches!(summary.status, ApiStatus::Live | ApiStatus::Failed | ApiStatus::UpdateFailed) {
                done.insert(deployed.name.clone(), summary);
            }
        }
        if done.len() == reply.apis.len() {
            return Ok(done);
        }
        if begin.elapsed() > limit {
            let late = reply.apis.iter().map(|api| api.name.as_str()).filter(|name| !done.contains_key(*name));
            let message = format!("not ready after {} s: {}", limit.as_secs(), late.collect::<Vec<_>>().join(", "));
            return Err(Failure::new(Exit::NotReady, "deploy.timeout", message)
                .hint("the cluster goes on trying; `cortex get` and `cortex logs` tell how it is doing"));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the gateway serves what the operator says: it learns of new routes a moment later. Somebody who may reach
/// the operator and not the gateway is not held up for long.
async fn settle(environment: &Environment, client: &Client) -> Result<(), Failure> {
    let info = client.info().await?;
    let door = match Door::of(environment, &info).await {
        Ok(door) => door,
        Err(failure) => {
            say!("the gateway at {} was not asked about the new routes: {}", info.api_endpoint, failure.message);
            return Ok(());
        }
    };
    let begin = Instant::now();
    while begin.elapsed() < SETTLE {
        match door.health().await {
            Ok(health) if health.routes_version == info.routes_version => return Ok(()),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    say!("the gateway at {} did not confirm the new routes within {} s", info.api_endpoint, SETTLE.as_secs());
    Ok(())
}

fn print(reply: &DeployReply, ready: &BTreeMap<String, ApiSummary>, format: Format) -> Result<(), Failure> {
    let outcomes: Vec<_> = reply
        .apis
        .iter()
        .map(|api| Outcome {
            name: api.name.clone(),
            action: api.action,
            generation: api.generation,
            api: ready.get(&api.name).cloned(),
        })
        .collect();
    format.print(&outcomes, |outcomes| {
        let line = |outcome: &Outcome| match &outcome.api {
            Some(api) if api.status == ApiStatus::Live => format!("{} is live at {}", api.name, api.endpoint),
            Some(api) => format!("{} is not live: {}", api.name, api.message),
            None => format!("{} is on its way: `cortex get {}`", outcome.name, outcome.name),
        };
        outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

/// An API that does not get ready makes the command fail.
fn complain(ready: &BTreeMap<String, ApiSummary>) -> Result<(), Failure> {
    let failed: Vec<_> = ready.values().filter(|api| api.status != ApiStatus::Live).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    let names: Vec<_> = failed.iter().map(|api| api.name.as_str()).collect();
    let still = match first.status {
        ApiStatus::UpdateFailed => "the version deployed before goes on serving; ",
        _ => "",
    };
    Err(Failure::new(Exit::NotReady, "deploy.failed", format!("not ready: {}", names.join(", ")))
        .hint(format!("{still}`cortex logs {}` shows more; mend it and deploy again", first.name)))
}
