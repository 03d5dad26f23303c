//! A cloud in memory, on tokio's clock: what AWS does to those who build on it, without AWS.
//!
//! Calls take time, and what they make takes longer; what was just made is not seen by everybody at once, nor is what was
//! just changed or deleted; calls are throttled, and replies get lost; what is in use cannot be deleted; some creations
//! make a second one if repeated, others refuse the name; creations of several requests can stop between two of them;
//! and the caller can die at any call. All of it follows from a seed.
//!
//! It is no model of single APIs (the emulator is): kinds, fields and errors are those of [`crate::cloud`].

mod create;
mod delete;
mod fork;
mod world;

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use rand::RngExt as _;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    change::Change,
    cloud::{Cloud, CloudError, ClusterId, ErrorKind, Ids, Observed, Wanted},
    plan::{Step, Timing},
    resource::{Key, Kind},
};
pub use fork::Fork;
use world::World;

/// How unkind it is.
#[derive(Debug, Clone)]
pub struct SimOptions {
    pub seed: u64,
    /// The longest until a creation, change or deletion is seen.
    pub lag: Duration,
    /// Of all calls: refused as too many.
    pub throttled: f64,
    /// Of all calls that change something: the effect happens, the reply gets lost.
    pub lost: f64,
}

impl SimOptions {
    /// Nothing goes wrong; latencies are as usual.
    pub fn kind(seed: u64) -> Self {
        Self { seed, lag: Duration::ZERO, throttled: 0.0, lost: 0.0 }
    }
}

/// Where in a call the caller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    Before,
    /// After the first of several requests.
    Amid,
    After,
}

/// Calls so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    pub observe: usize,
    pub create: usize,
    pub update: usize,
    pub delete: usize,
}

impl Calls {
    /// Calls that change something.
    pub fn mutating(&self) -> usize {
        self.create + self.update + self.delete
    }
}

pub struct SimCloud {
    options: SimOptions,
    state: Mutex<State>,
    died: Notify,
}

struct State {
    world: World,
    calls: Calls,
    crash: Option<(usize, Crash)>,
    dead: bool,
    /// At which call, by which number of whoever asked.
    fork_at: Vec<(usize, usize, Crash)>,
    forks: Vec<Fork>,
}

/// What will happen to one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    Throttled,
    Lost,
    Dies(Crash),
}

impl SimCloud {
    pub fn new(options: SimOptions) -> Self {
        let world = World::new(options.seed, options.lag);
        Self::with(world, options)
    }

    fn with(world: World, options: SimOptions) -> Self {
        let (crash, fork_at, forks) = (None, Vec::new(), Vec::new());
        let state = State { world, calls: Calls::default(), crash, dead: false, fork_at, forks };
        Self { options, state: Mutex::new(state), died: Notify::new() }
    }

    /// Things of the user's that exist: may be mentioned, are never seen.
    pub fn bring(&self, ids: &[&str]) {
        self.state().world.foreign.extend(ids.iter().map(|id| (*id).to_owned()));
    }

    /// Everything there is becomes somebody else's: exists, is in the way, is never seen.
    pub fn give_away(&self) {
        self.state().world.things.values_mut().for_each(|thing| thing.theirs = true);
    }

    /// What was to be changed or deleted though it is somebody else's.
    pub fn trespasses(&self) -> Vec<String> {
        self.state().world.trespasses.clone()
    }

    /// The caller dies at the `nth` call that changes something, counted from 1 and from now on.
    pub fn crash_at(&self, nth: usize, when: Crash) {
        let mut state = self.state();
        state.crash = Some((state.calls.mutating() + nth, when));
    }

    /// Comes back when the caller has died. Whoever drives the calls has to be dropped then.
    pub async fn crashed(&self) {
        let died = self.died.notified();
        if !self.state().dead {
            died.await;
        }
    }

