//! What exists, and what can be seen of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

use crate::{
    cloud::{Ids, Observed, State},
    plan::{Timing, expected},
    resource::{Concrete, Key, Kind, Resource},
};

#[derive(Clone)]
pub(super) struct World {
    pub(super) things: BTreeMap<u64, Thing>,
    /// Network interfaces that a load balancer leaves behind for a while: what they are in, and until when.
    pub(super) interfaces: Vec<(BTreeSet<String>, Instant)>,
    pub(super) foreign: BTreeSet<String>,
    /// What was to be changed or deleted though it is somebody else's.
    pub(super) trespasses: Vec<String>,
    pub(super) random: SmallRng,
    seed: u64,
    lag: Duration,
    begun: Instant,
    next: u64,
}

#[derive(Clone)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) key: Key,
    pub(super) ids: Ids,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) actual: Option<Concrete>,
    /// What it mentions; for an instance, what it is in.
    pub(super) uses: BTreeSet<String>,
    pub(super) created: Instant,
    /// From when on it works.
    pub(super) ready: Instant,
    /// From when to when it is seen.
    pub(super) seen: (Instant, Option<Instant>),
    /// From when on it does not exist any more.
    pub(super) gone: Option<Instant>,
    /// What is seen instead of what is, and until when.
    pub(super) stale: Option<(Concrete, BTreeMap<String, String>, Instant)>,
    /// Of an instance.
    pub(super) group: Option<String>,
    /// Somebody else's: never seen, never to be touched.
    pub(super) theirs: bool,
}

impl Thing {
    pub(super) fn exists(&self, now: Instant) -> bool {
        self.gone.is_none_or(|gone| now < gone)
    }

    /// Exists, and nobody has asked to delete it.
    pub(super) fn stays(&self) -> bool {
        self.gone.is_none()
    }
}

/// How long something takes: as usual, more or less, by seed and key.
pub(super) fn timing(seed: u64, kind: Kind, key: &Key) -> Timing {
    let salt = key.as_str().bytes().fold(seed, |salt, b| salt.wrapping_mul(131).wrapping_add(b.into()));
    let factor: f64 = SmallRng::seed_from_u64(salt).random_range(0.8..1.2);
    let usual = expected(kind);
    Timing { exists: usual.exists.mul_f64(factor), ready: usual.ready.mul_f64(factor) }
}

impl World {
    pub(super) fn new(seed: u64, lag: Duration) -> Self {
        Self {
            things: BTreeMap::new(),
            interfaces: Vec::new(),
            foreign: BTreeSet::new(),
            trespasses: Vec::new(),
            random: SmallRng::seed_from_u64(seed),
            seed,
            lag,
            begun: Instant::now(),
            next: 1,
        }
    }

    /// Moves everything that has a time by as much.
    pub(super) fn shift(&mut self, by: Duration) {
        self.begun += by;
        self.interfaces.iter_mut().for_each(|(_, until)| *until += by);
        for thing in self.things.values_mut() {
            thing.created += by;
            thing.ready += by;
            thing.seen.0 += by;
            let later = [&mut thing.seen.1, &mut thing.gone].into_iter().flatten();
            later.chain(thing.stale.as_mut().map(|(_, _, until)| until)).for_each(|at| *at += by);
        }
    }

