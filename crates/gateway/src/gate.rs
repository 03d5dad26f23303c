//! How many requests of one API this gateway has in flight, and who waits for a place among them.
//!
//! A gate outlives the snapshots that its API is in, as an [`Upstream`](crate::upstream::Upstream) does, so that new
//! routes neither forget a request in flight nor leak its place. A place that comes free goes to whoever has waited
//! longest; nobody who comes later gets past.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::routes::Limits;
use tokio::sync::oneshot;

/// Who may wait where the API does not say.
const QUEUE: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// `None`: as many as come.
    places: Option<usize>,
    queue: usize,
    taken: usize,
    /// Oldest first. Those that gave up stay until somebody looks.
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A request that was let in, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Gate>>);

/// Will be a place. Whoever drops it has given up.
pub(crate) type Turn = oneshot::Receiver<Place>;

/// What a request meets with.
#[derive(Debug)]
pub(crate) enum Entry {
    In(Place),
    Wait(Turn),
    /// As many wait as may.
    Full(usize),
}

impl Gate {
    /// From now on these limits; who waits and now need not is let in.
    pub(crate) fn limit(self: &Arc<Self>, limits: &Limits) {
        let mut inner = self.lock();
        inner.places = limits.max_in_flight.map(|most| most as usize);
        inner.queue = limits.max_queue_length.map_or(QUEUE, |most| most as usize);
        self.let_in(&mut inner);
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Entry {
        let mut inner = self.lock();
        if inner.has_place() && inner.waiting.is_empty() {
            inner.taken += 1;
            return Entry::In(Place(Some(Arc::clone(self))));
        }
        if inner.waiting.len() >= inner.queue {
            inner.waiting.retain(|turn| !turn.is_closed());
        }
        if inner.waiting.len() >= inner.queue {
            return Entry::Full(inner.queue);
        }
        let (turn, wait) = oneshot::channel();
        inner.waiting.push_back(turn);
        // All who waited may have given up.
        self.let_in(&mut inner);
        Entry::Wait(wait)
    }

    fn leave(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.taken -= 1;
        self.let_in(&mut inner);
    }

    fn let_in(self: &Arc<Self>, inner: &mut Inner) {
        while inner.has_place()
            && let Some(turn) = inner.waiting.pop_front()
        {
            match turn.send(Place(Some(Arc::clone(self)))) {
                Ok(()) => inner.taken += 1,
                // It has given up; this place was never taken.
                Err(mut place) => place.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_place(&self) -> bool {
        self.places.is_none_or(|places| self.taken < places)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(places: u32, queue: u32) -> Limits {
        Limits { max_in_flight: Some(places), max_queue_length: Some(queue), ..Limits::default() }
    }

    fn gate(places: u32, queue: u32) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        gate.limit(&limits(places, queue));
        gate
    }

    fn place(gate: &Arc<Gate>) -> Place {
        match gate.enter() {
            Entry::In(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn turn(gate: &Arc<Gate>) -> Turn {
        match gate.enter() {
            Entry::Wait(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    fn taken(gate: &Gate) -> usize {
        gate.lock().taken
    }

    #[test]
    fn places_go_to_those_who_came_first() {
        let gate = gate(2, 2);
        let (one, two) = (place(&gate), place(&gate));
        let (mut third, mut fourth) = (turn(&gate), turn(&gate));
        assert!(matches!(gate.enter(), Entry::Full(2)));
        assert!(third.try_recv().is_err());
        drop(two);
        let third = third.try_recv().unwrap();
        assert!(fourth.try_recv().is_err());
        // A place that is free is not for whoever comes just then.
        let _fifth = turn(&gate);
        drop(one);
        let _fourth = fourth.try_recv().unwrap();
        assert_eq!(taken(&gate), 2);
        drop(third);
        assert_eq!(taken(&gate), 2, "the fifth has it");
    }

    #[test]
    fn who_gives_up_leaves_no_place_behind() {
        let gate = gate(1, 2);
        let first = place(&gate);
        drop([turn(&gate), turn(&gate)]);
        let mut patient = turn(&gate);
        drop(turn(&gate));
        drop(first);
        let second = patient.try_recv().unwrap();
        // A place that arrived and was never looked at.
        let unread = turn(&gate);
        drop(second);
        assert_eq!(taken(&gate), 1);
        drop(unread);
        assert_eq!(taken(&gate), 0);
        drop(place(&gate));
        assert_eq!(taken(&gate), 0);
    }

    #[test]
    fn new_limits_count_what_is_there() {
        let gate = Arc::new(Gate::default());
        gate.limit(&Limits::default());
        let all: Vec<_> = (0..500).map(|_| place(&gate)).collect();
        gate.limit(&limits(1, 3));
        let mut turns = [turn(&gate), turn(&gate), turn(&gate)];
        assert!(matches!(gate.enter(), Entry::Full(3)));
        drop(all);
        let first = turns[0].try_recv().unwrap();
        assert!(turns[1].try_recv().is_err());
        gate.limit(&limits(3, 0));
        let _rest = [turns[1].try_recv().unwrap(), turns[2].try_recv().unwrap()];
        assert!(matches!(gate.enter(), Entry::Full(0)));
        drop(first);
        assert_eq!(taken(&gate), 2);
    }
}
