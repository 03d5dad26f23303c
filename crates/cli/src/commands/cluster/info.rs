//! `cortex cluster info`.

use api::cluster::{ApiCertificate, CERTIFICATE_KEY};
use serde::Serialize;
use state::{LocalState, read};

use super::{Which, which};
use crate::{
    args,
    home::Home,
    local::{Layout, Role, certificate_line},
    report::Failure,
};

#[derive(Serialize)]
struct Report {
    cluster: String,
    provider: &'static str,
    directory: String,
    api_endpoint: String,
    /// The user's, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    operator_endpoint: String,
    ca_file: String,
    ca_fingerprint_sha256: String,
    processes: Vec<Process>,
    configure: String,
}

#[derive(Serialize)]
struct Process {
    role: &'static str,
    running: bool,
    pid: Option<u32>,
    message: String,
}

pub async fn info(arguments: args::ClusterInfo) -> Result<(), Failure> {
    let cluster = match which(&Home::find()?, &arguments.which)? {
        Which::Local(cluster) => cluster,
        Which::Aws(there) => return there.info(arguments.drift, arguments.printed.output).await,
    };
    if arguments.drift {
        return Err(Failure::not_supported("a cluster on this machine has nothing that could drift")
            .hint("`cortex cluster up` brings it to what its file says"));
    }
    let layout = Layout::new(&cluster.directory);
    let settings = cluster.settings()?;
    let process = |role: Role| {
        let status = role.status(&layout);
        let running = role.is_running(&layout);
        Process {
            role: role.name(),
            running,
            pid: status.as_ref().filter(|_| running).map(|status| status.pid),
            message: status.map(|status| status.message).unwrap_or_default(),
        }
    };
    let state = LocalState::open(&layout.state()).await?;
    let certificate = read::<ApiCertificate>(&state, CERTIFICATE_KEY).await?;
    let ca = std::fs::read_to_string(layout.ca_file()).unwrap_or_default();
    let report = Report {
        provider: "local",
        directory: cluster.directory.display().to_string(),
        api_endpoint: settings.api_endpoint(),
        certificate: certificate.and_then(|(certificate, _)| certificate_line(&certificate)),
        operator_endpoint: settings.operator_endpoint(),
        ca_file: layout.ca_file().display().to_string(),
        ca_fingerprint_sha256: transport::fingerprint(&ca).unwrap_or_default(),
        processes: [Role::Node, Role::Operator, Role::Gateway].map(process).into(),
        configure: format!("cortex env configure local --cluster {}", cluster.name),
        cluster: cluster.name,
    };
    arguments.printed.output.print(&report, pretty)
}

fn pretty(report: &Report) -> String {
    let mut lines = vec![
        format!("cluster    {} ({})", report.cluster, report.provider),
        format!("apis       {}", report.api_endpoint),
        format!("operator   {}", report.operator_endpoint),
        format!("ca file    {}", report.ca_file),
        format!("ca sha256  {}", report.ca_fingerprint_sha256),
        format!("directory  {}", report.directory),
    ];
    lines.extend(report.certificate.clone());
    for process in &report.processes {
        let state = match (process.running, process.pid) {
            (true, Some(pid)) => format!("running (process {pid})"),
            (true, None) => "running".to_owned(),
            (false, _) if process.message.is_empty() => "not running".to_owned(),
            (false, _) => format!("not running; it last said: {}", process.message),
        };
        lines.push(format!("{:<10} {state}", process.role));
    }
    lines.push(format!("\nconfigure: {}", report.configure));
    lines.join("\n")
}
