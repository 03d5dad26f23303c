//! What may be typed. Nothing is done here.

mod api_key;
mod cors;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use api_key::{ApiKey, ApiKeyCreate, ApiKeyRotate};
pub use cors::{Cors, CorsSet, CorsUnset};

use crate::{moment::Moment, output::Format, tunnel::ConnectTo};

/// Deploys machine-learning models as HTTPS APIs, into your own AWS account or on this machine.
#[derive(Debug, Parser)]
#[command(name = "cortex", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy every API of a configuration file, and wait until they are ready.
    Deploy(Deploy),
    /// Show all APIs, or one with its replicas.
    Get(Get),
    /// Show what an API's replicas write.
    Logs(Logs),
    /// Show how much APIs have to do, how fast they are and what goes wrong.
    Metrics(Metrics),
    /// Delete an API.
    Delete(Delete),
    /// Send a JSON file to an API and print the answer.
    Predict(Predict),
    /// Make, show and remove clusters.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Choose the cluster that the other commands talk to.
    #[command(subcommand)]
    Env(Env),
    /// Keys that clients of your APIs need.
    #[command(subcommand)]
    ApiKey(ApiKey),
    /// Web pages that may call your APIs from a browser.
    #[command(subcommand)]
    Cors(Cors),
    /// Show who asked the cluster for what, and whether it was allowed.
    Audit(Audit),
    /// Print the version of this program and of the cluster.
    Version(Version),
    /// Print a completion script for a shell.
    Completion { shell: Shell },
    /// The process of a control node, or of a local cluster, that keeps the others running.
    #[command(hide = true)]
    Node(NodeArguments),
    /// The control plane process.
    #[command(hide = true)]
    Operator(ProcessArguments),
    /// The data plane process.
    #[command(hide = true)]
    Gateway(ProcessArguments),
    /// One copy of one API.
    #[command(hide = true)]
    Replica {
        /// What to be: a JSON file written by an engine.
        #[arg(long)]
        spec: PathBuf,
        /// Where traces go: a JSON file written by `cluster up`.
        #[arg(long)]
        telemetry: Option<PathBuf>,
    },
    /// One copy of one API, in a container of Amazon ECS.
    #[command(hide = true)]
    Task {
        /// Only tell, by the exit code, whether the replica of this container is ready.
        #[arg(long)]
        healthy: bool,
    },
    /// Print the reference page of all commands.
    #[command(name = "__reference", hide = true)]
    Reference,
}

#[derive(Debug, Args)]
pub struct ProcessArguments {
    /// The cluster's directory.
    #[arg(long)]
    pub directory: PathBuf,
}

#[derive(Debug, Args)]
pub struct NodeArguments {
    #[command(flatten)]
    pub process: ProcessArguments,
    /// The bucket of the cluster on AWS that this machine is a control node of.
    #[arg(long, env = "CORTEX_BUCKET", requires = "region")]
    pub bucket: Option<String>,
    /// The bucket's region.
    #[arg(long, env = "CORTEX_REGION")]
    pub region: Option<String>,
    /// Where operator and gateway of a control node listen.
    #[arg(long, env = "CORTEX_LISTEN_ADDRESS", default_value = "0.0.0.0")]
    pub listen_address: std::net::IpAddr,
}

/// Which cluster a command talks to.
#[derive(Debug, Args)]
pub struct Target {
    /// Environment to use instead of the default one.
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
}

