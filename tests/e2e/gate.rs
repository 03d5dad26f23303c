//! A directory by which a test and what it has deployed wait for each other: a file for each thing that has happened, and
//! one for each that may.

use std::{fs, path::PathBuf};

use testkit::{Cluster, eventually};

/// Stands at the beginning of a program that is held at the gate.
pub const PYTHON: &str = r#"
import os, threading

def reach(name):
    open(os.path.join(os.environ["GATE"], name), "w").close()

def wait(name):
    while not os.path.exists(os.path.join(os.environ["GATE"], name)):
        threading.Event().wait(0.002)
"#;

pub struct Gate {
    directory: PathBuf,
}

impl Gate {
    pub fn new(cluster: &Cluster) -> Self {
        let directory = cluster.cortex.temporary().join("gate");
        fs::create_dir(&directory).expect("it is the test's own");
        Self { directory }
    }

    /// A line of `predictor` or `container` in a `cortex.yaml`.
    pub fn env(&self) -> String {
        format!("    env: {{GATE: '{}'}}\n", self.directory.display())
    }

    /// Lets whoever waits for this go on.
    pub fn open(&self, name: &str) {
        fs::write(self.directory.join(name), "").expect("it is the test's own");
    }

    pub fn is_reached(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }

    pub async fn reached(&self, name: &str) {
        eventually(&format!("`{name}` is reached"), async || match self.is_reached(name) {
            true => Ok(()),
            false => Err(format!("{:?}", fs::read_dir(&self.directory).map(|entries| entries.flatten().count()))),
        })
        .await;
    }
}
