//! Carries a plan out: whatever has what it needs runs, all at once, and no decision is taken.
//!
//! - Steps start the moment their last predecessor is done, those with the longest way behind them first. How many calls
//!   run at once, and how fast they follow each other, is decided per service by [`pace`].
//! - Nothing waits for anything to *work*: load balancers and NAT gateways can be mentioned while AWS is still
//!   making them. Beside the steps, everything made is watched until it is seen and available; [`look`] answers all
//!   watchers of a kind with one call per tick.
//! - Failures are retried by their kind until the deadline of the resource ([`retry`]). What fails for good stops what
//!   needs it; the rest goes on.
//! - Cancelled, it starts nothing more, and ends when what is in flight has ended.
//!
//! Clock: tokio's; randomness: from the seed in [`Settings`]. Both can be a test's.

mod look;
mod pace;
mod report;
mod retry;
mod step;
mod twice;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    pin::Pin,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use pace::Limit;
pub use report::{Event, Events, Outcome, Report, StepReport};

use look::Look;
pub(crate) use look::observe_kind;
pub(crate) use pace::Pace;
pub(crate) use retry::Retry;

use crate::{
    cloud::{Cloud, CloudError, ErrorKind, Ids, Observed},
    plan::{Act, Choice, Plan, Step, expected},
    resource::{Key, Kind, Service},
};

/// How to go about it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between two looks at one kind of resource.
    pub tick: Duration,
    /// For the jitter of retries.
    pub seed: u64,
    /// When to stop if no call gets an answer.
    pub unreachable_after: Duration,
    pub limits: BTreeMap<Service, Limit>,
}

impl Settings {
    pub fn new(seed: u64) -> Self {
        Self {
            tick: Duration::from_secs(2),
            seed,
            unreachable_after: Duration::from_secs(120),
            limits: Service::ALL.iter().map(|service| (*service, Limit::of(*service))).collect(),
        }
    }
}

/// Carries out `plan`. The report says what was done, and what was not and why; it is never an error by itself.
pub async fn execute(
    plan: &Plan,
    cloud: &dyn Cloud,
    settings: &Settings,
    events: &dyn Events,
    cancel: &CancellationToken,
) -> Report {
    // Also cancelled from inside, when going on makes no sense.
    let halt = cancel.child_token();
    let pace = Pace::new(settings);
    let look = Look::new(cloud, &plan.cluster, &pace, settings.tick);
    let context =
        Context { plan, cloud, settings, events, halt: &halt, pace: &pace, look: &look, begun: Instant::now() };
    Run::new(&context).drive().await
}

/// What every step has at hand.
struct Context<'a> {
    plan: &'a Plan,
    cloud: &'a dyn Cloud,
    settings: &'a Settings,
    events: &'a dyn Events,
    halt: &'a CancellationToken,
    pace: &'a Pace,
    look: &'a Look<'a>,
    begun: Instant,
}

/// Why something did not come to its end.
enum Trouble {
    Failed(CloudError),
    /// Cancelled between two attempts; the last error, if there was one.
    Interrupted(Option<CloudError>),
}

enum Message {
    Step(usize, Result<Option<Ids>, Trouble>),
    Watched(Key, Result<(), Trouble>),
}

type Future<'a> = Pin<Box<dyn std::future::Future<Output = Message> + Send + 'a>>;