    /// What happens by itself.
    pub(super) fn advance(&mut self, now: Instant) {
        self.interfaces.retain(|(_, until)| now < *until);
        let over = |thing: &Thing| !thing.exists(now) && thing.seen.1.is_some_and(|until| until <= now);
        if self.things.values().any(over) {
            self.things.retain(|_, thing| !over(thing));
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn some_lag(&mut self) -> Duration {
        self.lag.mul_f64(self.random.random_range(0.0..=1.0))
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        kind: Kind,
        ids: Ids,
        actual: Option<Concrete>,
        now: Instant,
    ) -> &mut Thing {
        let number = self.number();
        let seen = now + self.some_lag();
        // The effect is in the middle of the call; whoever waits counts from its end.
        let takes = timing(self.seed, kind, &key);
        let ready = now + takes.exists / 2 + takes.ready;
        let thing = Thing {
            kind,
            key,
            ids,
            tags: BTreeMap::new(),
            uses: actual.as_ref().map(Resource::links).unwrap_or_default().into_iter().collect(),
            actual,
            created: now,
            ready,
            seen: (seen, None),
            gone: None,
            stale: None,
            group: None,
            theirs: false,
        };
        self.things.entry(number).or_insert(thing)
    }

    pub(super) fn existing(&self, now: Instant) -> impl Iterator<Item = &Thing> {
        self.things.values().filter(move |thing| thing.exists(now))
    }

    /// The one with this id, unless it is on its way out.
    pub(super) fn named(&self, id: &str, kind: Kind) -> Option<&Thing> {
        self.things.values().find(|thing| thing.kind == kind && thing.stays() && thing.ids.is(id))
    }

    pub(super) fn number_of(&self, id: &str, kind: Kind) -> Option<u64> {
        let found = self.things.iter().find(|(_, thing)| thing.kind == kind && thing.stays() && thing.ids.is(id));
        found.map(|(number, _)| *number)
    }

    pub(super) fn seen(&self, kind: Kind, now: Instant) -> Vec<Observed> {
        let visible = |thing: &&Thing| {
            let seen = thing.seen.0 <= now && thing.seen.1.is_none_or(|until| now < until);
            thing.kind == kind && seen && !thing.theirs
        };
        self.things.values().filter(visible).map(|thing| self.observed(thing, now)).collect()
    }

    fn observed(&self, thing: &Thing, now: Instant) -> Observed {
        let (actual, tags) = match &thing.stale {
            Some((actual, tags, until)) if now < *until => (Some(actual.clone()), tags.clone()),
            _ => (thing.actual.clone(), thing.tags.clone()),
        };
        let slow = matches!(thing.kind, Kind::NatGateway | Kind::AutoScalingGroup | Kind::Instance);
        let state = match thing.gone {
            Some(_) if slow => State::Deleting,
            _ if !self.works(thing, now) => State::Pending,
            _ => State::Available,
        };
        Observed {
            key: thing.key.clone(),
            kind: thing.kind,
            ids: thing.ids.clone(),
            tags,
            actual,
            state,
            created_at: Some(SystemTime::UNIX_EPOCH + thing.created.duration_since(self.begun)),
        }
    }

    fn works(&self, thing: &Thing, now: Instant) -> bool {
        match &thing.actual {
            Some(Resource::AutoScalingGroup(group)) => {
                let ours = |other: &&Thing| other.stays() && other.group.as_deref() == Some(thing.ids.id.as_str());
                let working = self.things.values().filter(ours).filter(|instance| instance.ready <= now).count();
                working >= group.min as usize
            }
            // Works at once; it is others who believe it late.
            Some(Resource::InstanceProfile(_)) => true,
            _ => thing.ready <= now,
        }
    }

    /// Everything that exists, for comparing before and after.
    pub(super) fn inventory(&self, now: Instant) -> Vec<String> {
        let things = self.existing(now).map(|thing| format!("{} {}", thing.kind, thing.ids.id));
        let interfaces = self.interfaces.iter().filter(|(_, until)| now < *until).map(|_| "interface".to_owned());
        let mut all: Vec<String> = things.chain(interfaces).collect();
        all.sort();
        all
    }

    pub(super) fn grow(&mut self, kind: Kind, name: &str, now: Instant) {
        let ids = Ids { id: name.to_owned(), ..Ids::default() };
        self.insert(Key::new(kind, &[name]), kind, ids, None, now);
    }

    /// Whether it is somebody else's, which is noted.
    pub(super) fn trespass(&mut self, kind: Kind, id: &str) -> bool {
        let theirs = |thing: &Thing| thing.kind == kind && thing.theirs && thing.ids.is(id);
        let trespass = self.foreign.contains(id) || self.things.values().any(theirs);
        if trespass {
            self.trespasses.push(format!("{kind} {id}"));
        }
        trespass
    }

    pub(super) fn lose(&mut self, key: &Key, now: Instant) {
        self.things.retain(|_, thing| thing.key != *key);
        self.advance(now);
    }
}
