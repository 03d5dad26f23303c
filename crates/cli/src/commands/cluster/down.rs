//! `cortex cluster down`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use super::find;
use crate::{
    args,
    home::Home,
    local::{self, Layout},
    output::say,
    report::{Exit, Failure},
};

pub async fn down(arguments: args::ClusterDown) -> Result<(), Failure> {
    let begin = Instant::now();
    let home = Home::find()?;
    let cluster = find(&home, &arguments.which)?;
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

/// Asks until the answer is yes or no. Without a terminal nobody can answer.
fn confirm(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Cancelled, "cli.confirmation_needed", format!("{what}: nobody can be asked"))
            .hint("--yes answers beforehand"));
    }
    loop {
        eprint!("{what}\ncontinue? (y/n) ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map_err(|error| Failure::internal(error.to_string()))?;
        match answer.trim() {
            "y" | "Y" | "yes" => return Ok(()),
            "n" | "N" | "no" => break,
            _ if read == 0 => break,
            _ => {}
        }
    }
    Err(Failure::new(Exit::Cancelled, "cli.cancelled", "nothing was done"))
}