struct Run<'a> {
    context: &'a Context<'a>,
    steps: Vec<Step>,
    /// Of each step: how long it and what comes after it is expected to take.
    ahead: Vec<Duration>,
    outcomes: Vec<Option<Outcome>>,
    /// Of each step: how many it still waits for, and which wait for it.
    missing: Vec<usize>,
    dependants: Vec<Vec<usize>>,
    /// Those that wait for nothing, the longest way first, then in the plan's order.
    ready: BinaryHeap<(Duration, Reverse<usize>)>,
    /// What everything is called that exists by now.
    ids: BTreeMap<Key, Ids>,
    not_ready: BTreeMap<Key, String>,
    stopped: Option<CloudError>,
    running: FuturesUnordered<Future<'a>>,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        let steps = context.plan.steps();
        let kept = context.plan.entries.iter().filter(|e| matches!(e.choice, Choice::Keep | Choice::Update { .. }));
        let ids = kept.filter_map(|e| e.current.as_ref().map(|found| (e.key.clone(), found.ids.clone()))).collect();
        let ahead = ahead(&steps);
        let mut dependants = vec![Vec::new(); steps.len()];
        for (at, step) in steps.iter().enumerate() {
            step.after.iter().for_each(|need| dependants[*need].push(at));
        }
        let free = steps.iter().enumerate().filter(|(_, step)| step.after.is_empty());
        let ready = free.map(|(at, _)| (ahead[at], Reverse(at))).collect();
        Self {
            context,
            ahead,
            outcomes: vec![None; steps.len()],
            missing: steps.iter().map(|step| step.after.len()).collect(),
            dependants,
            ready,
            steps,
            ids,
            not_ready: BTreeMap::new(),
            stopped: None,
            running: FuturesUnordered::new(),
        }
    }

    async fn drive(mut self) -> Report {
        let pending: Vec<_> = self.context.plan.pending().map(|e| (e.key.clone(), e.kind)).collect();
        for (key, kind) in pending {
            self.watch(key, kind);
        }
        loop {
            self.start();
            match self.running.next().await {
                Some(Message::Step(at, result)) => self.ended(at, result),
                Some(Message::Watched(key, result)) => self.watched(&key, result),
                None => break,
            }
        }
        self.note_doubles().await;
        self.report()
    }

    /// Starts every step that has what it needs.
    fn start(&mut self) {
        if self.context.halt.is_cancelled() {
            return;
        }
        while let Some((_, Reverse(at))) = self.ready.pop() {
            let step = &self.steps[at];
            let entry = &self.context.plan.entries[step.entry];
            let (context, wanted, act) = (self.context, step::wanted(entry, &self.ids), step.act);
            self.running
                .push(Box::pin(async move { Message::Step(at, step::take(context, entry, act, wanted).await) }));
        }
    }

    fn ended(&mut self, at: usize, result: Result<Option<Ids>, Trouble>) {
        let (key, kind, act) = (self.steps[at].key.clone(), self.steps[at].kind, self.steps[at].act);
        match result {
            Ok(ids) => {
                self.outcomes[at] = Some(Outcome::Done);
                self.free(at);
                if let Some(ids) = ids {
                    self.ids.insert(key.clone(), ids);
                }
                if act != Act::Delete {
                    self.watch(key, kind);
                }
            }
            Err(Trouble::Interrupted(error)) => self.outcomes[at] = Some(Outcome::Interrupted { error }),
            Err(Trouble::Failed(error)) => {
                // Nothing else would fare better.
                if matches!(error.kind, ErrorKind::CredentialsExpired | ErrorKind::Unavailable) {
                    self.stopped = Some(error.clone());
                    self.context.halt.cancel();
                }
                self.outcomes[at] = Some(Outcome::Failed { error });
                self.skip_after(at);
            }
        }
    }

    /// One that waits for it waits for one less.
    fn free(&mut self, done: usize) {
        for at in std::mem::take(&mut self.dependants[done]) {
            self.missing[at] -= 1;
            if self.missing[at] == 0 {
                self.ready.push((self.ahead[at], Reverse(at)));
            }
        }
    }

    /// Whatever needs the step that failed, at any distance.
    fn skip_after(&mut self, failed: usize) {
        let because = self.steps[failed].key.clone();
        let mut without = BTreeSet::from([failed]);
        for at in failed + 1..self.steps.len() {
            if self.outcomes[at].is_none() && self.steps[at].after.iter().any(|need| without.contains(need)) {
                without.insert(at);
                self.outcomes[at] = Some(Outcome::Skipped { because: because.clone() });
                let key = self.steps[at].key.clone();
                self.context.event(Event::Skipped { key, because: because.clone() });
            }
        }
    }

    /// Follows something until it is seen and available.
    fn watch(&mut self, key: Key, kind: Kind) {
        let Some(ids) = self.ids.get(&key).cloned() else { return };
        let context = self.context;
        self.running.push(Box::pin(async move {
            let result = step::watch(context, &key, kind, &ids).await;
            Message::Watched(key, result)
        }));
    }

    fn watched(&mut self, key: &Key, result: Result<(), Trouble>) {
        match result {
            Ok(()) => {}
            Err(Trouble::Failed(error)) => {
                self.not_ready.insert(key.clone(), error.message.clone());
                // Whoever may not look does not get to know of anything of this kind.
                if matches!(error.kind, ErrorKind::Denied { .. }) {
                    self.stopped.get_or_insert(error);
                }
            }
            Err(Trouble::Interrupted(_)) => {
                self.not_ready.insert(key.clone(), "nobody waited for it".to_owned());
            }
        }
    }

    fn report(self) -> Report {
        let outcomes = self.steps.into_iter().zip(self.outcomes);
        Report {
            cluster: self.context.plan.cluster.clone(),
            steps: outcomes
                .map(|(step, outcome)| StepReport {
                    key: step.key,
                    kind: step.kind,
                    act: step.act,
                    outcome: outcome.unwrap_or(Outcome::NotStarted),
                })
                .collect(),
            exists: self.ids,
            not_ready: self.not_ready,
            stopped: self.stopped,
            took: self.context.begun.elapsed(),
        }
    }
}

impl Context<'_> {
    fn event(&self, event: Event) {
        self.events.event(event);
    }

    /// What the plan removes: never to be taken for what it creates.
    fn goes(&self, found: &Observed) -> bool {
        let removed =
            self.plan.entries.iter().filter(|e| matches!(e.choice, Choice::Delete { .. } | Choice::Replace { .. }));
        removed.filter_map(|e| e.current.as_ref()).any(|current| current.ids == found.ids)
    }
}

/// The longest way from the start of each step to the end of all.
fn ahead(steps: &[Step]) -> Vec<Duration> {
    let mut ahead = vec![Duration::ZERO; steps.len()];
    for (at, step) in steps.iter().enumerate().rev() {
        let timing = expected(step.kind);
        // What comes after has already added its own way here; becoming ready happens beside it.
        ahead[at] = timing.exists + ahead[at].max(timing.ready);
        let through = ahead[at];
        for need in &step.after {
            ahead[*need] = ahead[*need].max(through);
        }
    }
    ahead
}