    /// A new caller, who does not die.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.dead, state.crash) = (false, None);
    }

    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    /// Everything that physically exists, seen or not: kind and id.
    pub fn inventory(&self) -> Vec<String> {
        self.state().world.inventory(Instant::now())
    }

    /// What a running cluster makes by itself: an ECS service, a task definition.
    pub fn grow(&self, kind: Kind, name: &str) {
        self.state().world.grow(kind, name, Instant::now());
    }

    /// Something of the cluster's vanishes, without anybody having been asked.
    pub fn lose(&self, key: &Key) {
        self.state().world.lose(key, Instant::now());
    }

    /// How long a step takes here.
    pub fn timing(&self, step: &Step) -> Timing {
        world::timing(self.options.seed, step.kind, &step.key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    fn fate(&self, mutating: bool) -> Fate {
        let mut state = self.state();
        let count = state.calls.mutating();
        if let Some((_, when)) = state.crash.filter(|(nth, _)| mutating && *nth == count) {
            return Fate::Dies(when);
        }
        let dice: f64 = state.world.random.random();
        let SimOptions { throttled, lost, .. } = self.options;
        match dice {
            dice if dice < throttled => Fate::Throttled,
            dice if mutating && dice < throttled + lost => Fate::Lost,
            _ => Fate::Fine,
        }
    }

    async fn mutate<T>(
        &self,
        takes: Duration,
        effect: impl Fn(&mut World, Instant, bool) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        let number = self.calls().mutating();
        let fate = self.fate(true);
        if fate == Fate::Throttled {
            sleep(Duration::from_millis(50)).await;
            return Err(CloudError::new(ErrorKind::Throttled, "Throttling: Rate exceeded"));
        }
        sleep(takes / 2).await;
        self.die_if(fate == Fate::Dies(Crash::Before)).await;
        let result = {
            let mut state = self.state();
            let now = Instant::now();
            state.world.advance(now);
            state.fork(number, now, Crash::Before, |_| {});
            state.fork(number, now, Crash::Amid, |world| drop(effect(world, now, true)));
            let result = effect(&mut state.world, now, fate == Fate::Dies(Crash::Amid));
            state.fork(number, now, Crash::After, |_| {});
            result
        };
        self.die_if(matches!(fate, Fate::Dies(_))).await;
        sleep(takes / 2).await;
        self.die_if(false).await;
        match fate {
            Fate::Lost => Err(CloudError::new(ErrorKind::Unavailable, "connection reset before the reply")),
            _ => result,
        }
    }

    /// The dead do nothing more.
    async fn die_if(&self, now: bool) {
        let dead = {
            let mut state = self.state();
            state.dead |= now;
            state.dead
        };
        if dead {
            self.died.notify_waiters();
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn fork(&mut self, number: usize, now: Instant, when: Crash, effect: impl FnOnce(&mut World)) {
        let asked = self.fork_at.iter().find(|(at, _, of)| *at == number && *of == when);
        let Some((_, nth, _)) = asked else { return };
        let mut world = self.world.clone();
        effect(&mut world);
        self.forks.push(Fork::new(*nth, when, world, now));
    }
}

#[async_trait]
impl Cloud for SimCloud {
    async fn observe(&self, _: &ClusterId, kind: Kind) -> Result<Vec<Observed>, CloudError> {
        self.state().calls.observe += 1;
        let fate = self.fate(false);
        sleep(Duration::from_millis(200)).await;
        if fate == Fate::Throttled {
            return Err(CloudError::new(ErrorKind::Throttled, "Throttling: Rate exceeded"));
        }
        let mut state = self.state();
        let now = Instant::now();
        state.world.advance(now);
        Ok(state.world.seen(kind, now))
    }

    async fn create(&self, _: &ClusterId, wanted: &Wanted) -> Result<Ids, CloudError> {
        self.state().calls.create += 1;
        let takes = world::timing(self.options.seed, wanted.resource.kind(), &wanted.key).exists;
        self.mutate(takes, |world, now, bare| world.create(wanted, now, bare)).await
    }

    async fn update(
        &self,
        _: &ClusterId,
        current: &Observed,
        wanted: &Wanted,
        changes: &[Change],
    ) -> Result<(), CloudError> {
        self.state().calls.update += 1;
        let fields: Vec<&str> = changes.iter().map(Change::top).collect();
        self.mutate(Duration::from_secs(1), |world, now, bare| match bare {
            true => Ok(()),
            false => world.update(current, wanted, &fields, now),
        })
        .await
    }

    async fn delete(&self, _: &ClusterId, what: &Observed) -> Result<(), CloudError> {
        self.state().calls.delete += 1;
        self.mutate(Duration::from_millis(600), |world, now, bare| match bare {
            true => Ok(()),
            false => world.delete(what.kind, &what.ids.id, now),
        })
        .await
    }
}
