//! What this process has begun to make and not finished, and client tokens.
//!
//! A token is a hash of the resource, of everything that is asked for, and of how often this process has succeeded in it,
//! mixed with a number drawn when the process starts. So an attempt whose reply was lost gets the same answer again, while
//! `up` after `down` never gets what has been deleted in between: AWS remembers tokens for a day, ids or no ids.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use provision::{
    cloud::{ClusterId, Wanted},
    resource::Key,
};
use sha2::{Digest as _, Sha256};

type Place = (String, String, Key);

#[derive(Debug)]
pub(crate) struct Attempts {
    seed: u128,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: HashMap<Place, String>,
    made: HashMap<Place, u64>,
}

impl Attempts {
    pub(crate) fn new(seed: u128) -> Self {
        Self { seed, state: Mutex::default() }
    }

    /// The id that an earlier attempt got from the first of several calls.
    pub(crate) fn begun(&self, cluster: &ClusterId, key: &Key) -> Option<String> {
        self.lock().begun.get(&place(cluster, key)).cloned()
    }

    pub(crate) fn begin(&self, cluster: &ClusterId, key: &Key, id: &str) {
        self.lock().begun.insert(place(cluster, key), id.to_owned());
    }

    pub(crate) fn forget(&self, cluster: &ClusterId, key: &Key) {
        self.lock().begun.remove(&place(cluster, key));
    }

    /// The next one of that key is another one.
    pub(crate) fn finish(&self, cluster: &ClusterId, key: &Key) {
        let mut state = self.lock();
        state.begun.remove(&place(cluster, key));
        *state.made.entry(place(cluster, key)).or_default() += 1;
    }

    /// 64 characters, as many as all services take.
    pub(crate) fn token(&self, cluster: &ClusterId, wanted: &Wanted) -> String {
        let made = self.lock().made.get(&place(cluster, &wanted.key)).copied().unwrap_or_default();
        let asked = format!("{:?}", (cluster, wanted));
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(made.to_be_bytes());
        hash.update(asked.as_bytes());
        hex::encode(hash.finalize())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(cluster: &ClusterId, key: &Key) -> Place {
    (cluster.region.clone(), cluster.name.clone(), key.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provision::resource::{ElasticIp, Resource};

    use super::*;

    #[test]
    fn a_token_stays_until_something_was_made() {
        let cluster = ClusterId { name: "a".into(), region: "r".into(), account_id: "1".into() };
        let key = Key::from_tag("elastic-ip/x");
        let wanted = Wanted { key: key.clone(), tags: BTreeMap::new(), resource: Resource::ElasticIp(ElasticIp {}) };
        let attempts = Attempts::new(7);
        let first = attempts.token(&cluster, &wanted);
        assert_eq!((first.len(), attempts.token(&cluster, &wanted)), (64, first.clone()));
        attempts.begin(&cluster, &key, "eipalloc-1");
        assert_eq!(attempts.begun(&cluster, &key).as_deref(), Some("eipalloc-1"));
        attempts.finish(&cluster, &key);
        assert_eq!(attempts.begun(&cluster, &key), None);
        assert_ne!(attempts.token(&cluster, &wanted), first);
    }
}
