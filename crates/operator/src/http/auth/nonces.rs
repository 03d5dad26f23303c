//! Nonces of changes, in the cluster's State: of all its operators, one accepts a signed change, once.
//!
//! `nonce/<day>/<id>.json`, created and never written again; the day is that of the signature, so a replay meets the same
//! key whoever gets it and whenever. Days that are over are swept away.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use identity::sts::{NonceError, Nonces, UsedNonce};
use serde::Serialize;
use state::{Expect, State};
use time::{Duration, OffsetDateTime};

use crate::days;

const PREFIX: &str = "nonce/";
/// Old days are looked for this often, in seconds.
const SWEEP: i64 = 3600;

pub struct StateNonces {
    state: Arc<dyn State>,
    /// Unix time.
    swept_at: AtomicI64,
}

/// For people who look at the store; the key is what counts.
#[derive(Serialize)]
struct Record {
    #[serde(with = "time::serde::rfc3339")]
    signed_at: OffsetDateTime,
}

impl StateNonces {
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state, swept_at: AtomicI64::new(0) }
    }

    /// Sweeps if it is time to, beside the request that found that out.
    fn sweep(&self, now: OffsetDateTime) {
        let (last, now_unix) = (self.swept_at.load(Ordering::Relaxed), now.unix_timestamp());
        let due = now_unix - last >= SWEEP;
        if due && self.swept_at.compare_exchange(last, now_unix, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let state = Arc::clone(&self.state);
            tokio::spawn(async move {
                if let Err(error) = days::delete_before(&*state, PREFIX, now.date() - Duration::DAY).await {
                    tracing::warn!(%error, "old nonces could not be deleted");
                }
            });
        }
    }
}

#[async_trait]
impl Nonces for StateNonces {
    async fn record(&self, nonce: &UsedNonce) -> Result<(), NonceError> {
        let key = format!("{}{}.json", days::of(PREFIX, nonce.signed_at.date()), nonce.id);
        let record = Record { signed_at: nonce.signed_at };
        match state::write(&*self.state, &key, &record, &Expect::Absent).await {
            Ok(_) => {}
            Err(error) if error.is_conflict() => return Err(NonceError::Replayed),
            Err(error) => return Err(NonceError::Unavailable(error.to_string())),
        }
        self.sweep(nonce.now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::LocalState;

    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-03-01 00:01:00 UTC);

    fn used(id: &str, signed_at: OffsetDateTime) -> UsedNonce {
        UsedNonce { id: id.to_owned(), signed_at, expires_at: signed_at + Duration::minutes(6), now: NOW }
    }

    async fn state(directory: &tempfile::TempDir) -> Arc<dyn State> {
        Arc::new(LocalState::open(directory.path()).await.expect("it opens"))
    }

    #[tokio::test]
    async fn row_15_of_two_operators_one_accepts() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = state(&directory).await;
        let (one, two) = (StateNonces::new(Arc::clone(&state)), StateNonces::new(state));
        let nonce = used("a", NOW - Duration::minutes(2));
        assert_eq!(one.record(&nonce).await, Ok(()));
        assert_eq!(two.record(&nonce).await, Err(NonceError::Replayed));
        assert_eq!(one.record(&nonce).await, Err(NonceError::Replayed));
        assert_eq!(two.record(&used("b", NOW)).await, Ok(()));
    }

    #[tokio::test]
    async fn days_that_are_over_are_swept_away() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = state(&directory).await;
        let nonces = StateNonces::new(Arc::clone(&state));
        for (id, age) in [("a", 3), ("b", 2), ("c", 1), ("d", 0)] {
            nonces.record(&used(id, NOW - Duration::days(age))).await.expect("it is new");
        }
        days::delete_before(&*state, PREFIX, NOW.date() - Duration::DAY).await.expect("it works");
        let keys: Vec<_> = state.list(PREFIX).await.expect("it works").into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["nonce/20260228/c.json", "nonce/20260301/d.json"]);
    }
}
