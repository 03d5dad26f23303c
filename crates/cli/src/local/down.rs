//! `cluster down`: ends every process, then removes every file.

use std::{fs, io, time::Duration};

use super::{Layout, Registered, Role, unregister};
use crate::{
    environments::{CredentialSource, Environments},
    home::{Home, io_failure},
    report::Failure,
};

/// How long each process may take for what it has begun. A gateway drains for 30 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// Ends the node, then whatever it has left behind. Replicas go on.
pub async fn stop_processes(layout: &Layout) {
    for role in [Role::Node, Role::Gateway, Role::Operator] {
        role.stop(layout, PATIENCE).await;
    }
}

/// Ends everything, replicas too. Returns how many replicas were running.
pub async fn bring_down(layout: &Layout) -> Result<usize, Failure> {
    stop_processes(layout).await;
    operator::engine::process::stop_all(&layout.directory, PATIENCE)
        .await
        .map_err(|error| Failure::internal(error.to_string()))
}

/// Removes the directory, the registration, and the environments that stood for the cluster; returns the latter's names.
pub fn remove(home: &Home, cluster: &Registered) -> Result<Vec<String>, Failure> {
    match fs::remove_dir_all(&cluster.directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_failure("remove", &cluster.directory, &error)
                .hint("nothing of the cluster runs any more; run `cortex cluster down` again to remove the rest"));
        }
        _ => {}
    }
    let mut environments = Environments::load(home)?;
    let stood_for = |environment: &crate::environments::Environment| matches!(&environment.credential, CredentialSource::TokenFile(path) if path.starts_with(&cluster.directory));
    let names: Vec<_> = environments
        .environments
        .iter()
        .filter(|(_, environment)| stood_for(environment))
        .map(|(name, _)| name.clone())
        .collect();
    if !names.is_empty() {
        for name in &names {
            environments.remove(name);
        }
        environments.save(home)?;
    }
    unregister(home, &cluster.name)?;
    Ok(names)
}
