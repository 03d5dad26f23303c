//! What is told while a plan is carried out, and after.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    cloud::{CloudError, ClusterId, Ids},
    plan::Act,
    resource::{Key, Kind},
};

/// Something happened. Times are for showing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    Started {
        key: Key,
        kind: Kind,
        act: Act,
        expected: Duration,
    },
    /// The next attempt is after `pause`.
    Retrying {
        key: Key,
        error: CloudError,
        pause: Duration,
    },
    Done {
        key: Key,
        kind: Kind,
        act: Act,
        took: Duration,
    },
    /// Exists; is awaited until it works.
    Waiting {
        key: Key,
        kind: Kind,
        expected: Duration,
    },
    Ready {
        key: Key,
        kind: Kind,
        took: Duration,
    },
    Failed {
        key: Key,
        kind: Kind,
        error: CloudError,
    },
    Skipped {
        key: Key,
        because: Key,
    },
}

/// Whoever is told.
pub trait Events: Send + Sync {
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Events for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub cluster: ClusterId,
    pub steps: Vec<StepReport>,
    /// Everything wanted that is known to exist.
    pub exists: BTreeMap<Key, Ids>,
    /// Exists, but was not seen to work.
    pub not_ready: BTreeMap<Key, String>,
    /// Why nothing more was begun, if it was not the user's wish.
    pub stopped: Option<CloudError>,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    pub key: Key,
    pub kind: Kind,
    pub act: Act,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    Done,
    Failed {
        error: CloudError,
    },
    /// Cancelled while it was being tried again.
    Interrupted {
        error: Option<CloudError>,
    },
    /// Needs something that failed.
    Skipped {
        because: Key,
    },
    /// Cancelled before.
    NotStarted,
}

impl Report {
    /// Whether everything was done and works.
    pub fn is_complete(&self) -> bool {
        self.not_ready.is_empty() && self.remaining().next().is_none()
    }

    /// What is left to do.
    pub fn remaining(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.outcome != Outcome::Done)
    }
}

/// What exists by name and number, what failed and why, what remains.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} resources exist", self.cluster, self.exists.len())?;
        if let Some(error) = &self.stopped {
            writeln!(f, "stopped: {error}")?;
        }
        for StepReport { key, act, outcome, .. } in self.remaining() {
            match outcome {
                Outcome::Done => Ok(()),
                Outcome::Failed { error } => writeln!(f, "failed: {act} {key}: {error}"),
                Outcome::Interrupted { error: Some(error) } => writeln!(f, "interrupted: {act} {key}: {error}"),
                Outcome::Interrupted { error: None } => writeln!(f, "interrupted: {act} {key}"),
                Outcome::Skipped { because } => writeln!(f, "not done: {act} {key} (needs {because})"),
                Outcome::NotStarted => writeln!(f, "not done: {act} {key}"),
            }?;
        }
        for (key, why) in &self.not_ready {
            writeln!(f, "not ready: {key}: {why}")?;
        }
        Ok(())
    }
}
