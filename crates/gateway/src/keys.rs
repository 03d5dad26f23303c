//! The keys of the cluster, as requests are checked against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use api::{api_keys::ApiKeyKind, routes};
use identity::sha256;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

type Hash = [u8; 32];

/// One value of one key.
#[derive(Debug)]
pub(crate) struct Key {
    /// As the documents have it.
    sha256: String,
    kind: ApiKeyKind,
    /// `None`: all.
    apis: Option<BTreeSet<String>>,
    /// Since 1970.
    expires: Option<Duration>,
    /// Since 1970, in seconds; 0 if it was not used since this gateway began.
    used: AtomicU64,
}

impl Key {
    pub(crate) fn opens(&self, api: &str) -> bool {
        match self.kind {
            ApiKeyKind::Admin => true,
            ApiKeyKind::Api => self.apis.as_ref().is_none_or(|apis| apis.contains(api)),
            ApiKeyKind::Monitor => false,
        }
    }

    pub(crate) fn monitors(&self) -> bool {
        matches!(self.kind, ApiKeyKind::Admin | ApiKeyKind::Monitor)
    }
}

/// All values that may be accepted.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    hashes: Vec<Hash>,
    /// In the same order.
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// Takes over from `previous` when its values were used.
    pub(crate) fn new(keys: &routes::Keys, previous: Option<&Self>) -> Self {
        let mut set = Self::default();
        for key in &keys.keys {
            for (sha256, expires) in key.values() {
                let mut hash = [0; 32];
                // What is no hash is no key's.
                if hex::decode_to_slice(sha256, &mut hash).is_err() {
                    continue;
                }
                let since_1970 = |end| SystemTime::from(end).duration_since(SystemTime::UNIX_EPOCH);
                let known = previous.and_then(|previous| previous.keys.iter().find(|key| key.sha256 == sha256));
                set.hashes.push(hash);
                set.keys.push(Arc::new(Key {
                    sha256: sha256.to_owned(),
                    kind: key.kind,
                    apis: key.apis.as_ref().map(|apis| apis.iter().cloned().collect()),
                    expires: expires.map(|end| since_1970(end).unwrap_or(Duration::ZERO)),
                    used: known.map_or(0, |known| known.used.load(Ordering::Relaxed)).into(),
                }));
            }
        }
        set
    }

    /// The key that `presented` is a value of, if its time is not over; notes that it was used.
    ///
    /// Compares with every value to the end: the time tells neither which key it was nor where another differs.
    pub(crate) fn find(&self, presented: &str, now: Duration) -> Option<Arc<Key>> {
        let hash = sha256(presented);
        let mut found = u32::MAX;
        for (position, key) in (0..).zip(&self.hashes) {
            found.conditional_assign(&position, hash.ct_eq(key));
        }
        let key = self.keys.get(usize::try_from(found).ok()?)?;
        if key.expires.is_some_and(|end| end <= now) {
            return None;
        }
        // Most requests find their second noted already, and write nothing that other cores would have to fetch.
        if key.used.load(Ordering::Relaxed) < now.as_secs() {
            key.used.store(now.as_secs(), Ordering::Relaxed);
        }
        Some(Arc::clone(key))
    }

    /// When each value was last used at this gateway, by hash.
    pub(crate) fn used(&self) -> BTreeMap<String, u64> {
        let used = |key: &Arc<Key>| (key.sha256.clone(), key.used.load(Ordering::Relaxed));
        self.keys.iter().map(used).filter(|(_, at)| *at > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use api::routes::{FormerHash, KeyHash, Keys};
    use identity::{KeyKind, Secret, sha256_hex};

    use super::*;

    fn value(seed: u8) -> Secret {
        KeyKind::Api.key([seed; 32])
    }

    fn hash(seed: u8) -> KeyHash {
        KeyHash { id: seed.to_string(), sha256: sha256_hex(value(seed).expose()), ..KeyHash::default() }
    }

    fn set(keys: impl Into<Vec<KeyHash>>) -> KeySet {
        KeySet::new(&Keys { keys: keys.into() }, None)
    }

    const NOW: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn a_key_opens_what_its_kind_and_its_scope_say() {
        let some = Some(vec!["iris".to_owned(), "rose".to_owned()]);
        for (kind, apis, opens) in [
            (ApiKeyKind::Admin, None, [true, true]),
            (ApiKeyKind::Api, None, [true, true]),
            (ApiKeyKind::Api, some, [true, false]),
            (ApiKeyKind::Api, Some(Vec::new()), [false, false]),
            (ApiKeyKind::Monitor, None, [false, false]),
        ] {
            let keys = set([KeyHash { kind, apis: apis.clone(), ..hash(1) }]);
            let key = keys.find(value(1).expose(), NOW).unwrap();
            assert_eq!(["iris", "other"].map(|api| key.opens(api)), opens, "{kind:?} {apis:?}");
        }
    }

    #[test]
    fn a_value_is_accepted_until_its_end_and_no_longer() {
        let end = (SystemTime::UNIX_EPOCH + NOW).into();
        let rotated =
            KeyHash { former: vec![FormerHash { sha256: sha256_hex(value(2).expose()), expires_at: end }], ..hash(1) };
        let keys = set([rotated, KeyHash { expires_at: Some(end), ..hash(3) }]);
        let just_before = NOW - Duration::from_nanos(1);
        for seed in [1, 2, 3] {
            assert!(keys.find(value(seed).expose(), just_before).is_some(), "{seed}");
        }
        assert_eq!([1, 2, 3].map(|seed| keys.find(value(seed).expose(), NOW).is_some()), [true, false, false]);
        assert!(keys.find(value(9).expose(), just_before).is_none());
        assert!(KeySet::default().find(value(1).expose(), NOW).is_none());
        assert!(set([KeyHash { sha256: "rubbish".to_owned(), ..hash(1) }]).find(value(1).expose(), NOW).is_none());
    }

    #[test]
    fn each_of_many_keys_is_told_from_the_others() {
        let keys =
            set((1..=100).map(|seed| KeyHash { apis: Some(vec![seed.to_string()]), ..hash(seed) }).collect::<Vec<_>>());
        for seed in 1..=100u8 {
            let key = keys.find(value(seed).expose(), NOW).unwrap();
            assert!(key.opens(&seed.to_string()) && !key.opens("0"), "{seed}");
        }
    }

    #[test]
    fn uses_are_remembered_over_a_change_and_refusals_are_none() {
        let end = Some((SystemTime::UNIX_EPOCH + NOW).into());
        let documents = Keys { keys: vec![hash(1), hash(2), KeyHash { expires_at: end, ..hash(3) }] };
        let first = KeySet::new(&documents, None);
        for (seed, now) in [(1, NOW), (3, NOW), (1, NOW + Duration::from_secs(5)), (1, NOW)] {
            let _ = first.find(value(seed).expose(), now);
        }
        let seen = BTreeMap::from([(hash(1).sha256, NOW.as_secs() + 5)]);
        assert_eq!(first.used(), seen);
        let second = KeySet::new(&documents, Some(&first));
        assert_eq!(second.used(), seen);
    }
}
