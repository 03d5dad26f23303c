//! Whether a replica gets requests, by what became of the last ones, and by asking it.
//!
//! A replica that takes no connection is out at once: it costs nothing to ask another. One that takes requests and fails
//! them (breaks the connection, answers with something that is not HTTP, with 502 or 504, or not in time) is out after
//! several in a row, as Envoy's outlier detection and linkerd's failure accrual have it; not more than half of an API's
//! replicas at a time, since the cause may lie in the requests. 503 is no failure: a replica says so when it has enough
//! to do, and would leave the rest with more.
//!
//! Who is out is asked in the background, at first after a second, and gets requests again when it answers. If all are
//! out, all get requests (`choose`): a guess is better than a refusal.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Envoy's `consecutive_5xx`.
const IN_A_ROW: u32 = 5;
/// linkerd's shortest and longest penalty, and what it adds at random at most, as a part of it.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const JITTER: f64 = 0.5;
/// Being well for so long forgives one ejection: Envoy's `interval`.
const FORGIVEN: Duration = Duration::from_secs(10);

const IN: u8 = 0;
const REFUSES: u8 = 1;
const FAILS: u8 = 2;

/// Why a replica is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It takes no connection.
    Refuses,
    /// It fails what it takes.
    Fails,
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    standing: AtomicU8,
    /// In a row.
    failures: AtomicU32,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    /// How often it was out; tells whoever asks a replica whether it is still the same time.
    number: u64,
    /// Ejections that are not forgiven.
    times: u32,
    back: Option<Instant>,
}

impl Health {
    pub(crate) fn is_out(&self) -> bool {
        self.standing.load(Ordering::Relaxed) != IN
    }

    /// Out because of what it did to requests.
    #[cfg(test)]
    pub(crate) fn fails(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == FAILS
    }

    pub(crate) fn succeeded(&self) {
        // Mostly there is nothing to forget, and nothing to write where all read.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Whether these are enough failures in a row.
    pub(crate) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= IN_A_ROW
    }

    /// Returns which time this is, unless it was out already.
    pub(crate) fn eject(&self, why: Why, now: Instant) -> Option<u64> {
        let mut history = self.history();
        if self.is_out() {
            return None;
        }
        if let (Why::Fails, Some(back)) = (why, history.back) {
            let well = now.saturating_duration_since(back).as_secs() / FORGIVEN.as_secs();
            history.times = history.times.saturating_sub(u32::try_from(well).unwrap_or(u32::MAX));
        }
        history.number += 1;
        self.standing.store(if why == Why::Fails { FAILS } else { REFUSES }, Ordering::Relaxed);
        Some(history.number)
    }

    /// How long it stays out before it is asked, or asked again. `random`: from 0 to 1.
    pub(crate) fn pause(&self, why: Why, random: f64) -> Duration {
        let pause = match why {
            // Asking it is a connection and nothing more.
            Why::Refuses => SHORTEST,
            Why::Fails => {
                let mut history = self.history();
                history.times = history.times.saturating_add(1);
                SHORTEST.saturating_mul(1 << (history.times - 1).min(16)).min(LONGEST)
            }
        };
        pause.mul_f64(1.0 + JITTER * random)
    }

    /// Whether it is still out for that time.
    pub(crate) fn is_out_since(&self, number: u64) -> bool {
        self.is_out() && self.history().number == number
    }

    /// It gets requests again.
    pub(crate) fn readmit(&self, now: Instant) {
        let mut history = self.history();
        history.back = Some(now);
        self.failures.store(0, Ordering::Relaxed);
        self.standing.store(IN, Ordering::Relaxed);
    }

    /// It took a connection.
    pub(crate) fn connected(&self, now: Instant) {
        if self.standing.load(Ordering::Relaxed) == REFUSES {
            self.readmit(now);
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Nothing that can panic runs under the lock.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(health: &Health) -> f64 {
        health.pause(Why::Fails, 0.0).as_secs_f64()
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let health = Health::default();
        for _ in 0..10 {
            assert!((1..IN_A_ROW).all(|_| !health.failed()));
            health.succeeded();
        }
        assert!((1..IN_A_ROW).all(|_| !health.failed()));
        assert!(health.failed());
        let now = Instant::now();
        assert_eq!(health.eject(Why::Fails, now), Some(1));
        assert!(health.is_out() && health.fails() && health.is_out_since(1));
        assert_eq!(health.eject(Why::Refuses, now), None, "it is out already");
        health.connected(now);
        assert!(health.is_out(), "a connection proves nothing of one that fails requests");
        health.readmit(now);
        assert!(!health.is_out() && !health.is_out_since(1));
        assert!(!health.failed(), "it begins anew");
    }

    #[test]
    fn each_time_it_stays_out_for_longer_until_it_was_well_for_a_while() {
        let health = Health::default();
        let begin = Instant::now();
        health.eject(Why::Fails, begin);
        assert_eq!([(); 8].map(|()| seconds(&health)), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        health.readmit(begin);
        // 8 ejections, of which 5 are forgiven.
        health.eject(Why::Fails, begin + FORGIVEN * 5);
        assert_eq!(seconds(&health), 8.0);
        health.readmit(begin);
        health.eject(Why::Fails, begin + FORGIVEN * 500);
        assert_eq!(seconds(&health), 1.0);
    }

    #[test]
    fn pauses_differ_by_up_to_a_half() {
        let health = Health::default();
        assert_eq!(health.pause(Why::Fails, 1.0), SHORTEST.mul_f64(1.5));
        assert_eq!(health.pause(Why::Fails, 0.5), SHORTEST.mul_f64(2.5));
        for _ in 0..100 {
            assert_eq!(health.pause(Why::Refuses, 0.0), SHORTEST, "a refusal is asked for at the same pace");
        }
    }

    #[test]
    fn one_that_refused_is_back_with_the_first_connection() {
        let health = Health::default();
        let now = Instant::now();
        assert_eq!(health.eject(Why::Refuses, now), Some(1));
        assert!(health.is_out() && !health.fails());
        health.connected(now);
        assert!(!health.is_out());
        assert_eq!(health.eject(Why::Refuses, now), Some(2));
        assert!(!health.is_out_since(1), "who asked for the first time has nothing more to do");
    }
}
