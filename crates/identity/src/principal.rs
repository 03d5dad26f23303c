//! Callers of the operator and what they may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a caller may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See APIs, replicas and logs.
    Read,
    /// Deploy and delete APIs.
    Deploy,
    /// Everything, keys included.
    Admin,
}

/// A caller whose identity has been proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// How audit and `deployed by` name the caller: an IAM ARN, or `local-admin` for the holder of the admin token.
    pub name: String,
    pub role: Role,
}

impl Principal {
    /// The holder of a local cluster's admin token.
    pub fn local_admin() -> Self {
        Self { name: "local-admin".to_owned(), role: Role::Admin }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
