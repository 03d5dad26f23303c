//! Waiting for a change under a prefix.

use std::sync::Arc;

use tokio::sync::watch::Receiver;

use crate::{Entry, State, StateError};

/// Wakes when something under its prefix has been put, replaced or deleted. Several changes may show as one.
pub struct Watch {
    state: Arc<dyn State>,
    prefix: String,
    /// Any change anywhere in the store: cheap to wait for.
    revision: Receiver<i64>,
    seen: Vec<Entry>,
}

impl Watch {
    /// Compares from now on. `revision` changes whenever anything in the store does.
    pub async fn new(state: Arc<dyn State>, prefix: &str, mut revision: Receiver<i64>) -> Result<Self, StateError> {
        revision.mark_unchanged();
        let seen = state.list(prefix).await?;
        Ok(Self { state, prefix: prefix.to_owned(), revision, seen })
    }

    /// Returns after the next change since the last return. Safe to drop and call again.
    pub async fn changed(&mut self) -> Result<(), StateError> {
        loop {
            self.revision.changed().await.map_err(|_| StateError::Unavailable("the store was closed".to_owned()))?;
            let now = match self.state.list(&self.prefix).await {
                Ok(now) => now,
                Err(error) => {
                    // The change has been consumed but not looked at: look again at the next call.
                    self.revision.mark_changed();
                    return Err(error);
                }
            };
            if now != self.seen {
                self.seen = now;
                return Ok(());
            }
        }
    }
}
