//! What went, and what is left and why.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    cloud::{CloudError, ClusterId},
    resource::{Key, Kind},
};

/// What became of a cluster that was to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destroyed {
    pub cluster: ClusterId,
    /// In the order in which they went.
    pub removed: Vec<Removed>,
    pub remaining: Vec<Remaining>,
    /// Kinds that could not be looked at: nobody knows whether something is left.
    pub unseen: BTreeMap<Kind, CloudError>,
    /// Why it was not gone on with, if it was not the user's wish.
    pub stopped: Option<CloudError>,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    pub key: Key,
    pub kind: Kind,
    pub id: String,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remaining {
    pub key: Key,
    pub kind: Kind,
    pub id: String,
    /// Of the last attempt, if there was one.
    pub error: Option<CloudError>,
    /// Has to go first.
    pub blocked_by: Vec<Key>,
}

impl Destroyed {
    /// Whether nothing is left, as far as anybody can see.
    pub fn is_complete(&self) -> bool {
        self.remaining.is_empty() && self.unseen.is_empty() && self.stopped.is_none()
    }
}

impl fmt::Display for Destroyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} resources removed, {} left", self.cluster, self.removed.len(), self.remaining.len())?;
        if let Some(error) = &self.stopped {
            writeln!(f, "stopped: {error}")?;
        }
        for left in &self.remaining {
            write!(f, "left: {} ({})", left.key, left.id)?;
            match (&left.error, left.blocked_by.first()) {
                (Some(error), _) => writeln!(f, ": {error}")?,
                (None, Some(key)) => writeln!(f, ": {key} has to go first")?,
                (None, None) => writeln!(f)?,
            }
        }
        for (kind, error) in &self.unseen {
            writeln!(f, "not known: whether there is any {kind}: {error}")?;
        }
        Ok(())
    }
}
