//! One poller per watched prefix, for as long as somebody watches it.
//!
//! Looking costs money: a list is ten times the price of a head. So what is the name of one document is looked at by a head,
//! and lists are made less often; what this process writes itself wakes its watchers without either.
//!
//! It counts up whenever a list differs from the one before, and after its first. A watcher subscribes before it
//! makes its own first list, so what changes after that list is always in a later one of the poller's.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::watch::{Receiver, Sender},
    time::MissedTickBehavior,
};

use state::{Entry, StateError};

use super::{Inner, documents, listing};

/// How much more seldom a list is made than a head. Only what other processes write is learnt by it.
const LISTS: u32 = 5;

#[derive(Default)]
pub(super) struct Pollers(Mutex<HashMap<String, Sender<i64>>>);

/// Must be called in a tokio runtime, which carries the poller.
pub(super) fn subscribe(inner: &Arc<Inner>, prefix: &str) -> Receiver<i64> {
    inner.pollers.with(|running| {
        if let Some(sender) = running.get(prefix) {
            return sender.subscribe();
        }
        let sender = Sender::new(0);
        let receiver = sender.subscribe();
        running.insert(prefix.to_owned(), sender);
        tokio::spawn(poll(Arc::clone(inner), prefix.to_owned()));
        receiver
    })
}

async fn poll(inner: Arc<Inner>, prefix: String) {
    let period = if is_document(&prefix) { inner.poll } else { inner.poll * LISTS };
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        tick.tick().await;
        if inner.pollers.is_forsaken(&prefix) {
            return;
        }
        match look(&inner, &prefix).await {
            Ok(now) => {
                let now = Some(now);
                if mem::replace(&mut last, now.clone()) != now {
                    inner.pollers.announce(&prefix);
                }
            }
            // Watchers keep what they have; the next list tells them what they missed.
            Err(error) => tracing::warn!(%error, "a watched prefix could not be looked at"),
        }
    }
}

fn is_document(prefix: &str) -> bool {
    prefix.ends_with(".json")
}

async fn look(inner: &Inner, prefix: &str) -> Result<Vec<Entry>, StateError> {
    if !is_document(prefix) {
        return listing::documents(inner, prefix).await;
    }
    let version = documents::version_of(inner, prefix).await?;
    Ok(version.into_iter().map(|version| Entry { key: prefix.to_owned(), version }).collect())
}

impl Pollers {
    /// This process has changed something: its watchers need not wait for the next look.
    pub(super) fn changed(&self, key: &str) {
        self.with(|running| {
            for (_, sender) in running.iter().filter(|(prefix, _)| key.starts_with(prefix.as_str())) {
                sender.send_modify(|revision| *revision += 1);
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Sender<i64>>) -> T) -> T {
        // No work can leave the map half changed.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nobody watches that prefix any more. If so, its sender is gone, and the next watcher gets a new poller.
    fn is_forsaken(&self, prefix: &str) -> bool {
        self.with(|running| match running.get(prefix) {
            Some(sender) if sender.receiver_count() > 0 => false,
            _ => {
                running.remove(prefix);
                true
            }
        })
    }

    fn announce(&self, prefix: &str) {
        self.with(|running| {
            if let Some(sender) = running.get(prefix) {
                sender.send_modify(|revision| *revision += 1);
            }
        });
    }
}
