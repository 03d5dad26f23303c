//! What is to be done, decided in full: execution carries it out and decides nothing.

mod blockers;
mod display;
mod steps;
mod timing;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use blockers::blockers;
pub use steps::{Act, Step};
pub use timing::{Timing, deadline, expected};

use crate::{
    change::Change,
    cloud::{ClusterId, Observed, State},
    desired::Node,
    resource::{Key, Kind},
};

/// What becomes of every resource of the cluster, wanted or found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub cluster: ClusterId,
    /// Dependencies before dependants, then what goes.
    pub entries: Vec<Entry>,
}

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    pub kind: Kind,
    pub choice: Choice,
    /// Absent only with [`Choice::Delete`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Node>,
    /// Absent only with [`Choice::Create`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Observed>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Choice {
    Create,
    Update {
        changes: Vec<Change>,
    },
    /// A new one instead of the old one, since AWS does not allow the change.
    Replace {
        reason: String,
        order: Order,
    },
    Delete {
        reason: DeleteReason,
    },
    Keep,
}

/// Which comes first in a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Old and new can stand side by side: nothing is missing at any time.
    CreateFirst,
    /// They would have the same name, address or place.
    DeleteFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteReason {
    /// Ours, and no longer part of the cluster.
    Unwanted,
    /// A crash made two of it.
    Duplicate,
}

impl Plan {
    /// Whether everything is as wanted: carrying it out would not change anything.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.choice == Choice::Keep)
    }

    /// Of what is kept, what cannot do its work yet.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| {
            entry.choice == Choice::Keep
                && entry.current.as_ref().is_some_and(|current| current.state == State::Pending)
        })
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            match entry.choice {
                Choice::Create => counts.create += 1,
                Choice::Update { .. } => counts.update += 1,
                Choice::Replace { .. } => counts.replace += 1,
                Choice::Delete { .. } => counts.delete += 1,
                Choice::Keep => counts.keep += 1,
            }
        }
        counts
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub keep: usize,
}

/// A change that is not made, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub key: Key,
    /// The field of `cluster.yaml` that asks for it.
    pub setting: String,
    pub change: Option<Change>,
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot change: {}", self.setting, self.why)?;
        match &self.change {
            Some(change) => write!(f, " ({}: {change})", self.key),
            None => write!(f, " ({})", self.key),
        }
    }
}

/// Every reason why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused(pub Vec<Refusal>);
