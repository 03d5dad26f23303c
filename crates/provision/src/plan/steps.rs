//! The order of a plan: which call has to wait for which.
//!
//! Three waves, of which only the last waits for all before it: old ones that have to go before their replacements, with
//! everything that hangs on them; then creations and changes, each after what it mentions; then whatever goes
//! for good, which may well be in use until the last change is made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Choice, Entry, Order, Plan, blockers};
use crate::resource::{Key, Kind};

/// One call to the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Index into the plan's entries.
    pub entry: usize,
    pub key: Key,
    pub kind: Kind,
    pub act: Act,
    /// Steps that have to be done first; they stand before this one.
    pub after: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Create,
    Update,
    Delete,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "change",
            Self::Delete => "delete",
        })
    }
}

impl Plan {
    /// The calls this plan consists of, each after those it waits for.
    pub fn steps(&self) -> Vec<Step> {
        let early = self.early();
        let goes = |at: &usize| removes(&self.entries[*at]);
        let (first, last): (Vec<usize>, Vec<usize>) =
            (0..self.entries.len()).filter(goes).partition(|at| early.contains(at));
        let mut steps = Vec::new();
        let first = self.removals(&first, &[], &mut steps);
        let mut applied: BTreeMap<&Key, usize> = BTreeMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let (act, Some(wanted)) = (applies(entry), &entry.wanted) else { continue };
            let Some(act) = act else { continue };
            let mut after: Vec<usize> =
                wanted.dependencies().iter().filter_map(|key| applied.get(key)).copied().collect();
            // Its predecessor.
            after.extend(first.get(&at));
            applied.insert(&entry.key, steps.len());
            steps.push(Step { entry: at, key: entry.key.clone(), kind: entry.kind, act, after });
        }
        let all: Vec<usize> = applied.into_values().collect();
        self.removals(&last, &all, &mut steps);
        steps
    }

    /// Appends the deletion of `entries`, ordered among themselves. Returns the step of each.
    fn removals(&self, entries: &[usize], after: &[usize], steps: &mut Vec<Step>) -> BTreeMap<usize, usize> {
        let mut waiting: BTreeSet<usize> = entries.iter().copied().collect();
        let mut done: BTreeMap<usize, usize> = BTreeMap::new();
        while !waiting.is_empty() {
            let free = waiting.iter().copied().find(|at| !waiting.iter().any(|other| self.blocks(*other, *at)));
            let Some(at) = free else { unreachable!("neither kinds nor references block each other in a circle") };
            waiting.remove(&at);
            let blocking = done.iter().filter(|(other, _)| self.blocks(**other, at)).map(|(_, step)| *step);
            let after = after.iter().copied().chain(blocking).collect();
            let entry = &self.entries[at];
            done.insert(at, steps.len());
            steps.push(Step { entry: at, key: entry.key.clone(), kind: entry.kind, act: Act::Delete, after });
        }
        done
    }

    /// Whether `one` has to be gone before `other` can go.
    fn blocks(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.entries[one], &self.entries[other]);
        one != other && (blockers(b.kind).contains(&a.kind) || (a.kind == b.kind && mentions(a, b)))
    }

    /// What goes before its replacement comes, and what goes too and hangs on that.
    fn early(&self) -> BTreeSet<usize> {
        let first = |entry: &Entry| matches!(entry.choice, Choice::Replace { order: Order::DeleteFirst, .. });
        let mut early: BTreeSet<usize> = (0..self.entries.len()).filter(|at| first(&self.entries[*at])).collect();
        loop {
            let hangs = |at: &usize| early.iter().any(|on| mentions(&self.entries[*at], &self.entries[*on]));
            let more: Vec<usize> = (0..self.entries.len())
                .filter(|at| removes(&self.entries[*at]) && !early.contains(at) && hangs(at))
                .collect();
            if more.is_empty() {
                return early;
            }
            early.extend(more);
        }
    }
}

fn applies(entry: &Entry) -> Option<Act> {
    match entry.choice {
        Choice::Create | Choice::Replace { .. } => Some(Act::Create),
        Choice::Update { .. } => Some(Act::Update),
        Choice::Delete { .. } | Choice::Keep => None,
    }
}

fn removes(entry: &Entry) -> bool {
    matches!(entry.choice, Choice::Delete { .. } | Choice::Replace { .. })
}

/// Whether what exists of `one` uses what exists of `other`.
fn mentions(one: &Entry, other: &Entry) -> bool {
    let (Some(one), Some(other)) = (&one.current, &other.current) else { return false };
    one.actual.as_ref().is_some_and(|actual| actual.any_link(|link| other.ids.is(link)))
}
