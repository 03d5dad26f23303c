//! The commands: each file is named after the one it does.

mod api_key;
mod audit;
mod cluster;
mod completion;
mod confirm;
mod cors;
mod delete;
mod deploy;
mod env;
mod get;
mod logs;
mod metrics;
mod predict;
mod reference;
mod version;

pub use confirm::confirm;

use crate::{
    args::{Arguments, Cluster, Command, Env},
    process,
    report::Failure,
};

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Deploy(arguments) => deploy::deploy(arguments).await,
        Command::Get(arguments) => get::get(arguments).await,
        Command::Logs(arguments) => logs::logs(arguments).await,
        Command::Metrics(arguments) => metrics::metrics(arguments).await,
        Command::Delete(arguments) => delete::delete(arguments).await,
        Command::Predict(arguments) => predict::predict(arguments).await,
        Command::Cluster(Cluster::Up(arguments)) => Box::pin(cluster::up::up(arguments, false)).await,
        Command::Cluster(Cluster::Update(arguments)) => Box::pin(cluster::up::up(arguments, true)).await,
        Command::Cluster(Cluster::Plan(arguments)) => Box::pin(cluster::plan::plan(arguments)).await,
        Command::Cluster(Cluster::Health(arguments)) => Box::pin(cluster::health::health(arguments)).await,
        Command::Cluster(Cluster::Export(arguments)) => Box::pin(cluster::export::export(arguments)).await,
        Command::Cluster(Cluster::Info(arguments)) => Box::pin(cluster::info::info(arguments)).await,
        Command::Cluster(Cluster::Down(arguments)) => Box::pin(cluster::down::down(arguments)).await,
        Command::Cluster(Cluster::Cert(arguments)) => cluster::cert::cert(arguments).await,
        Command::Env(Env::Configure(arguments)) => Box::pin(env::configure::configure(arguments)).await,
        Command::Env(Env::List(printed)) => env::list::list(printed.output),
        Command::Env(Env::Default { name, printed }) => env::default::default(name, printed.output),
        Command::Env(Env::Delete { name, printed }) => env::delete::delete(&name, printed.output),
        Command::ApiKey(api_key) => api_key::run(api_key).await,
        Command::Cors(cors) => cors::run(cors).await,
        Command::Audit(arguments) => audit::audit(arguments).await,
        Command::Version(arguments) => version::version(arguments).await,
        Command::Completion { shell } => completion::completion(shell),
        Command::Reference => reference::reference(),
        Command::Node(arguments) => Box::pin(process::node(arguments)).await,
        Command::Operator(arguments) => Box::pin(process::operator(&arguments.directory)).await,
        Command::Gateway(arguments) => Box::pin(process::gateway(&arguments.directory)).await,
        Command::Task { healthy: true } => process::task_is_healthy(),
        Command::Task { healthy: false } => Box::pin(process::task()).await,
        Command::Replica { spec, telemetry } => Box::pin(process::replica(&spec, telemetry)).await,
    }
}
