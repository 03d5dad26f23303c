//! Which of several things found under one key is the one to keep.
//!
//! Some creations have no client token, so a crash whose effect became visible too late leaves two; and who died while
//! something was replaced left the old one and the new one. Kept is one that need not be replaced, then the one that
//! hangs together with what has already been chosen, then the one that most of what exists hangs on, then the
//! oldest. All of it is a function of what is observed: looking again gives the same answer.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    changes, resolved,
    rules::{Rule, rule},
    uses, wanted_ids,
};
use crate::{
    cloud::{Ids, Observed, State},
    desired::Node,
    plan::expected,
    resource::{Key, Kind},
};

/// What exists and is not on its way out, by key.
pub(super) fn candidates(observed: &[Observed]) -> BTreeMap<Key, Vec<&Observed>> {
    let mut by_key: BTreeMap<Key, Vec<&Observed>> = BTreeMap::new();
    let wanted = |found: &&Observed| found.state != State::Deleting && Kind::WANTED.contains(&found.kind);
    for found in observed.iter().filter(wanted) {
        by_key.entry(found.key.clone()).or_default().push(found);
    }
    by_key
}

pub(super) fn choose<'a>(
    node: &Node,
    candidates: &[&'a Observed],
    known: &BTreeMap<Key, Ids>,
    observed: &[Observed],
) -> Option<&'a Observed> {
    if let [] | [_] = candidates {
        return candidates.first().copied();
    }
    let wanted = wanted_ids(node, known);
    let best = candidates.iter().min_by_key(|candidate| {
        let mut fits = 0;
        if let Some(actual) = &candidate.actual {
            actual.each_link(&mut |link| fits += usize::from(wanted.contains(link)));
        }
        let failed = matches!(candidate.state, State::Failed(_));
        (
            failed,
            is_replaced(node, candidate, known),
            Reverse(fits),
            Reverse(weight(candidate, observed)),
            candidate.created_at,
            &candidate.ids.id,
        )
    });
    best.copied()
}

/// Whether it could not become what is wanted. Its successor may bear a name that no second one can have.
fn is_replaced(node: &Node, candidate: &Observed, known: &BTreeMap<Key, Ids>) -> bool {
    let changes = changes(&resolved(node, known), &node.tags, candidate).unwrap_or_default();
    let replaces = |change| matches!(rule(candidate.kind, &candidate.key, change), Rule::Replace(_) | Rule::Vpc(_));
    changes.iter().any(replaces)
}

/// How long it would take to make again what hangs on it, in milliseconds.
fn weight(of: &Observed, observed: &[Observed]) -> u128 {
    let mut hanging: BTreeSet<&str> = BTreeSet::new();
    let mut next = vec![of];
    let mut weight = 0;
    while let Some(this) = next.pop() {
        for found in observed.iter().filter(|found| found.state != State::Deleting && uses(found, &this.ids)) {
            if hanging.insert(&found.ids.id) {
                let timing = expected(found.kind);
                weight += (timing.exists + timing.ready).as_millis();
                next.push(found);
            }
        }
    }
    weight
}
