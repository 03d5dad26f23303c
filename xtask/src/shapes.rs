//! The clusters that scanners look at and that benchmarks make.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{emulator::Emulator, run};

pub(crate) struct Shape {
    /// Also the cluster's name.
    pub(crate) name: &'static str,
    yaml: &'static str,
}

impl Shape {
    pub(crate) fn has_nat(&self) -> bool {
        self.yaml.contains("nat_gateway")
    }

    /// Writes `cluster.yaml` of a name of its own.
    pub(crate) fn config(&self, place: &Path) -> Result<PathBuf> {
        let path = place.join(format!("{}.yaml", self.name));
        fs::write(&path, self.yaml).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Writes the wanted cluster as Terraform JSON to a directory of its own: Terraform takes a directory as one. Returns the file.
    pub(crate) fn terraform(&self, place: &Path) -> Result<PathBuf> {
        let config = self.config(place)?;
        let mut command = run::cargo(&["run", "--quiet", "-p", "provision", "--example", "terraform"]);
        let text = run::stdout_of(command.arg(&config))?;
        let directory = place.join("terraform").join(self.name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = directory.join("cluster.tf.json");
        fs::write(&path, text)?;
        Ok(path)
    }

    /// `cortex cluster up` in the emulated account, of which nothing boots: so what would boot may be anything.
    pub(crate) fn up(&self, place: &Path, emulator: &Emulator) -> Result<Command> {
        let mut command = run::program(run::binaries()?.join("cortex"));
        command.args(["cluster", "up", "--yes", "-c"]).arg(self.config(place)?);
        command.args(["--node-binary", "/bin/true", "--onnxruntime", "/bin/true"]);
        command.envs(emulator.environment()).env("CORTEX_HOME", place.join("home"));
        Ok(command)
    }
}

/// An empty directory below `target/`, whose content stays for people to look at.
pub(crate) fn place(name: &str) -> Result<PathBuf> {
    let place = run::target()?.join(name);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot empty {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}

pub(crate) const SHAPES: [Shape; 3] = [
    Shape {
        name: "public",
        yaml: "\
cluster_name: public
region: us-east-1
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
",
    },
    Shape {
        name: "private",
        yaml: "\
cluster_name: private
region: us-east-1
subnet_visibility: private
nat_gateway: single
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
",
    },
    Shape {
        name: "highly-available",
        yaml: "\
cluster_name: highly-available
region: us-east-1
subnet_visibility: private
nat_gateway: highly_available
availability_zones: [us-east-1a, us-east-1b, us-east-1c]
control_plane: {instances: 2}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 3}
  - {name: cheap, instance_type: m5.large, min_instances: 1, max_instances: 4, spot: true}
",
    },
];
