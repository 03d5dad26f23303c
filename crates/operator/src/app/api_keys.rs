//! Making, rotating and ending API keys.
//!
//! Two documents are written for a new value: the value below `private/`, then its hash in `keys.json`. A crash in between
//! leaves a value that no gateway accepts and no key names; later changes clear it away ([`values`]). A key ends in the
//! opposite order: first its hashes go, then its values.

mod changes;
mod values;

use std::collections::BTreeSet;

use api::{
    api_keys::{
        ApiKeyInfo, ApiKeyList, ApiKeyValue, CreateApiKey, FormerValue, KEY_USAGE_KEY, KeyUsage, RevokedApiKey,
        RotateApiKey,
    },
    cluster::DEFAULT_API_KEY_ID,
    routes::{KEYS_KEY, KeyHash, Keys},
    wire::ApiKeyReply,
};
use identity::{KeyKind, Principal, sha256_hex};
use state::{Expect, StateError, read, update, write};
use time::OffsetDateTime;

use self::changes::{Change, opens_all};
use super::{App, AppError};

impl App {
    /// The value of a key that opens all APIs: of the one made with the cluster if there is a choice.
    pub async fn api_key(&self) -> Result<ApiKeyReply, AppError> {
        let state = self.store.state();
        let Some((keys, _)) = read::<Keys>(state, KEYS_KEY).await? else {
            let value = values::first(state).await?;
            return value.map(|api_key| ApiKeyReply { api_key }).ok_or(AppError::NoApiKeyForAll);
        };
        let now = OffsetDateTime::now_utc();
        let mut fit: Vec<_> = keys.keys.iter().filter(|key| opens_all(key, now)).collect();
        fit.sort_by_key(|key| key.id != DEFAULT_API_KEY_ID);
        for key in fit {
            if let Some(api_key) = values::get(state, &key.sha256).await? {
                return Ok(ApiKeyReply { api_key });
            }
        }
        Err(AppError::NoApiKeyForAll)
    }

    pub async fn api_keys(&self) -> Result<ApiKeyList, AppError> {
        let (keys, usage) = (self.keys().await?, self.usage().await?);
        let now = OffsetDateTime::now_utc();
        let mut keys: Vec<_> = keys.keys.iter().map(|key| info(key, &usage, now)).collect();
        keys.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(ApiKeyList { keys })
    }

    pub async fn named_api_key(&self, name: &str) -> Result<ApiKeyValue, AppError> {
        let keys = self.keys().await?;
        let key = changes::find(&keys, name)?;
        let Some(api_key) = values::get(self.store.state(), &key.sha256).await? else {
            return Err(AppError::Invalid {
                kind: "api_key.value_lost",
                message: format!("the value of the API key `{name}` is lost: `cortex api-key rotate {name}` makes one"),
            });
        };
        Ok(ApiKeyValue { key: info(key, &self.usage().await?, OffsetDateTime::now_utc()), api_key })
    }

    pub async fn create_api_key(&self, wanted: &CreateApiKey, caller: &Principal) -> Result<ApiKeyValue, AppError> {
        if let Some(apis) = &wanted.apis {
            for api in apis {
                if self.store.head(api).await?.is_none() {
                    return Err(AppError::NoSuchApi(api.clone()));
                }
            }
        }
        self.with_new_value(&Change::Create { wanted, by: caller.to_string() }, caller).await
    }

    pub async fn rotate_api_key(
        &self,
        name: &str,
        how: &RotateApiKey,
        caller: &Principal,
    ) -> Result<ApiKeyValue, AppError> {
        self.with_new_value(&Change::Rotate { name, how }, caller).await
    }

    pub async fn revoke_api_key(&self, name: &str, caller: &Principal) -> Result<RevokedApiKey, AppError> {
        let changed = self.change_keys(|keys| changes::revoke(keys, name)).await?;
        tracing::info!(key = name, by = %caller, "an API key was revoked");
        self.clear_away(&changed).await;
        let now = OffsetDateTime::now_utc();
        let keys_left = changed.keys.keys.iter().filter(|key| changes::opens_any(key, now)).count();
        Ok(RevokedApiKey { name: name.to_owned(), keys_left })
    }

