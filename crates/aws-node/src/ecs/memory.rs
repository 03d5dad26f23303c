//! What the engine remembers between calls: the last picture, corrected by what the engine itself has done since.
//!
//! Nothing here is needed for being right: an engine that starts with nothing looks, and finds the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::picture::{Picture, Service, Task};

#[derive(Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    picture: Option<Picture>,
    /// When `picture` was asked for.
    looked_at: Option<Instant>,
    /// What [`changed`](operator::engine::Engine::changed) last told of.
    told: Option<Picture>,
    observed_at: Option<Instant>,
    /// Grows with every change of the engine's own.
    changes: u64,
    /// Tasks that have stopped, which nothing changes any more; none for those of somebody else's.
    stopped: BTreeMap<String, Option<Task>>,
    sweep: Sweep,
}

/// What the last search for task definitions that nobody uses came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sweep {
    pub(super) at: Option<Instant>,
    /// Nothing is left that is deregistered and not deleted.
    pub(super) complete: bool,
    /// Unused then. Between registering a task definition and making its service it is unused, too, so one that is
    /// unused twice goes.
    pub(super) suspects: BTreeSet<String>,
    /// Another cluster's.
    pub(super) foreign: BTreeSet<String>,
}

impl Memory {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn picture(&self) -> Option<Picture> {
        self.inner().picture.clone()
    }

    pub(super) fn service(&self, name: &str) -> Option<Service> {
        self.inner().picture.as_ref()?.services.get(name).cloned()
    }

    /// The picture, if it was not older at that time.
    pub(super) fn younger_than(&self, age: Duration, asked_at: Instant) -> Option<Picture> {
        let inner = self.inner();
        let fresh = inner.looked_at.is_some_and(|at| asked_at.saturating_duration_since(at) < age);
        inner.picture.clone().filter(|_| fresh)
    }

    pub(super) fn age(&self) -> Option<Duration> {
        self.inner().looked_at.map(|at| at.elapsed())
    }

    /// For [`Memory::keep`].
    pub(super) fn changes(&self) -> u64 {
        self.inner().changes
    }

    /// Takes a picture that was begun at `begin`, after that many changes. One that the engine's own changes have
    /// overtaken may show what was before them: it is dropped, and what is known better returned.
    pub(super) fn keep(&self, picture: Picture, begin: Instant, changes: u64) -> Picture {
        let mut inner = self.inner();
        if inner.changes != changes
            && let Some(known) = &inner.picture
        {
            return known.clone();
        }
        inner.looked_at = Some(begin);
        inner.picture = Some(picture.clone());
        picture
    }

    /// The engine has changed something, and knows what came of it.
    pub(super) fn correct(&self, change: impl Fn(&mut Picture)) {
        let mut inner = self.inner();
        inner.changes += 1;
        // What the engine did itself is no news.
        for index in 0..2 {
            let picture = if index == 0 { &mut inner.picture } else { &mut inner.told };
            if let Some(picture) = picture {
                change(picture);
            }
        }
    }

    /// The engine may have changed something: the next look has to be a new one.
    pub(super) fn doubt(&self) {
        let mut inner = self.inner();
        inner.changes += 1;
        inner.looked_at = None;
    }

    pub(super) fn observed(&self) {
        self.inner().observed_at = Some(Instant::now());
    }

    /// Whether somebody wants to know.
    pub(super) fn is_observed(&self, within: Duration) -> bool {
        self.inner().observed_at.is_some_and(|at| at.elapsed() < within)
    }

    /// Whether the picture is another than the last time.
    pub(super) fn is_news(&self) -> bool {
        let mut inner = self.inner();
        if inner.picture == inner.told {
            return false;
        }
        inner.told = inner.picture.clone();
        true
    }

    pub(super) fn stopped(&self) -> BTreeMap<String, Option<Task>> {
        self.inner().stopped.clone()
    }

    pub(super) fn set_stopped(&self, stopped: BTreeMap<String, Option<Task>>) {
        self.inner().stopped = stopped;
    }

    pub(super) fn sweep(&self) -> Sweep {
        self.inner().sweep.clone()
    }

    pub(super) fn set_sweep(&self, sweep: Sweep) {
        self.inner().sweep = sweep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(address: &str) -> Picture {
        Picture { addresses: BTreeMap::from([(address.to_owned(), String::new())]), ..Picture::default() }
    }

    #[test]
    fn news_is_told_once_and_ones_own_deeds_are_none() {
        let memory = Memory::default();
        memory.keep(with("a"), Instant::now(), 0);
        assert!(memory.is_news() && !memory.is_news());
        memory.correct(|picture| drop(picture.addresses.insert("b".to_owned(), String::new())));
        assert!(!memory.is_news());
        memory.keep(with("c"), Instant::now(), memory.changes());
        assert!(memory.is_news());
    }

    #[test]
    fn a_look_that_was_overtaken_is_dropped() {
        let memory = Memory::default();
        memory.keep(with("a"), Instant::now(), memory.changes());
        let before = memory.changes();
        memory.correct(|picture| picture.addresses.clear());
        let kept = memory.keep(with("a"), Instant::now(), before);
        assert_eq!(kept, Picture::default());
        memory.doubt();
        assert!(memory.younger_than(Duration::from_secs(60), Instant::now()).is_none());
    }
}
