//! A State that can be switched off.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use state::{Document, Entry, Expect, LocalState, State, StateError, Version, Watch, WriteId};

#[derive(Clone)]
pub struct Flaky {
    inner: LocalState,
    broken: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

impl Flaky {
    pub fn new(inner: LocalState) -> Self {
        Self { inner, broken: Arc::default(), refused: Arc::default() }
    }

    /// From now on nothing can be read or written.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    pub fn recover(&self) {
        self.broken.store(false, Ordering::SeqCst);
    }

    /// Calls that failed.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    fn working(&self) -> Result<&LocalState, StateError> {
        if self.broken.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StateError::Unavailable("switched off".to_owned()));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl State for Flaky {
    async fn get(&self, key: &str) -> Result<Option<Document>, StateError> {
        self.working()?.get(key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, expect: &Expect, id: &WriteId) -> Result<Version, StateError> {
        self.working()?.put(key, bytes, expect, id).await
    }

    async fn delete(&self, key: &str, expect: &Expect) -> Result<(), StateError> {
        self.working()?.delete(key, expect).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.working()?.list(prefix).await
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StateError> {
        self.working()?.watch(prefix).await
    }

    async fn put_blob(&self, key: &str, file: &Path) -> Result<(), StateError> {
        self.working()?.put_blob(key, file).await
    }

    async fn has_blob(&self, key: &str) -> Result<bool, StateError> {
        self.working()?.has_blob(key).await
    }

    async fn get_blob(&self, key: &str, to: &Path) -> Result<bool, StateError> {
        self.working()?.get_blob(key, to).await
    }

    async fn delete_blob(&self, key: &str) -> Result<(), StateError> {
        self.working()?.delete_blob(key).await
    }

    async fn list_blobs(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        self.working()?.list_blobs(prefix).await
    }
}
