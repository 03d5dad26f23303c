//! `cortex cluster health`.

use super::{Which, which};
use crate::{
    args,
    health::{Health, Part},
    home::Home,
    local::{Layout, Registered, Role},
    output::table,
    report::{Exit, Failure},
};

pub async fn health(arguments: args::ClusterNamed) -> Result<(), Failure> {
    let health = match which(&Home::find()?, &arguments.which)? {
        Which::Local(cluster) => local(&cluster).await?,
        Which::Aws(there) => there.health().await?,
    };
    arguments.printed.output.print(&health, pretty)?;
    let ill: Vec<&str> = health.parts.iter().filter(|part| !part.healthy).map(|part| part.name.as_str()).collect();
    if ill.is_empty() {
        return Ok(());
    }
    let message = format!("the cluster {} is not healthy: {}", health.cluster, ill.join(", "));
    Err(Failure::new(Exit::NotReady, "cluster.unhealthy", message)
        .hint("`cortex cluster up` mends what it can; `cortex cluster info` shows more"))
}

fn pretty(health: &Health) -> String {
    let rows = health.parts.iter().map(|part| {
        let verdict = if part.healthy { "healthy" } else { "ILL" };
        [part.name.clone(), verdict.to_owned(), part.message.clone()]
    });
    table(["part", "health", ""], rows)
}

/// The three processes: each runs, and says that all is well.
async fn local(cluster: &Registered) -> Result<Health, Failure> {
    let layout = Layout::new(&cluster.directory);
    let settings = cluster.settings()?;
    let mut parts: Vec<Part> = [Role::Node, Role::Operator, Role::Gateway]
        .map(|role| {
            let running = role.is_running(&layout);
            let said = role.status(&layout).map(|status| status.message).unwrap_or_default();
            let message = match running {
                true => said,
                false if said.is_empty() => "not running".to_owned(),
                false => format!("not running; it last said: {said}"),
            };
            Part::new(role.name(), running, message)
        })
        .into();
    for (name, address) in [("operator port", settings.operator), ("gateway port", settings.gateway)] {
        let connected = tokio::net::TcpStream::connect(address).await;
        let message = match &connected {
            Ok(_) => format!("accepts connections at {address}"),
            Err(error) => format!("does not accept connections at {address}: {error}"),
        };
        parts.push(Part::new(name, connected.is_ok(), message));
    }
    Ok(Health::new(&cluster.name, parts))
}
