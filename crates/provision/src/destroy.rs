//! Removes everything a cluster has in the account, from whatever state it is in.
//!
//! Knows nothing of `cluster.yaml`: what is observed goes. Level-triggered: look, start every deletion that nothing
//! blocks, look again, until nothing is seen any more, twice in a row and not too soon, since what was made last may become
//! visible late.
//! What cannot go is named, with the reason.

mod looking;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub use report::{Destroyed, Remaining, Removed};

use crate::{
    cloud::{Cloud, CloudError, ClusterId, ErrorKind, Observed, State},
    execute::{Event, Events, Pace, Retry, Settings, observe_kind},
    plan::{Act, blockers, deadline, expected},
    resource::{Key, Kind},
};

/// After a deletion was accepted: how long it may take to be seen before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Looks in a row that have to find nothing.
const CONFIRMATIONS: u32 = 2;
/// And ticks since the beginning: what a dying `up` made just before may not be seen for some seconds, though nothing is
/// promised ("Eventual consistency in the Amazon EC2 API", EC2 API reference).
const SETTLING: u32 = 5;
/// Attempts to look at one kind, each time.
const LOOKS: u32 = 5;
/// Every so often all kinds are looked at; in between, those that may have changed.
const FULL_LOOK: u32 = 15;

/// Removes the cluster, but for what is of a kind in `keep`.
pub async fn destroy(
    cloud: &dyn Cloud,
    cluster: &ClusterId,
    keep: &BTreeSet<Kind>,
    settings: &Settings,
    events: &dyn Events,
    cancel: &CancellationToken,
) -> Destroyed {
    let pace = Pace::new(settings);
    // The bucket's deletion takes what is in it along.
    let kinds: Vec<Kind> = Kind::WANTED
        .iter()
        .chain(Kind::GROWN)
        .copied()
        .filter(|kind| *kind != Kind::Object && !keep.contains(kind))
        .collect();
    let teardown = Teardown { cloud, cluster, settings, events, cancel, pace: &pace };
    let progress = Progress {
        here: &teardown,
        kinds,
        seen: BTreeMap::new(),
        unseen: BTreeMap::new(),
        unanswered_since: None,
        tries: BTreeMap::new(),
        removed: Vec::new(),
        stopped: None,
    };
    progress.drive().await
}

#[derive(Clone, Copy)]
struct Teardown<'a> {
    cloud: &'a dyn Cloud,
    cluster: &'a ClusterId,
    settings: &'a Settings,
    events: &'a dyn Events,
    cancel: &'a CancellationToken,
    pace: &'a Pace,
}

impl Teardown<'_> {
    /// Tries a few times: a kind that is not known holds up whatever waits for it.
    async fn look_at(&self, kind: Kind) -> Result<Vec<Observed>, CloudError> {
        let mut retry = Retry::new(self.settings, &Key::new(kind, &[]), kind);
        let mut left = LOOKS;
        loop {
            let error = match observe_kind(self.cloud, self.cluster, self.pace, kind).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            left -= 1;
            match retry.pause(&error).filter(|_| left > 0 && !self.cancel.is_cancelled()) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            }
        }
    }
}

type Name = (Kind, String);
type Deletion<'a> = Pin<Box<dyn Future<Output = (Name, Result<(), CloudError>)> + Send + 'a>>;

struct Progress<'a> {
    here: &'a Teardown<'a>,
    kinds: Vec<Kind>,
    seen: BTreeMap<Name, Observed>,
    /// Kinds that could not be looked at, this time.
    unseen: BTreeMap<Kind, CloudError>,
    unanswered_since: Option<Instant>,
    tries: BTreeMap<Name, Try>,
    removed: Vec<Removed>,
    stopped: Option<CloudError>,
}

/// The attempts to delete one thing.
struct Try {
    key: Key,
    since: Instant,
    retry: Retry,
    next: Instant,
    running: bool,
    error: Option<CloudError>,
    given_up: bool,
}

impl<'a> Progress<'a> {
    async fn drive(mut self) -> Destroyed {
        let begun = Instant::now();
        let mut running: FuturesUnordered<Deletion<'a>> = FuturesUnordered::new();
        let (mut empty, mut rounds) = (0, 0);
        loop {
            let looked = Instant::now();
            let full = self.seen.is_empty() || rounds % FULL_LOOK == 0;
            self.look(full).await;
            rounds += 1;
            empty = if self.seen.is_empty() && self.unseen.is_empty() { empty + 1 } else { 0 };
            let settled = begun + self.here.settings.tick * SETTLING;
            if (empty >= CONFIRMATIONS && Instant::now() >= settled) || self.over(&running) {
                break;
            }
            for name in self.due() {
                running.push(self.begin(name));
            }
            let next = looked + self.here.settings.tick;
            // Nothing to be seen: looking does not make it come.
            let next = if empty > 0 { next.max(settled) } else { next };
            let soon = looked + self.here.settings.tick / 2;
            self.pause(next, soon, &mut running).await;
        }
        while let Some((name, result)) = running.next().await {
            self.ended(&name, result);
        }
        self.report(begun.elapsed())
    }

    /// Whether going on makes no sense.
    fn over(&self, running: &FuturesUnordered<Deletion<'a>>) -> bool {
        if self.here.cancel.is_cancelled() || self.stopped.is_some() {
            return true;
        }
        let something = !(self.seen.is_empty() && self.unseen.is_empty());
        let blind = self.unseen.values().all(|error| !worth_another_look(error));
        running.is_empty() && something && blind && self.hopeless().len() == self.seen.len()
    }