    /// Refuses before the value is written whatever can be refused by then.
    async fn with_new_value(&self, change: &Change<'_>, caller: &Principal) -> Result<ApiKeyValue, AppError> {
        let value = KeyKind::Api.generate();
        let sha256 = sha256_hex(value.expose());
        let now = OffsetDateTime::now_utc();
        change.apply(&mut self.keys().await?, &sha256, now)?;
        values::put(self.store.state(), &value, now).await?;
        let changed = self.change_keys(|keys| change.apply(keys, &sha256, now)).await;
        let changed = match changed {
            Ok(changed) => changed,
            // Whether it was written is not known.
            Err(error @ AppError::Unavailable(_)) => return Err(error),
            Err(error) => {
                values::delete(self.store.state(), &sha256).await?;
                return Err(error);
            }
        };
        tracing::info!(key = changed.key.id, by = %caller, "an API key has a new value");
        self.clear_away(&changed).await;
        Ok(ApiKeyValue { key: info(&changed.key, &self.usage().await?, now), api_key: value.expose().to_owned() })
    }

    async fn keys(&self) -> Result<Keys, AppError> {
        Ok(read(self.store.state(), KEYS_KEY).await?.map(|(keys, _)| keys).unwrap_or_default())
    }

    async fn usage(&self) -> Result<KeyUsage, AppError> {
        Ok(read(self.store.state(), KEY_USAGE_KEY).await?.map(|(usage, _)| usage).unwrap_or_default())
    }

    /// Compare and swap; `change` is asked again about what somebody else wrote in between.
    async fn change_keys(
        &self,
        change: impl Fn(&mut Keys) -> Result<KeyHash, AppError> + Send + Sync,
    ) -> Result<Changed, AppError> {
        loop {
            let (mut keys, expect) = match read::<Keys>(self.store.state(), KEYS_KEY).await? {
                Some((keys, version)) => (keys, Expect::Version(version)),
                None => (Keys::default(), Expect::Absent),
            };
            let before = hashes(&keys);
            let key = change(&mut keys)?;
            let gone = before.difference(&hashes(&keys)).cloned().collect();
            match write(self.store.state(), KEYS_KEY, &keys, &expect).await {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome.map(|_| Changed { key, keys, gone }).map_err(AppError::from),
            }
        }
    }

    /// Drops what belongs to no key any more. Nothing depends on it, and the next change tries again.
    async fn clear_away(&self, changed: &Changed) {
        let known = hashes(&changed.keys);
        let outcome = async {
            for sha256 in &changed.gone {
                values::delete(self.store.state(), sha256).await?;
            }
            values::sweep(self.store.state(), &known, OffsetDateTime::now_utc()).await?;
            update(self.store.state(), KEY_USAGE_KEY, |present: Option<KeyUsage>| {
                let mut usage = present?;
                let before = usage.used.len();
                usage.used.retain(|sha256, _| known.contains(sha256));
                (usage.used.len() < before).then_some(usage)
            })
            .await
        };
        let outcome: Result<_, StateError> = outcome.await;
        if let Err(error) = outcome {
            tracing::warn!(%error, "what is left of former API keys could not be cleared away");
        }
    }
}

/// A change that was written.
struct Changed {
    /// The key as it is now, or was before it was revoked.
    key: KeyHash,
    keys: Keys,
    /// Hashes of the values that are not accepted any more.
    gone: Vec<String>,
}

fn hashes(keys: &Keys) -> BTreeSet<String> {
    keys.keys.iter().flat_map(KeyHash::values).map(|(sha256, _)| sha256.to_owned()).collect()
}

fn info(key: &KeyHash, usage: &KeyUsage, now: OffsetDateTime) -> ApiKeyInfo {
    let last_used = |sha256: &str| {
        let seconds = i64::try_from(*usage.used.get(sha256)?).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    };
    let former = key
        .former
        .iter()
        .filter(|former| former.expires_at > now)
        .map(|former| FormerValue { accepted_until: former.expires_at, last_used_at: last_used(&former.sha256) });
    ApiKeyInfo {
        name: key.id.clone(),
        kind: key.kind,
        apis: key.apis.clone(),
        description: key.description.clone(),
        created_at: key.created_at,
        created_by: key.created_by.clone(),
        expires_at: key.expires_at,
        expired: key.is_expired(now),
        last_used_at: last_used(&key.sha256),
        former: former.collect(),
    }
}
