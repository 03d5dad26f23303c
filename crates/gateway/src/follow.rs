//! Keeps the snapshot up to date with the State store, through whatever happens to the store.
//!
//! Level-triggered: a change, or time passing, makes it read both documents, and what it read decides. A document that
//! cannot be read, or is not there, leaves its last good content in force: the operator replaces these documents and
//! never deletes them, so one that is missing has not been written yet. The two documents are independent, since a
//! damaged one must not hold up the other. Trouble is logged when it begins and when it ends, not at every attempt.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use api::routes::{KEYS_KEY, ROUTES_KEY};
use serde::de::DeserializeOwned;
use state::{State, StateError, Version, Watch};
use tokio::sync::watch;

use crate::{
    Timeouts,
    cache::{self, Documents, KEPT, Kept},
    snapshot::Table,
};

/// Pauses between attempts while the store fails.
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

pub(crate) struct Follower {
    state: Arc<dyn State>,
    directory: PathBuf,
    table: Arc<Table>,
    timeouts: Timeouts,
    documents: Documents,
    /// Which versions `documents` has; none while they come from disk.
    routes: Option<Version>,
    keys: Option<Version>,
    /// Whether anything is published; a store without documents is as good as one with empty ones.
    published: bool,
    /// What the disk does not have yet.
    unsaved: bool,
    /// When the disk was last written.
    saved: Option<Instant>,
    /// Until when the copy on disk will do, while nothing else has been read.
    copy_ends: Option<Instant>,
    store_fails: bool,
    disk_fails: bool,
}

impl Follower {
    pub(crate) fn new(state: Arc<dyn State>, directory: PathBuf, table: Arc<Table>, timeouts: Timeouts) -> Self {
        Self {
            state,
            directory,
            table,
            timeouts,
            documents: Documents::default(),
            routes: None,
            keys: None,
            published: false,
            unsaved: false,
            saved: None,
            copy_ends: None,
            store_fails: false,
            disk_fails: false,
        }
    }

    /// Runs for ever. `tried` becomes true when the store has been read, or has failed for the first time.
    pub(crate) async fn run(mut self, tried: watch::Sender<bool>) {
        self.load().await;
        let mut pause = *BACKOFF.start();
        loop {
            let Err(error) = self.follow(&tried, &mut pause).await;
            if !self.store_fails {
                let with =
                    if self.published { "the last routes and keys" } else { "no routes, for there are none on disk" };
                tracing::error!(%error, "routes and keys cannot be read: going on with {with}");
                self.store_fails = true;
            }
            tried.send_replace(true);
            self.outlive_no_copy();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(*BACKOFF.end());
        }
    }

    async fn load(&mut self) {
        match cache::load(&self.directory).await {
            Ok(Kept::Nothing) => {}
            Ok(Kept::TooOld) => {
                tracing::warn!("the snapshot on disk is too old: keys in it may have been revoked since");
            }
            Ok(Kept::Good(documents, left)) => {
                self.documents = documents;
                self.publish();
                self.copy_ends = Some(Instant::now() + left);
            }
            Err(error) => tracing::warn!(%error, "the snapshot on disk cannot be read and is ignored"),
        }
    }

    /// A gateway that has read the keys itself goes on with them for as long as it runs. One that has them from its disk
    /// does not: they may have been revoked before it began.
    fn outlive_no_copy(&mut self) {
        if self.keys.is_none() && self.copy_ends.take_if(|end| *end <= Instant::now()).is_some() {
            tracing::error!("the snapshot from disk has become too old: keys in it may have been revoked since");
            self.table.withdraw();
            self.published = false;
        }
    }

    /// Follows until the store fails.
    async fn follow(
        &mut self,
        tried: &watch::Sender<bool>,
        pause: &mut Duration,
    ) -> Result<std::convert::Infallible, StateError> {
        // Watching comes before reading, so that no change falls between.
        let mut routes = self.watch(ROUTES_KEY).await?;
        let mut keys = self.watch(KEYS_KEY).await?;
        loop {
            let outcome = self.refresh().await;
            self.save().await;
            outcome?;
            self.table.metrics.store_read();
            if self.store_fails {
                tracing::info!("routes and keys can be read again");
                self.store_fails = false;
            }
            *pause = *BACKOFF.start();
            tried.send_replace(true);
            tokio::select! {
                changed = routes.changed() => changed?,
                changed = keys.changed() => changed?,
                () = tokio::time::sleep(self.timeouts.recheck) => {}
            }
        }
    }

    async fn watch(&self, key: &str) -> Result<Watch, StateError> {
        within(self.timeouts.store, self.state.watch(key)).await
    }

    /// Reads both documents and publishes what is new; fails if one cannot be read, after using the other.
    async fn refresh(&mut self) -> Result<(), StateError> {
        let routes = self.read(ROUTES_KEY, &self.routes).await;
        let keys = self.read(KEYS_KEY, &self.keys).await;
        let mut news = !self.published && routes.is_ok() && keys.is_ok();
        let mut failure = None;
        match routes {
            Ok(Some((content, version))) => {
                (self.documents.routes, self.routes) = (content, Some(version));
                news = true;
            }
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
        match keys {
            Ok(Some((content, version))) => {
                (self.documents.keys, self.keys) = (content, Some(version));
                news = true;
            }
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
        if news {
            self.publish();
            self.unsaved = true;
        }
        // The age of the copy says when the store last agreed with it: of both documents.
        self.unsaved |= failure.is_none() && self.saved.is_none_or(|saved| saved.elapsed() > KEPT / 24);
        failure.map_or(Ok(()), Err)
    }

    /// `None` if the document is the known version, or is not there.
    async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        known: &Option<Version>,
    ) -> Result<Option<(T, Version)>, StateError> {
        let found = within(self.timeouts.store, state::read::<T>(&*self.state, key)).await?;
        Ok(found.filter(|(_, version)| known.as_ref() != Some(version)))
    }

    fn publish(&mut self) {
        self.table.publish(&self.documents.routes, &self.documents.keys, self.routes.as_ref());
        self.published = true;
        let Documents { routes, keys } = &self.documents;
        let replicas: usize = routes.apis.iter().map(|api| api.replicas.len()).sum();
        tracing::info!(apis = routes.apis.len(), replicas, keys = keys.keys.len(), "new routes");
    }

    /// A disk that is full stops nothing; the next change, or the next look at the store, tries again.
    async fn save(&mut self) {
        if !self.unsaved {
            return;
        }
        match cache::store(&self.directory, &self.documents).await {
            Ok(()) => (self.unsaved, self.disk_fails, self.saved) = (false, false, Some(Instant::now())),
            Err(error) if !self.disk_fails => {
                tracing::warn!(%error, "the snapshot cannot be kept on disk: the gateway would start without it");
                self.disk_fails = true;
            }
            Err(_) => {}
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, StateError>>) -> Result<T, StateError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StateError::Unavailable(format!("no answer within {limit:?}"))),
    }
}
