//! `cortex cluster up`.

use std::{path::Path, time::Instant};

use serde::Serialize;
use spec::cluster::{Aws, Provider};

use super::{no_trace, plan::plan, read_config};
use crate::{
    args,
    home::{Home, make_private_directory},
    local::{self, Layout, Outcome, Registered, Settings},
    output::say,
    report::{Exit, Failure},
};

#[derive(Serialize)]
struct Report {
    cluster: String,
    changed: bool,
    api_endpoint: String,
    operator_endpoint: String,
    ca_fingerprint_sha256: String,
    configure: String,
    seconds: f64,
}

/// `existing`: only a cluster that is there.
pub async fn up(arguments: args::ClusterUp, existing: bool) -> Result<(), Failure> {
    let begin = Instant::now();
    if arguments.dry_run {
        let args::ClusterUp { config, files, printed, .. } = arguments;
        return Box::pin(plan(args::ClusterPlan { config, export: None, files, printed })).await;
    }
    let cluster = read_config(&arguments.config)?;
    let config = match &cluster.provider {
        Provider::Local(config) => {
            no_trace(arguments.trace.as_deref())?;
            config
        }
        Provider::Aws(aws) => return Box::pin(on_aws(&cluster.name, aws, &arguments, existing)).await,
    };
    let home = Home::find()?;
    if existing {
        local::find(&home, Some(&cluster.name))?;
    }
    let directory = directory(&home, &cluster.name, config.data_dir.as_deref())?;
    let layout = Layout::new(&directory);
    let before = Settings::load(&layout)?;
    let certificate = local::choose_certificate(config, config_directory(&arguments.config))?;
    let settings = Settings::decide(&home, &cluster.name, config, before.as_ref())?;
    make_private_directory(&directory)?;
    local::register(&home, &Registered { name: cluster.name.clone(), directory })?;
    if !settings.operator.ip().is_loopback() || !settings.gateway.ip().is_loopback() {
        say!("this cluster can be reached from other machines; API keys and the admin token guard it");
    }
    if !settings.use_ssl && !settings.gateway.ip().is_loopback() {
        say!(
            "warning: `use_ssl: false` sends API keys and data in the clear, and {} can be reached from other machines; \
             remove it, or put a proxy that ends TLS before the gateway and `listen_address: 127.0.0.1` behind it",
            settings.gateway
        );
    }
    let outcome = local::bring_up(&layout, &settings, before.as_ref(), &certificate, config.telemetry.as_ref()).await?;

    let ca = std::fs::read_to_string(layout.ca_file()).unwrap_or_default();
    let result = Report {
        changed: outcome != Outcome::Unchanged,
        api_endpoint: settings.api_endpoint(),
        operator_endpoint: settings.operator_endpoint(),
        ca_fingerprint_sha256: transport::fingerprint(&ca).map_err(|error| Failure::internal(error.to_string()))?,
        configure: format!("cortex env configure local --cluster {}", cluster.name),
        cluster: cluster.name,
        seconds: begin.elapsed().as_secs_f64(),
    };
    arguments.printed.output.print(&result, |result| {
        let what = match outcome {
            Outcome::Created => "is up",
            Outcome::Updated => "is up again",
            Outcome::Unchanged => "was up already; nothing was changed",
        };
        let shown = local::certificate_line(&certificate.record).map(|line| format!(" ({line})")).unwrap_or_default();
        format!(
            "cluster {} {what} ({:.1} s)\n\n  apis       {}{shown}\n  operator   {}\n  ca sha256  {}\n\nnext: {}",
            result.cluster,
            result.seconds,
            result.api_endpoint,
            result.operator_endpoint,
            result.ca_fingerprint_sha256,
            result.configure
        )
    })
}

#[cfg(feature = "aws")]
async fn on_aws(name: &str, aws: &Aws, arguments: &args::ClusterUp, existing: bool) -> Result<(), Failure> {
    let options = crate::aws::Options {
        yes: arguments.yes,
        existing,
        no_wait: arguments.no_wait,
        trace: arguments.trace.clone(),
        files: super::plan::files(&arguments.config, &arguments.files),
        output: arguments.printed.output,
    };
    Box::pin(crate::aws::up(name, aws, &options)).await
}

#[cfg(not(feature = "aws"))]
async fn on_aws(_: &str, _: &Aws, _: &args::ClusterUp, _: bool) -> Result<(), Failure> {
    Err(Failure::without_aws())
}

/// What paths in the configuration are relative to.
fn config_directory(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new(""))
}

/// Where the cluster lives. It cannot move while it exists.
fn directory(home: &Home, name: &str, wanted: Option<&Path>) -> Result<std::path::PathBuf, Failure> {
    let wanted = wanted.map_or_else(|| home.clusters().join(name), Path::to_owned);
    match local::find(home, Some(name)) {
        Ok(registered) if registered.directory != wanted => Err(Failure::new(
            Exit::Conflict,
            "cluster.immutable_field",
            format!("`data_dir` of a cluster cannot be changed; it is {}", registered.directory.display()),
        )
        .hint(format!("set it back, or remove the cluster first: `cortex cluster down --name {name}`"))),
        Ok(_) => Ok(wanted),
        Err(failure) if failure.exit == Exit::NotFound => Ok(wanted),
        Err(failure) => Err(failure),
    }
}