    /// What will not go any more: given up, or behind something that will not go or cannot be looked at.
    fn hopeless(&self) -> BTreeSet<&Name> {
        let lost = |name: &&Name| {
            let given_up = self.tries.get(name).is_some_and(|t| t.given_up || t.late(name.0));
            given_up || self.unseen_before(name.0)
        };
        let mut hopeless: BTreeSet<&Name> = self.seen.keys().filter(lost).collect();
        while !hopeless.is_empty() {
            let behind = |name: &&Name| self.before(name).any(|other| hopeless.contains(other));
            let more: Vec<&Name> = self.seen.keys().filter(|name| !hopeless.contains(name)).filter(behind).collect();
            if more.is_empty() {
                break;
            }
            hopeless.extend(more);
        }
        hopeless
    }

    /// Whether there may be something that has to go first.
    fn unseen_before(&self, kind: Kind) -> bool {
        blockers(kind).iter().any(|before| self.unseen.contains_key(before))
    }

    /// Gives up if nothing has answered for long.
    fn unreachable(&mut self) {
        let unanswered = self.unseen.values().find(|error| error.kind == ErrorKind::Unavailable);
        let Some(error) = unanswered else {
            self.unanswered_since = None;
            return;
        };
        let since = *self.unanswered_since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.here.settings.unreachable_after {
            self.stopped = Some(error.clone());
        }
    }

    fn gone(&mut self, name: Name) {
        let Some(attempt) = self.tries.remove(&name) else { return };
        let (kind, took) = (name.0, attempt.since.elapsed());
        self.here.events.event(Event::Done { key: attempt.key.clone(), kind, act: Act::Delete, took });
        self.removed.push(Removed { key: attempt.key, kind, id: name.1, took });
    }

    /// What can be deleted now.
    fn due(&self) -> Vec<Name> {
        let now = Instant::now();
        let rested = |name: &Name| {
            let idle = |t: &Try| !t.running && !t.given_up && !t.late(name.0) && t.next <= now;
            self.tries.get(name).is_none_or(idle)
        };
        let ready = |(name, found): &(&Name, &Observed)| {
            let free = !self.unseen_before(name.0) && self.before(name).next().is_none();
            found.state != State::Deleting && free && rested(name)
        };
        self.seen.iter().filter(ready).map(|(name, _)| name.clone()).collect()
    }

    fn begin(&mut self, name: Name) -> Deletion<'a> {
        let found = self.seen[&name].clone();
        let (here, kind) = (self.here, name.0);
        let attempt =
            self.tries.entry(name.clone()).or_insert_with(|| Try::new(here.settings, found.key.clone(), kind));
        attempt.running = true;
        if attempt.error.is_none() {
            let (key, act) = (found.key.clone(), Act::Delete);
            here.events.event(Event::Started { key, kind, act, expected: expected(kind).exists });
        }
        Box::pin(async move {
            let _turn = here.pace.enter(kind.service()).await;
            let result = here.cloud.delete(here.cluster, &found).await;
            here.pace.note(kind.service(), &result);
            (name, result)
        })
    }

    /// Until it is time to look again, or sooner if everything that was running has ended.
    async fn pause(&mut self, until: Instant, soon: Instant, running: &mut FuturesUnordered<Deletion<'a>>) {
        let mut next = until;
        loop {
            tokio::select! {
                Some((name, result)) = running.next() => {
                    self.ended(&name, result);
                    next = if running.is_empty() { soon.min(until) } else { until };
                }
                () = sleep_until(next) => return,
                () = self.here.cancel.cancelled() => return,
            }
        }
    }

    fn ended(&mut self, name: &Name, result: Result<(), CloudError>) {
        let Some(attempt) = self.tries.get_mut(name) else { return };
        attempt.running = false;
        let now = Instant::now();
        let Err(error) = result else {
            attempt.error = None;
            attempt.next = now + PATIENCE;
            return;
        };
        if error.kind == ErrorKind::CredentialsExpired {
            self.stopped = Some(error.clone());
        }
        let key = attempt.key.clone();
        match attempt.retry.pause(&error) {
            Some(pause) => {
                attempt.next = now + pause;
                self.here.events.event(Event::Retrying { key, error: error.clone(), pause });
            }
            None => {
                attempt.given_up = true;
                self.here.events.event(Event::Failed { key, kind: name.0, error: error.clone() });
            }
        }
        attempt.error = Some(error);
    }

    fn report(self, took: Duration) -> Destroyed {
        let remaining = self
            .seen
            .iter()
            .map(|(name, found)| {
                let error = self.tries.get(name).and_then(|t| t.error.clone());
                let blocked_by = self.before(name).map(|other| self.seen[other].key.clone()).collect();
                Remaining { key: found.key.clone(), kind: name.0, id: name.1.clone(), error, blocked_by }
            })
            .collect();
        Destroyed {
            cluster: self.here.cluster.clone(),
            removed: self.removed,
            remaining,
            unseen: self.unseen,
            stopped: self.stopped,
            took,
        }
    }
}

impl Try {
    fn new(settings: &Settings, key: Key, kind: Kind) -> Self {
        let now = Instant::now();
        let retry = Retry::new(settings, &key, kind);
        Self { key, since: now, retry, next: now, running: false, error: None, given_up: false }
    }

    fn late(&self, kind: Kind) -> bool {
        self.since.elapsed() > deadline(kind)
    }
}

fn worth_another_look(error: &CloudError) -> bool {
    matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::NotFoundYet)
}
