//! Row 15, in memory: bounded in number and time, and never forgetful before its time.

use identity::sts::{MemoryNonces, NonceError, Nonces as _, UsedNonce};
use time::{Duration, OffsetDateTime};

use super::fake::NOW;

fn used(id: &str, now: OffsetDateTime) -> UsedNonce {
    UsedNonce { id: id.to_owned(), signed_at: now, expires_at: now + Duration::minutes(6), now }
}

#[tokio::test]
async fn row_15_a_nonce_is_taken_once() {
    let nonces = MemoryNonces::new(10);
    assert_eq!(nonces.record(&used("a", NOW)).await, Ok(()));
    for seconds in [0, 1, 60, 359] {
        let again = UsedNonce { now: NOW + Duration::seconds(seconds), ..used("a", NOW) };
        assert_eq!(nonces.record(&again).await, Err(NonceError::Replayed), "after {seconds} s");
    }
    assert_eq!(nonces.record(&used("b", NOW)).await, Ok(()));
}

#[tokio::test]
async fn row_15_memory_is_bounded_and_nothing_is_forgotten_early() {
    let nonces = MemoryNonces::new(3);
    for id in ["a", "b", "c"] {
        assert_eq!(nonces.record(&used(id, NOW)).await, Ok(()));
    }
    assert_eq!(nonces.record(&used("d", NOW)).await, Err(NonceError::Full));
    assert_eq!(nonces.record(&used("a", NOW)).await, Err(NonceError::Replayed), "and `a` is still known");
    assert_eq!(nonces.record(&used("d", NOW + Duration::seconds(359))).await, Err(NonceError::Full));
    assert_eq!(nonces.record(&used("d", NOW + Duration::minutes(6))).await, Ok(()), "the old ones have expired");
    assert_eq!(nonces.record(&used("e", NOW + Duration::minutes(6))).await, Ok(()));
}
