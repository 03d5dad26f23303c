//! The cloud as it would be had the caller died at one call, kept aside while the caller lives on: one run of `up` or
//! `down` gives as many crashes to recover from as it makes calls.

use rand::{SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

use super::{Crash, SimCloud, SimOptions, world::World};

/// A cloud whose caller has died.
#[derive(Clone)]
pub struct Fork {
    /// At which call that changes something, counted from 1.
    pub nth: usize,
    pub when: Crash,
    pub(super) world: World,
    taken: Instant,
}

impl Fork {
    pub(super) fn new(nth: usize, when: Crash, world: World, taken: Instant) -> Self {
        Self { nth, when, world, taken }
    }
}

impl SimCloud {
    /// Keeps the cloud aside as it would be, had the caller died at the `nth` call that changes something, counted
    /// from 1 and from now on. The caller goes on.
    pub fn fork_at(&self, nth: usize, when: Crash) {
        let mut state = self.state();
        let at = state.calls.mutating() + nth;
        state.fork_at.push((at, nth, when));
    }

    /// What has been kept aside since this was last asked.
    pub fn forks(&self) -> Vec<Fork> {
        let mut state = self.state();
        state.fork_at.clear();
        std::mem::take(&mut state.forks)
    }

    /// The cloud of a fork, with the moment of the crash being now. What happens from here on follows from `seed`.
    pub fn resume(fork: &Fork, seed: u64, options: SimOptions) -> Self {
        let mut world = fork.world.clone();
        world.shift(Instant::now().duration_since(fork.taken));
        world.random = SmallRng::seed_from_u64(seed);
        Self::with(world, options)
    }
}
