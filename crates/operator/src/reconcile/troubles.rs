//! What the reconciler could not do for an API, for people to see.
//!
//! Kept in memory: the next pass of whoever holds the lease finds out again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

impl Troubles {
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn of(&self, api: &str) -> Option<String> {
        self.lock().get(api).cloned()
    }

    /// Logged once, however often it is met.
    pub(crate) fn note(&self, api: &str, trouble: &str) {
        let before = self.lock().insert(api.to_owned(), trouble.to_owned());
        if before.as_deref() != Some(trouble) {
            tracing::warn!(api, trouble, "an API cannot be brought to what is wanted");
        }
    }

    pub(crate) fn clear(&self, api: &str) {
        self.lock().remove(api);
    }

    pub(crate) fn keep_only(&self, deployed: &BTreeSet<&str>) {
        self.lock().retain(|api, _| deployed.contains(api.as_str()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
