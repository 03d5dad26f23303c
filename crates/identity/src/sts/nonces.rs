//! One signature, one request: what was accepted is remembered for as long as it would be accepted again.
//!
//! A nonce is recorded only after STS has vouched for the signature, under the caller's unique id. So a stranger can
//! neither fill the memory nor use up somebody else's nonces.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use time::OffsetDateTime;

/// A nonce of a proved caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedNonce {
    /// Lower-case hex SHA-256 over the caller's account and unique id and the nonce.
    pub id: String,
    /// As the signature says: the same for a replay, whoever's clock is asked.
    pub signed_at: OffsetDateTime,
    /// From then on its signature is too old everywhere.
    pub expires_at: OffsetDateTime,
    pub now: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    #[error("this request has been sent before; every request needs a signature of its own")]
    Replayed,
    /// Nothing may be forgotten early, so nothing more is let in.
    #[error("too many requests in a short time")]
    Full,
    #[error("{0}")]
    Unavailable(String),
}

/// Remembers nonces.
#[async_trait]
pub trait Nonces: Send + Sync + 'static {
    /// Remembers it at least until it expires. Of any number of calls with the same `id`, one succeeds; the others are
    /// [`NonceError::Replayed`]. When in doubt, an error.
    async fn record(&self, nonce: &UsedNonce) -> Result<(), NonceError>;
}

/// In this process's memory: for requests that change nothing, whose replay at another operator tells the replayer
/// what it has seen already.
#[derive(Debug)]
pub struct MemoryNonces {
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    expiry: HashMap<String, OffsetDateTime>,
    swept_at: OffsetDateTime,
}

/// Expired nonces are dropped this often, and whenever there is no room.
const SWEEP: time::Duration = time::Duration::seconds(30);

impl MemoryNonces {
    /// At most `capacity` nonces of about 150 bytes.
    pub fn new(capacity: usize) -> Self {
        let seen = Seen { expiry: HashMap::new(), swept_at: OffsetDateTime::UNIX_EPOCH };
        Self { capacity, seen: Mutex::new(seen) }
    }
}

#[async_trait]
impl Nonces for MemoryNonces {
    async fn record(&self, nonce: &UsedNonce) -> Result<(), NonceError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Without room for one more, a sweep per second is enough: it costs a walk through everything.
        let pause = if seen.expiry.len() < self.capacity { SWEEP } else { time::Duration::SECOND };
        if nonce.now - seen.swept_at >= pause {
            seen.expiry.retain(|_, expiry| *expiry > nonce.now);
            seen.swept_at = nonce.now;
        }
        if seen.expiry.contains_key(&nonce.id) {
            return Err(NonceError::Replayed);
        }
        if seen.expiry.len() >= self.capacity {
            return Err(NonceError::Full);
        }
        seen.expiry.insert(nonce.id.clone(), nonce.expires_at);
        Ok(())
    }
}
