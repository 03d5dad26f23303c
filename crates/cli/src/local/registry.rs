//! Which clusters there are on this machine: `clusters/<name>.json` names each one's directory.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Layout, Settings};
use crate::{
    home::{Home, io_failure, make_private_directory, write_private},
    report::{Exit, Failure},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub name: String,
    pub directory: PathBuf,
}

impl Registered {
    /// What its processes were told; an `up` that did not get that far leaves a cluster without.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(&Layout::new(&self.directory))?.ok_or_else(|| {
            let message = format!("the cluster `{}` was never made whole", self.name);
            Failure::new(Exit::NotFound, "cluster.incomplete", message)
                .hint("`cortex cluster up` finishes it, `cortex cluster down` removes it")
        })
    }
}

pub fn register(home: &Home, registered: &Registered) -> Result<(), Failure> {
    make_private_directory(&home.clusters())?;
    let json = serde_json::to_vec_pretty(registered).map_err(|error| Failure::internal(error.to_string()))?;
    write_private(&file(home, &registered.name), &json)
}

pub fn unregister(home: &Home, name: &str) -> Result<(), Failure> {
    let path = file(home, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_failure("remove", &path, &error)),
        _ => Ok(()),
    }
}

/// The named cluster, or the only one.
pub fn find(home: &Home, name: Option<&str>) -> Result<Registered, Failure> {
    let mut all = all(home)?;
    match name {
        Some(name) => all.into_iter().find(|cluster| cluster.name == name).ok_or_else(|| {
            Failure::new(Exit::NotFound, "cluster.not_found", format!("there is no cluster `{name}` on this machine"))
                .hint("`cortex cluster up -c cluster.yaml` makes one")
        }),
        None if all.len() == 1 => Ok(all.remove(0)),
        None if all.is_empty() => {
            Err(Failure::new(Exit::NotFound, "cluster.not_found", "there is no cluster on this machine")
                .hint("`cortex cluster up -c cluster.yaml` makes one"))
        }
        None => {
            let names: Vec<_> = all.iter().map(|cluster| cluster.name.as_str()).collect();
            Err(Failure::new(Exit::NotFound, "cluster.ambiguous", format!("there are several: {}", names.join(", ")))
                .hint("say which one with --name"))
        }
    }
}

fn all(home: &Home) -> Result<Vec<Registered>, Failure> {
    let directory = home.clusters();
    let files = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(|error| io_failure("read", &directory, &error))?,
    };
    let mut all = Vec::new();
    for path in files.flatten().map(|file| file.path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let bytes = fs::read(&path).map_err(|error| io_failure("read", &path, &error))?;
            let registered = serde_json::from_slice(&bytes)
                .map_err(|error| Failure::internal(format!("{} is damaged: {error}", path.display())))?;
            all.push(registered);
        }
    }
    all.sort_by(|left: &Registered, right| left.name.cmp(&right.name));
    Ok(all)
}

fn file(home: &Home, name: &str) -> PathBuf {
    home.clusters().join(format!("{name}.json"))
}
