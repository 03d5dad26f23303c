//! A lease: at most one of several processes does something at a time, and the work goes on when that one dies.
//!
//! The holder rewrites the lease's document before the time to live is over; every rewrite gives it a new version.
//! Whether a lease has run out is judged by each observer's own monotonic clock since *it* first saw the present
//! version, never by comparing wall clocks, so a wrong clock cannot make two holders.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use crate::{Expect, State, StateError, Version, read, write};

/// What a lease's document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// For people, and to tell holders apart: unique per process.
    pub holder: String,
    /// Milliseconds after which an unchanged document means that the holder is gone.
    pub ttl_ms: u64,
    /// Counts renewals, so that each gives the document new content.
    pub beat: u64,
}

/// One process's claim on one lease.
pub struct Lease {
    state: Arc<dyn State>,
    key: String,
    holder: String,
    ttl: Duration,
    /// The last version this process saw, and when it first saw it.
    seen: Option<(Version, Instant)>,
    /// Until when this process may act as the holder.
    held_until: Option<Instant>,
    beat: u64,
}

impl Lease {
    /// `holder` must be unique: two processes of the same name would both think that they hold it.
    pub fn new(state: Arc<dyn State>, what: &str, holder: impl Into<String>, ttl: Duration) -> Self {
        Self { state, key: format!("lease/{what}"), holder: holder.into(), ttl, seen: None, held_until: None, beat: 0 }
    }

    /// Takes or renews the lease; call it well within the time to live. `true`: ours until [`Lease::is_held`] says no.
    /// What has been renewed a moment ago is not renewed again: a write may cost money.
    pub async fn hold(&mut self) -> Result<bool, StateError> {
        let asked = Instant::now();
        if self.held_until.is_some_and(|until| asked + self.ttl / 2 < until) {
            return Ok(true);
        }
        match read::<LeaseRecord>(&*self.state, &self.key).await? {
            None => self.claim(Expect::Absent, asked).await,
            Some((record, version)) if record.holder == self.holder => {
                self.beat = record.beat;
                self.claim(Expect::Version(version), asked).await
            }
            Some((record, version)) => {
                self.held_until = None;
                match &self.seen {
                    Some((seen, since)) if *seen == version => {
                        if since.elapsed() > Duration::from_millis(record.ttl_ms) {
                            tracing::warn!(lease = self.key, holder = record.holder, "the holder is gone; taking over");
                            return self.claim(Expect::Version(version), asked).await;
                        }
                    }
                    _ => self.seen = Some((version, asked)),
                }
                Ok(false)
            }
        }
    }

    /// Whether this process may still act as the holder. Ask right before each act.
    pub fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| Instant::now() < until)
    }

    /// Who holds the lease, for messages.
    pub async fn holder(&self) -> Result<Option<String>, StateError> {
        Ok(read::<LeaseRecord>(&*self.state, &self.key).await?.map(|(record, _)| record.holder))
    }

    /// Gives the lease up, so that nobody has to wait for it to run out.
    pub async fn release(&mut self) -> Result<(), StateError> {
        self.held_until = None;
        match read::<LeaseRecord>(&*self.state, &self.key).await? {
            Some((record, version)) if record.holder == self.holder => {
                match self.state.delete(&self.key, &Expect::Version(version)).await {
                    Err(error) if error.is_conflict() => Ok(()),
                    outcome => outcome,
                }
            }
            _ => Ok(()),
        }
    }

    async fn claim(&mut self, expect: Expect, asked: Instant) -> Result<bool, StateError> {
        let record = LeaseRecord {
            holder: self.holder.clone(),
            ttl_ms: u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX),
            beat: self.beat + 1,
        };
        match write(&*self.state, &self.key, &record, &expect).await {
            Ok(_) => {
                self.beat = record.beat;
                self.seen = None;
                // Counted from before the question: nobody can have seen the new version earlier than that.
                self.held_until = Some(asked + self.ttl);
                Ok(true)
            }
            Err(error) if error.is_conflict() => {
                self.held_until = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