#[derive(Debug, Args)]
pub struct Printed {
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct Deploy {
    /// Configuration file; its directory is the project that is uploaded.
    #[arg(default_value = "cortex.yaml")]
    pub file: PathBuf,
    /// Return as soon as the operator knows what is wanted.
    #[arg(long)]
    pub no_wait: bool,
    /// Seconds to wait for the APIs to get ready.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub timeout: u64,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Get {
    /// Only this API, in detail.
    pub api: Option<String>,
    /// Show again whenever something changes, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Logs {
    pub api: String,
    /// Go on with new lines until interrupted.
    #[arg(short, long)]
    pub follow: bool,
    /// Lines to begin with.
    #[arg(long, default_value_t = 200, value_name = "LINES")]
    pub tail: usize,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Metrics {
    /// Only this API.
    pub api: Option<String>,
    /// Print all metrics of all processes as they are, in the text format of Prometheus.
    #[arg(long, conflicts_with_all = ["api", "watch", "output"])]
    pub raw: bool,
    /// Show again every two seconds, what happened since the last time, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Delete {
    pub api: String,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Predict {
    pub api: String,
    /// The request's body; `-` reads standard input.
    pub file: PathBuf,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Make a cluster, or bring an existing one to what the file says.
    Up(ClusterUp),
    /// Bring an existing cluster to what the file says.
    #[command(visible_alias = "configure")]
    Update(ClusterUp),
    /// AWS: show what `up` would do and what would keep it from doing it, and do nothing.
    Plan(ClusterPlan),
    /// Show a cluster: addresses, processes, and the line that configures an environment.
    Info(ClusterInfo),
    /// Tell whether every part of a cluster does its work; the exit code says it too.
    Health(ClusterNamed),
    /// Write what is deployed, each API's project as it was uploaded, to a directory.
    Export(ClusterExport),
    /// Remove a cluster and everything in it.
    Down(ClusterDown),
    /// Print the cluster's certificate authority (PEM), for clients to verify it with.
    Cert(ClusterNamed),
}

#[derive(Debug, Args)]
pub struct ClusterUp {
    /// Cluster configuration.
    #[arg(short, long, default_value = "cluster.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// AWS: only show what would be done, as `cluster plan` does.
    #[arg(long, conflicts_with_all = ["yes", "no_wait"])]
    pub dry_run: bool,
    /// AWS: return when everything is made, without waiting for the control nodes to work.
    #[arg(long)]
    pub no_wait: bool,
    /// AWS: write the run as a trace, for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub files: NodeFiles,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct NodeFiles {
    /// AWS: the `cortex` for the nodes (x86-64 Linux, glibc 2.34 or older); this program itself if it is left out.
    #[arg(long, value_name = "FILE")]
    pub node_binary: Option<PathBuf>,
    /// AWS: the ONNX Runtime library for the nodes; the pinned one is fetched if it is left out.
    #[arg(long, value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ClusterPlan {
    /// Cluster configuration.
    #[arg(short, long, default_value = "cluster.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Instead of the plan, print everything that is wanted in another form, for reading and for scanners.
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "output")]
    pub export: Option<Export>,
    #[command(flatten)]
    pub files: NodeFiles,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Export {
    /// The content of a `*.tf.json` file.
    TerraformJson,
}

/// A cluster of this machine, which may be left out if there is only one; or one on AWS, by file, or by name and region.
#[derive(Debug, Args)]
pub struct WhichCluster {
    /// Name of the cluster.
    #[arg(short, long, value_name = "NAME")]
    pub name: Option<String>,
    /// Region of a cluster on AWS.
    #[arg(long, value_name = "REGION", requires = "name")]
    pub region: Option<String>,
    /// Take name, provider and region from a cluster configuration.
    #[arg(short, long, value_name = "FILE", conflicts_with = "name")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ClusterNamed {
    #[command(flatten)]
    pub which: WhichCluster,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct ClusterInfo {
    #[command(flatten)]
    pub which: WhichCluster,
    /// AWS: also compare what there is with what the last `up` wanted; a difference is exit code 8.
    #[arg(long)]
    pub drift: bool,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct ClusterExport {
    #[command(flatten)]
    pub which: WhichCluster,
    /// Only this API.
    pub api: Option<String>,
    /// Directory to make; `export-<cluster>` if it is left out.
    #[arg(long, value_name = "DIRECTORY")]
    pub to: Option<PathBuf>,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct ClusterDown {
    #[command(flatten)]
    pub which: WhichCluster,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// AWS: keep the bucket, with all that was deployed, and the logs; a later `up` goes on with them.
    #[arg(long)]
    pub keep_aws_resources: bool,
    /// AWS: write the run as a trace, for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Subcommand)]
pub enum Env {
    /// Make or replace an environment.
    Configure(EnvConfigure),
    /// Show all environments.
    List(Printed),
    /// Show the default environment, or choose another.
    Default {
        name: Option<String>,
        #[command(flatten)]
        printed: Printed,
    },
    /// Forget an environment; the cluster stays as it is.
    Delete {
        name: String,
        #[command(flatten)]
        printed: Printed,
    },
}

#[derive(Debug, Args)]
pub struct EnvConfigure {
    /// Name of the environment.
    pub name: String,
    /// The cluster of this machine that it stands for; may be left out if there is only one.
    #[arg(long, value_name = "NAME", conflicts_with = "operator_endpoint")]
    pub cluster: Option<String>,
    /// `https://host:port` of a cluster on AWS (`cortex cluster info`), or of another machine's.
    #[arg(short = 'p', long, value_name = "URL")]
    pub operator_endpoint: Option<String>,
    /// That cluster's certificate authority (`cortex cluster cert`).
    #[arg(long, value_name = "FILE", requires = "operator_endpoint")]
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of that authority's certificate, which the operator shows; without it, or the file, you are asked.
    #[arg(long, value_name = "SHA256", requires = "operator_endpoint", conflicts_with = "ca_file")]
    pub ca_fingerprint: Option<String>,
    /// Region of a cluster on AWS; from the standard AWS settings if it is left out.
    #[arg(long, value_name = "REGION", conflicts_with = "token_file")]
    pub region: Option<String>,
    /// Dial ADDRESS:PORT for HOST:PORT, for example a tunnel into a private network; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS:PORT", requires = "operator_endpoint")]
    pub connect_to: Vec<ConnectTo>,
    /// A file with that cluster's admin token; it is read at every use and not copied.
    #[arg(long, value_name = "FILE", requires_all = ["operator_endpoint", "ca_file"])]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Audit {
    /// How far back: a time like `90m`, `24h` or `7d`, or a moment like `2026-01-31T12:00:00Z`.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub since: Moment,
    /// Only what was not allowed.
    #[arg(long)]
    pub refused: bool,
    /// Of the newest; 10,000 at most.
    #[arg(long, default_value_t = 1000, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct Version {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

impl Arguments {
    /// Whether errors, too, should be for programs.
    pub fn wants_json(&self) -> bool {
        let printed = match &self.command {
            Command::Deploy(Deploy { printed, .. })
            | Command::Get(Get { printed, .. })
            | Command::Logs(Logs { printed, .. })
            | Command::Metrics(Metrics { printed, .. })
            | Command::Delete(Delete { printed, .. })
            | Command::Audit(Audit { printed, .. })
            | Command::Version(Version { printed, .. })
            | Command::Cluster(
                Cluster::Up(ClusterUp { printed, .. })
                | Cluster::Update(ClusterUp { printed, .. })
                | Cluster::Plan(ClusterPlan { printed, .. })
                | Cluster::Info(ClusterInfo { printed, .. })
                | Cluster::Health(ClusterNamed { printed, .. })
                | Cluster::Export(ClusterExport { printed, .. })
                | Cluster::Cert(ClusterNamed { printed, .. })
                | Cluster::Down(ClusterDown { printed, .. }),
            )
            | Command::Env(
                Env::Configure(EnvConfigure { printed, .. })
                | Env::List(printed)
                | Env::Default { printed, .. }
                | Env::Delete { printed, .. },
            ) => printed,
            Command::ApiKey(api_key) => api_key.printed(),
            Command::Cors(cors) => cors.printed(),
            _ => return false,
        };
        printed.output == Format::Json
    }
}
