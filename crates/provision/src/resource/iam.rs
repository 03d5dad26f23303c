//! Roles, and what lets an instance have one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Mapping;

/// A policy document. Compared as JSON, not as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Policy(pub Value);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// At most 64 characters, unique in the account.
    pub name: String,
    /// All of a cluster's roles have the same path, so that they can be listed without listing the account's.
    pub path: String,
    pub description: String,
    pub trust: Policy,
    pub inline_policies: BTreeMap<String, Policy>,
    pub managed_policy_arns: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile<L> {
    pub name: String,
    pub path: String,
    /// Name of the role. `None` only if found so.
    pub role: Option<L>,
}

impl<L> InstanceProfile<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<InstanceProfile<M>, E> {
        Ok(InstanceProfile { name: self.name, path: self.path, role: self.role.map(f).transpose()? })
    }
}
