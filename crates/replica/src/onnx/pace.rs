//! Whether a request is quick enough to be answered on the thread that read it.
//!
//! Handing a request to another thread and its answer back costs more than a tiny model's whole run. But a thread that
//! reads connections and computes for long keeps others waiting. So small requests stay where they are as long as such
//! requests have lately been quick; the others go to threads that may block.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Longer than this others should not wait.
pub(super) const QUICK: Duration = Duration::from_micros(250);
/// Above this the body alone makes the work.
pub(super) const SMALL_BODY: usize = 64 << 10;
/// Weight of the latest time in the mean: one in eight, so that a single slow run shows and is soon forgotten.
const SHIFT: u32 = 3;

/// A moving mean of how long small requests took, in nanoseconds; at first nothing is known, which counts as slow.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    pub(super) fn is_quick(&self, body: usize) -> bool {
        body <= SMALL_BODY && u128::from(self.0.load(Ordering::Relaxed)) <= QUICK.as_nanos()
    }

    /// Notes how long a request has taken. Of two at once one may be lost, which does no harm to a mean.
    pub(super) fn note(&self, body: usize, begun: Instant) {
        self.add(body, begun.elapsed());
    }

    fn add(&self, body: usize, taken: Duration) {
        if body > SMALL_BODY {
            return;
        }
        let taken = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX >> SHIFT);
        let mean = match self.0.load(Ordering::Relaxed) {
            u64::MAX => taken,
            mean => mean - (mean >> SHIFT) + (taken >> SHIFT),
        };
        self.0.store(mean, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_small_requests_take() {
        let pace = Pace::new();
        assert!(!pace.is_quick(10), "nothing is known yet");
        pace.add(10, Duration::from_micros(20));
        assert!(pace.is_quick(10));
        assert!(!pace.is_quick(SMALL_BODY + 1));
        pace.add(SMALL_BODY + 1, Duration::from_secs(1));
        assert!(pace.is_quick(10), "large requests say nothing of small ones");
        pace.add(10, Duration::from_millis(5));
        assert!(!pace.is_quick(10), "one slow run shows");
        for _ in 0..16 {
            pace.add(10, Duration::from_micros(20));
        }
        assert!(pace.is_quick(10), "and is forgotten");
    }
}
