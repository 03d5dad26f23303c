//! Whether to try again, and when: by the kind of the failure, until the resource's deadline.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

use super::Settings;
use crate::{
    cloud::{CloudError, ErrorKind},
    plan::deadline,
    resource::{Key, Kind},
};

/// The attempts at one thing.
pub(crate) struct Retry {
    random: SmallRng,
    give_up: Instant,
    unreachable_after: Duration,
    unanswered_since: Option<Instant>,
    attempts: u32,
}

impl Retry {
    pub(crate) fn new(settings: &Settings, key: &Key, kind: Kind) -> Self {
        // Different for every resource: or all would come back at the same time.
        let salt = key.as_str().bytes().fold(settings.seed, |seed, b| seed.wrapping_mul(31).wrapping_add(b.into()));
        Self {
            random: SmallRng::seed_from_u64(salt),
            give_up: Instant::now() + deadline(kind),
            unreachable_after: settings.unreachable_after,
            unanswered_since: None,
            attempts: 0,
        }
    }

    /// How long to wait before the next attempt; `None`: there is no point.
    pub(crate) fn pause(&mut self, error: &CloudError) -> Option<Duration> {
        let now = Instant::now();
        if error.kind != ErrorKind::Unavailable {
            self.unanswered_since = None;
        }
        let (base, cap): (u64, u64) = match error.kind {
            ErrorKind::Throttled => (500, 20_000),
            ErrorKind::Unavailable => {
                let since = *self.unanswered_since.get_or_insert(now);
                if now.duration_since(since) > self.unreachable_after {
                    return None;
                }
                (500, 10_000)
            }
            // Short: it is a matter of seconds, and somebody waits.
            ErrorKind::NotFoundYet | ErrorKind::AlreadyExists => (500, 2_000),
            ErrorKind::DependencyViolation => (1_000, 5_000),
            ErrorKind::Denied { .. } | ErrorKind::CredentialsExpired | ErrorKind::Invalid => return None,
        };
        let most = base.saturating_mul(1 << self.attempts.min(10)).min(cap);
        self.attempts += 1;
        let pause = Duration::from_millis(self.random.random_range(most / 2..=most));
        (now + pause < self.give_up).then_some(pause)
    }

    /// A call succeeded.
    pub(crate) fn answered(&mut self) {
        self.unanswered_since = None;
        self.attempts = 0;
    }
}
