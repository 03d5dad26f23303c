//! `cortex cluster`.

pub mod cert;
pub mod down;
pub mod info;
pub mod up;

use std::{fs, path::Path};

use spec::cluster::Cluster;

use crate::{
    args::WhichCluster,
    home::{Home, io_failure},
    local::{self, Registered},
    report::{Exit, Failure},
};

fn read_config(file: &Path) -> Result<Cluster, Failure> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "cluster.no_file", format!("there is no file {}", file.display()))
                .hint("name the configuration with -c; cluster.yaml.example shows every field")
        }
        _ => io_failure("read", file, &error),
    })?;
    Ok(spec::cluster::parse(&file.display().to_string(), &text)?)
}

fn find(home: &Home, which: &WhichCluster) -> Result<Registered, Failure> {
    let name = match (&which.name, &which.config) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(file)) => Some(read_config(file)?.name),
        (None, None) => None,
    };
    local::find(home, name.as_deref())
}
