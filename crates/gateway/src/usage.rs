//! When keys were last used, written down where the operator can tell of it.
//!
//! A request only notes the time in memory. Now and then what is noted goes to one document of all gateways, each of which
//! puts in what it knows better than the document. A key in constant use costs one write a minute from each gateway,
//! however many requests there are and however many other keys. What could not be written is written next time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::api_keys::{KEY_USAGE_KEY, KeyUsage};
use state::{State, StateError, update};

use crate::{Timeouts, snapshot::Table};

/// How often is looked whether there is something to write.
const LOOKS: u32 = 12;
/// What a gateway that ends waits for its last report.
const LAST: Duration = Duration::from_secs(2);

pub(crate) struct Usage {
    state: Arc<dyn State>,
    table: Arc<Table>,
    timeouts: Timeouts,
    reported: Mutex<BTreeMap<String, u64>>,
}

impl Usage {
    pub(crate) fn new(state: Arc<dyn State>, table: Arc<Table>, timeouts: Timeouts) -> Self {
        Self { state, table, timeouts, reported: Mutex::default() }
    }

    /// Runs for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.timeouts.usage / LOOKS).await;
            self.report(self.timeouts.usage.as_secs()).await;
        }
    }

    /// Everything that is noted, before the end.
    pub(crate) async fn report_all(&self) {
        // In time or not, the gateway ends.
        let _ = tokio::time::timeout(LAST, self.report(0)).await;
    }

    /// Writes what is noted if some of it is so many seconds newer than what was last written.
    async fn report(&self, lag: u64) {
        let Some(snapshot) = self.table.current() else { return };
        let seen = snapshot.keys.used();
        if !self.is_due(&seen, lag) {
            return;
        }
        match tokio::time::timeout(self.timeouts.store, self.write(&seen)).await {
            Ok(Ok(())) => *self.reported.lock().unwrap_or_else(PoisonError::into_inner) = seen,
            Ok(Err(error)) => tracing::debug!(%error, "the last uses of keys could not be written down"),
            Err(_) => tracing::debug!("the last uses of keys could not be written down in time"),
        }
    }

    fn is_due(&self, seen: &BTreeMap<String, u64>, lag: u64) -> bool {
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|(sha256, at)| reported.get(sha256).is_none_or(|last| *at > *last && at - last >= lag))
    }

    async fn write(&self, seen: &BTreeMap<String, u64>) -> Result<(), StateError> {
        let merged = |present: Option<KeyUsage>| {
            let mut usage = present.unwrap_or_default();
            usage.merge(seen).then_some(usage)
        };
        update(&*self.state, KEY_USAGE_KEY, merged).await.map(drop)
    }
}
