//! Events that wait to be written.

use std::collections::HashMap;

use api::wire::{AuditEvent, AuditOutcome};
use time::OffsetDateTime;

use super::{MAX_CHANGES, MAX_DISTINCT};

/// What makes two reads, or two refusals, the same event.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    outcome: AuditOutcome,
    id: String,
    peer: String,
    method: String,
    path: String,
    status: Option<u16>,
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    events: Vec<AuditEvent>,
    /// Where in `events`.
    merged: HashMap<Same, usize>,
    changes: usize,
    /// Beyond the bounds, by outcome.
    uncounted: HashMap<AuditOutcome, u64>,
}

impl Batch {
    /// Whether the event is kept, by itself or as one of several; else it is only counted.
    pub(super) fn add(&mut self, event: AuditEvent, change: bool) -> bool {
        if change {
            let fits = self.changes < MAX_CHANGES;
            if fits {
                self.changes += 1;
                self.events.push(event);
            } else {
                *self.uncounted.entry(event.outcome).or_default() += 1;
            }
            return fits;
        }
        let same = Same {
            outcome: event.outcome,
            id: event.principal.as_ref().map(|principal| principal.id.clone()).unwrap_or_default(),
            peer: event.peer.clone(),
            method: event.method.clone(),
            path: event.path.clone(),
            status: event.status,
        };
        if let Some(&position) = self.merged.get(&same) {
            self.events[position].count += event.count;
        } else if self.merged.len() < MAX_DISTINCT {
            self.merged.insert(same, self.events.len());
            self.events.push(event);
        } else {
            *self.uncounted.entry(event.outcome).or_default() += event.count;
            return false;
        }
        true
    }

    /// Everything, and an event that says how many more there were.
    pub(super) fn drain(&mut self) -> Vec<AuditEvent> {
        let Self { mut events, uncounted, .. } = std::mem::take(self);
        events.extend(uncounted.into_iter().map(|(outcome, count)| AuditEvent {
            time: OffsetDateTime::now_utc(),
            request_id: String::new(),
            outcome,
            principal: None,
            via: None,
            peer: String::new(),
            method: String::new(),
            path: String::new(),
            status: None,
            reason: Some("more than are kept one by one".to_owned()),
            count,
        }));
        events
    }

    /// What could not be written, before what came since.
    pub(super) fn put_back(&mut self, events: Vec<AuditEvent>) {
        let since = std::mem::take(self);
        for event in events.into_iter().chain(since.events) {
            let change = event.changes();
            let _ = self.add(event, change);
        }
        for (outcome, count) in since.uncounted {
            *self.uncounted.entry(outcome).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(outcome: AuditOutcome, method: &str, peer: &str) -> AuditEvent {
        AuditEvent {
            time: OffsetDateTime::UNIX_EPOCH,
            request_id: String::new(),
            outcome,
            principal: None,
            via: None,
            peer: peer.to_owned(),
            method: method.to_owned(),
            path: "/v1/apis".to_owned(),
            status: Some(401),
            reason: None,
            count: 1,
        }
    }

    #[test]
    fn strangers_are_counted_and_bounded_and_changes_are_neither() {
        let mut batch = Batch::default();
        for n in 0..5_000 {
            batch.add(event(AuditOutcome::Unauthenticated, "GET", &format!("10.0.{}.{}", n / 250, n % 250)), false);
            batch.add(event(AuditOutcome::Unauthenticated, "GET", "10.0.0.1"), false);
            batch.add(event(AuditOutcome::Allowed, "POST", "10.9.9.9"), true);
        }
        let events = batch.drain();
        let changes = events.iter().filter(|event| event.method == "POST").count();
        assert_eq!((changes, events.len()), (5_000, 5_000 + MAX_DISTINCT + 1));
        assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), 15_000, "every one is counted");
        assert!(batch.drain().is_empty());
    }

    #[test]
    fn what_was_put_back_is_merged_with_what_came_since() {
        let mut batch = Batch::default();
        batch.add(event(AuditOutcome::Denied, "GET", "a"), false);
        batch.add(event(AuditOutcome::Allowed, "POST", "a"), true);
        let before = batch.drain();
        batch.add(event(AuditOutcome::Denied, "GET", "a"), false);
        batch.add(event(AuditOutcome::Allowed, "POST", "a"), true);
        batch.put_back(before);
        let counts: Vec<_> = batch.drain().into_iter().map(|event| (event.method, event.count)).collect();
        let [get, post] = ["GET", "POST"].map(str::to_owned);
        assert_eq!(counts, [(get, 2), (post.clone(), 1), (post, 1)]);
    }
}
