//! `cortex cluster down`.

use std::time::Instant;

use super::{Which, no_trace, which};
use crate::{
    args,
    commands::confirm,
    home::Home,
    local::{self, Layout},
    output::say,
    report::Failure,
};

pub async fn down(arguments: args::ClusterDown) -> Result<(), Failure> {
    let begin = Instant::now();
    let home = Home::find()?;
    let cluster = match which(&home, &arguments.which)? {
        Which::Local(cluster) => {
            no_trace(arguments.trace.as_deref())?;
            cluster
        }
        Which::Aws(there) => return Box::pin(there.down(&arguments)).await,
    };
    if arguments.keep_aws_resources {
        return Err(Failure::not_supported("a cluster on this machine has no AWS resources: nothing was done")
            .hint("`cortex cluster export` writes what is deployed to a directory"));
    }
    if !arguments.yes {
        confirm(&format!(
            "this ends the cluster `{}` and deletes {} with everything deployed in it",
            cluster.name,
            cluster.directory.display()
        ))?;
    }
    let replicas = local::bring_down(&Layout::new(&cluster.directory)).await?;
    let environments = local::remove(&home, &cluster)?;
    for name in &environments {
        say!("environment {name} forgotten");
    }
    let seconds = begin.elapsed().as_secs_f64();
    let result = serde_json::json!({
        "cluster": cluster.name, "replicas_stopped": replicas, "environments_forgotten": environments,
        "seconds": seconds,
    });
    arguments.printed.output.print(&result, |_| {
        format!("cluster {} is gone: {replicas} replicas stopped, nothing left ({seconds:.1} s)", cluster.name)
    })
}
