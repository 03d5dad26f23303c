//! Whether the parts of a cluster do their work.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub cluster: String,
    pub healthy: bool,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub name: String,
    pub healthy: bool,
    pub message: String,
}

impl Health {
    pub fn new(cluster: impl Into<String>, parts: Vec<Part>) -> Self {
        Self { cluster: cluster.into(), healthy: parts.iter().all(|part| part.healthy), parts }
    }
}

impl Part {
    pub fn new(name: impl Into<String>, healthy: bool, message: impl Into<String>) -> Self {
        Self { name: name.into(), healthy, message: message.into() }
    }
}
