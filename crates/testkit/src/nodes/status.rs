//! The runner's status file.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// How all nodes are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// In the order in which they were begun; those that are gone stay.
    pub nodes: Vec<Node>,
    /// By `<dns name>:<port>` of a listener: the address of its forwarder.
    pub balancers: BTreeMap<String, String>,
}

impl Status {
    pub fn node(&self, instance: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.instance == instance)
    }
}

/// One instance with user data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Node {
    pub instance: String,
    /// `booting`, `up`, `failed` (its user data), `stopping`, `gone`
    pub state: String,
    /// On loopback.
    pub address: String,
    pub directory: PathBuf,
    /// Of its metadata service.
    pub metadata: String,
    pub units: Vec<Unit>,
    /// What `/etc/ecs/ecs.config` says, if it names a cluster.
    pub ecs_config: Option<BTreeMap<String, String>>,
    /// The ARN, once it is registered.
    pub container_instance: Option<String>,
    /// Why its ECS agent cannot do its work.
    pub problem: Option<String>,
    pub tasks: Vec<Task>,
}

impl Node {
    /// It is neither stopping nor gone.
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "stopping" | "gone")
    }
}

/// A systemd service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unit {
    /// `cortex.service`
    pub name: String,
    /// `running`, `waiting` (to be started, again), `stopped`
    pub state: String,
    pub pid: Option<u32>,
    pub starts: u32,
    /// Why it cannot be started.
    pub problem: Option<String>,
}

/// An ECS task, of one container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Task {
    pub arn: String,
    /// `service:<name>`
    pub group: String,
    pub container: String,
    /// `PENDING`, `RUNNING`, `STOPPED`
    pub state: String,
    /// `UNKNOWN`, `HEALTHY`, `UNHEALTHY`; none without a check.
    pub health: Option<String>,
    pub pid: Option<u32>,
    /// Host ports, in the order of the definition's mappings.
    pub ports: Vec<u16>,
    pub directory: PathBuf,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
}
