//! The queue before the predictor: as many requests in flight as it can work on, a bounded number waiting in the order
//! in which they came, the rest refused at once so that a gateway can try elsewhere.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Admission {
    /// In flight or waiting.
    places: Arc<Semaphore>,
    /// In flight.
    slots: Arc<Semaphore>,
    /// How many of both there are.
    all: [usize; 2],
}

/// A place in the queue; give it up by dropping it.
#[derive(Debug)]
pub(crate) struct Place {
    place: OwnedSemaphorePermit,
    slots: Arc<Semaphore>,
}

/// The right to be in flight.
#[derive(Debug)]
pub(crate) struct Slot {
    _place: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

impl Admission {
    /// `all`: in flight and waiting together.
    pub(crate) fn new(in_flight: usize, all: usize) -> Self {
        let in_flight = in_flight.min(all);
        Self {
            places: Arc::new(Semaphore::new(all)),
            slots: Arc::new(Semaphore::new(in_flight)),
            all: [all, in_flight],
        }
    }

    /// How many are in flight, and how many wait.
    pub(crate) fn load(&self) -> [usize; 2] {
        let [places, slots] = self.all;
        let in_flight = slots.saturating_sub(self.slots.available_permits());
        let inside = places.saturating_sub(self.places.available_permits());
        [in_flight, inside.saturating_sub(in_flight)]
    }

    /// `None` if the queue is full.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { place, slots: Arc::clone(&self.slots) })
    }
}

impl Place {
    /// Waits for its turn.
    pub(crate) async fn slot(self) -> Slot {
        let slot = self.slots.acquire_owned().await.expect("the semaphore is never closed");
        Slot { _place: self.place, _slot: slot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_means_in_flight_and_queue_are() {
        let admission = Admission::new(1, 2);
        let first = admission.enter().expect("free").slot().await;
        let second = admission.enter().expect("the queue is empty");
        assert_eq!(admission.load(), [1, 1]);
        assert!(admission.enter().is_none());
        drop(first);
        second.slot().await;
        assert!(admission.enter().is_some());
    }
}
