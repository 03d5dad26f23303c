//! The operator's documents: what is deployed, and every specification that ever was.
//!
//! `apis/<name>/head.json` says what is deployed and is the only one that changes; it names an immutable
//! `apis/<name>/spec/<hash>.json`, written before the head that names it. A crash between the two leaves a
//! specification nobody names, which does no harm.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spec::realtime::Api;
use state::{Expect, State, StateError, Version, read, write};
use time::OffsetDateTime;

/// Which specification of an API is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`Api::spec_hash`].
    pub spec: String,
    /// Counts the deploys that changed something.
    pub generation: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

/// One specification of an API with the code it came with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Specification {
    pub api: Api,
    /// SHA-256 of the bundle.
    pub bundle: String,
}

/// An API that is deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    pub head: Head,
    pub specification: Specification,
}

impl Deployment {
    /// The version its replicas should have.
    pub fn replica_version(&self) -> String {
        self.specification.api.replica_hash(&self.specification.bundle)
    }
}

/// Typed access to the State.
#[derive(Clone)]
pub struct Store {
    state: Arc<dyn State>,
}

impl Store {
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    pub fn state(&self) -> &dyn State {
        &*self.state
    }

    pub async fn head(&self, name: &str) -> Result<Option<(Head, Version)>, StateError> {
        read(&*self.state, &head_key(name)).await
    }

    pub async fn deployment(&self, name: &str) -> Result<Option<Deployment>, StateError> {
        let Some((head, _)) = self.head(name).await? else { return Ok(None) };
        let specification = read(&*self.state, &spec_key(name, &head.spec)).await?;
        Ok(specification.map(|(specification, _)| Deployment { head, specification }))
    }

    /// Everything that is deployed, by name.
    pub async fn deployments(&self) -> Result<Vec<Deployment>, StateError> {
        let mut all = Vec::new();
        for entry in self.state.list("apis/").await? {
            let name = entry.key.strip_prefix("apis/").and_then(|rest| rest.strip_suffix("/head.json"));
            if let Some(name) = name
                && let Some(deployment) = self.deployment(name).await?
            {
                all.push(deployment);
            }
        }
        Ok(all)
    }

    pub async fn put_specification(&self, specification: &Specification) -> Result<String, StateError> {
        let hash = specification.api.spec_hash(&specification.bundle);
        let key = spec_key(&specification.api.name, &hash);
        match write(&*self.state, &key, specification, &Expect::Absent).await {
            // The key is the content's hash: what is there already is the same.
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(hash),
        }
    }

    pub async fn put_head(&self, name: &str, head: &Head, expect: &Expect) -> Result<(), StateError> {
        write(&*self.state, &head_key(name), head, expect).await.map(drop)
    }

    /// Un-deploys first, then drops the specifications.
    pub async fn delete(&self, name: &str, version: Version) -> Result<(), StateError> {
        self.state.delete(&head_key(name), &Expect::Version(version)).await?;
        for entry in self.state.list(&format!("apis/{name}/spec/")).await? {
            self.state.delete(&entry.key, &Expect::Anything).await?;
        }
        Ok(())
    }
}

/// Everything that is deployed, by name: for whoever reads the State without an operator.
pub async fn deployments(state: Arc<dyn State>) -> Result<Vec<Deployment>, StateError> {
    Store::new(state).deployments().await
}

fn head_key(name: &str) -> String {
    format!("apis/{name}/head.json")
}

fn spec_key(name: &str, hash: &str) -> String {
    format!("apis/{name}/spec/{hash}.json")
}

/// Key of a bundle's blob.
pub fn bundle_key(sha256: &str) -> String {
    format!("bundles/{sha256}")
}
