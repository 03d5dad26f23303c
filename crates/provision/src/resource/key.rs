//! What a resource is called within its cluster, and how one resource points at another.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Kind;

/// The stable name of a resource in its cluster: its kind, then what tells it from others of that kind, as in `vpc` or
/// `subnet/public/us-east-1a`. It is the value of the tag `cortex.dev/resource`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    pub fn new(kind: Kind, parts: &[&str]) -> Self {
        let mut key = kind.as_str().to_owned();
        for part in parts {
            key.push('/');
            key.push_str(part);
        }
        Self(key)
    }

    /// As read from a tag. Anything goes: what no version of cortex ever wanted is unwanted like any other.
    pub fn from_tag(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the kind.
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of another resource is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    Id,
    Arn,
    Name,
    DnsName,
}

/// An attribute of another resource of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ref {
    pub key: Key,
    pub attribute: Attribute,
}

/// Where a field means another resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Link {
    /// One of ours, known only once it exists.
    To(Ref),
    /// One that is not ours: brought by the user.
    Known(String),
}

impl Link {
    pub fn id(key: &Key) -> Self {
        Self::to(key, Attribute::Id)
    }

    pub fn arn(key: &Key) -> Self {
        Self::to(key, Attribute::Arn)
    }

    pub fn name(key: &Key) -> Self {
        Self::to(key, Attribute::Name)
    }

    pub fn dns_name(key: &Key) -> Self {
        Self::to(key, Attribute::DnsName)
    }

    fn to(key: &Key, attribute: Attribute) -> Self {
        Self::To(Ref { key: key.clone(), attribute })
    }

    /// The resource meant, if it is one of ours.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::To(to) => Some(&to.key),
            Self::Known(_) => None,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(to) => to.key.fmt(f),
            Self::Known(id) => f.write_str(id),
        }
    }
}
