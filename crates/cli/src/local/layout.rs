//! Where things lie in a local cluster's directory.

use std::path::{Path, PathBuf};

use transport::Address;

use super::Role;

#[derive(Debug, Clone)]
pub struct Layout {
    pub directory: PathBuf,
}

impl Layout {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    pub fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Uploads in progress: on the same file system as the state.
    pub fn scratch(&self) -> PathBuf {
        self.directory.join("scratch")
    }

    /// Where the gateway tells its metrics to the operator: a socket that only the cluster's user can reach.
    pub fn gateway_metrics(&self) -> Address {
        Address::Unix(self.directory.join("gateway.metrics"))
    }

    pub fn gateway_cache(&self) -> PathBuf {
        self.directory.join("gateway")
    }

    pub fn settings_file(&self) -> PathBuf {
        self.directory.join("settings.json")
    }

    /// Of a control node on AWS, instead of the settings.
    #[cfg(feature = "aws")]
    pub fn node_file(&self) -> PathBuf {
        self.directory.join("node.json")
    }

    /// Where traces go: gateway and replicas follow it.
    pub fn telemetry_file(&self) -> PathBuf {
        self.directory.join("telemetry.json")
    }

    pub fn token_file(&self) -> PathBuf {
        self.directory.join("admin-token")
    }

    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    pub fn status_file(&self, role: Role) -> PathBuf {
        self.run().join(role.name()).with_extension("json")
    }

    /// Locked by processes of the role that finish their last requests while the next one serves.
    pub fn draining_lock(&self, role: Role) -> PathBuf {
        self.run().join(role.name()).with_extension("draining.lock")
    }

    pub fn log_file(&self, role: Role) -> PathBuf {
        self.run().join(role.name()).with_extension("log")
    }
}

impl AsRef<Path> for Layout {
    fn as_ref(&self) -> &Path {
        &self.directory
    }
}
