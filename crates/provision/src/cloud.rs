//! The seam to the cloud: everything this crate asks of it, in this crate's own types.
//!
//! What an implementation promises:
//!
//! - `observe` answers with everything of one kind that belongs to the cluster, by as few calls as the service allows
//!   (batched; all pages). It belongs if its tags say so; tags are looked at in the reply, server-side filters are not
//!   trusted. What cannot carry tags, or may have lost them in a crash, is found by its deterministic name
//!   ([`crate::names`]) and checked to be in this account. Never anything else: what is observed may be deleted.
//!   What AWS keeps listing after its end (`deleted` NAT gateways, `terminated` instances, `INACTIVE` clusters) is left
//!   out.
//! - `observe_all` answers with the same of several kinds, seen at once: what is asked for one of them need not be asked
//!   again for the next.
//! - `create` makes the resource with all its fields and tags, by several calls if need be. It tags in the creating call
//!   where that is possible and sends a client token where there is one. Something of the same name of this cluster's:
//!   [`ErrorKind::AlreadyExists`].
//! - `update` changes the named fields to the wanted values. Sent twice it does no harm.
//! - `delete` starts the end of one resource, with what only exists as a part of it (a bucket's objects, a group's
//!   instances, a provider's place in its cluster). Gone already is success. Returning does not mean gone: observe.
//!
//! Calls are not retried inside: the executor does that, for it knows the deadline and tells the user.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

pub use crate::change::Change;
use crate::resource::{Attribute, Concrete, Key, Kind};

/// Which cluster of which account is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterId {
    pub name: String,
    pub region: String,
    pub account_id: String,
}

/// What AWS calls a resource. `id` is what its delete call takes: for load balancers, target groups and listeners the
/// ARN; for what has a name and no id, the name; for objects the object key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Load balancers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_name: Option<String>,
}

impl Ids {
    pub fn get(&self, attribute: Attribute) -> Option<&str> {
        match attribute {
            Attribute::Id => Some(&self.id),
            Attribute::Arn => self.arn.as_deref(),
            Attribute::Name => self.name.as_deref(),
            Attribute::DnsName => self.dns_name.as_deref(),
        }
    }

    /// Whether `text` is one of the names that other resources use for this one.
    pub fn is(&self, text: &str) -> bool {
        self.id == text || [&self.arn, &self.name].into_iter().flatten().any(|known| known == text)
    }
}

/// A resource as found in the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// From its tag, or its deterministic name.
    pub key: Key,
    pub kind: Kind,
    pub ids: Ids,
    pub tags: BTreeMap<String, String>,
    /// `None` for the kinds that `up` never wants, and on its way out.
    pub actual: Option<Concrete>,
    pub state: State,
    /// As far as the service tells; the oldest of two is kept.
    pub created_at: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Exists, cannot do its work yet: a NAT gateway or load balancer being made, a group with too few healthy instances.
    Pending,
    Available,
    /// Will be gone.
    Deleting,
    /// Never becomes available; the service's reason.
    Failed(String),
}

/// What `create` and `update` should arrive at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    pub key: Key,
    /// All of them, ours included; empty for what cannot carry any.
    pub tags: BTreeMap<String, String>,
    pub resource: Concrete,
}

#[async_trait]
pub trait Cloud: Send + Sync {
    async fn observe(&self, cluster: &ClusterId, kind: Kind) -> Result<Vec<Observed>, CloudError>;

    async fn observe_all(&self, cluster: &ClusterId, kinds: &[Kind]) -> Result<Vec<Observed>, CloudError> {
        let looks = kinds.iter().map(|kind| self.observe(cluster, *kind));
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cluster: &ClusterId, wanted: &Wanted) -> Result<Ids, CloudError>;

    /// `changes` says which fields differ (`tags` among them); `current` and `wanted` have them in full.
    async fn update(
        &self,
        cluster: &ClusterId,
        current: &Observed,
        wanted: &Wanted,
        changes: &[Change],
    ) -> Result<(), CloudError>;

    async fn delete(&self, cluster: &ClusterId, what: &Observed) -> Result<(), CloudError>;
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct CloudError {
    pub kind: ErrorKind,
    /// The service's own words, with its code.
    pub message: String,
}

/// What to do about it, decided once, where the service's codes are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Too many requests. Nothing happened.
    Throttled,
    /// Something just made is not known everywhere yet. Nothing happened.
    NotFoundYet,
    /// Something else still uses it, or is not yet there for it. Nothing happened.
    DependencyViolation,
    /// There is one of that name (or range, or port).
    AlreadyExists,
    /// The caller may not do `action`.
    Denied {
        action: String,
    },
    CredentialsExpired,
    /// Refused for good: wrong values, a quota reached.
    Invalid,
    /// No answer, or the service's own trouble. It may have happened.
    Unavailable,
}

impl CloudError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.region)
    }
}
