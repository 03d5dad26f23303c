//! Values of API keys: documents below `private/`, named by the value's hash, so that none can stand for another.

use std::collections::BTreeSet;

use api::{
    api_keys::{VALUES_PREFIX, value_key},
    cluster::{ApiKeyRecord, DEFAULT_API_KEY_KEY},
};
use identity::{Secret, sha256_hex};
use state::{Expect, State, StateError, read, write};
use time::{Duration, OffsetDateTime};

/// A value that no key names may be about to be named, if it is younger.
const UNNAMED: Duration = Duration::HOUR;

pub(super) async fn put(state: &dyn State, value: &Secret, now: OffsetDateTime) -> Result<(), StateError> {
    let record = ApiKeyRecord { value: value.expose().to_owned(), made_at: Some(now) };
    write(state, &value_key(&sha256_hex(value.expose())), &record, &Expect::Absent).await.map(drop)
}

pub(super) async fn get(state: &dyn State, sha256: &str) -> Result<Option<String>, StateError> {
    for key in [&value_key(sha256), DEFAULT_API_KEY_KEY] {
        let record = read::<ApiKeyRecord>(state, key).await?;
        if let Some((record, _)) = record
            && sha256_hex(&record.value) == sha256
        {
            return Ok(Some(record.value));
        }
    }
    Ok(None)
}

/// Of the key made with the cluster, before anybody wrote its hash.
pub(super) async fn first(state: &dyn State) -> Result<Option<String>, StateError> {
    Ok(read::<ApiKeyRecord>(state, DEFAULT_API_KEY_KEY).await?.map(|(record, _)| record.value))
}

pub(super) async fn delete(state: &dyn State, sha256: &str) -> Result<(), StateError> {
    state.delete(&value_key(sha256), &Expect::Anything).await?;
    let first = first(state).await?;
    if first.is_some_and(|value| sha256_hex(&value) == sha256) {
        state.delete(DEFAULT_API_KEY_KEY, &Expect::Anything).await?;
    }
    Ok(())
}

/// Deletes the values that no key knows: those of changes that a crash cut short.
pub(super) async fn sweep(state: &dyn State, known: &BTreeSet<String>, now: OffsetDateTime) -> Result<(), StateError> {
    for entry in state.list(VALUES_PREFIX).await? {
        let name = entry.key.strip_prefix(VALUES_PREFIX).and_then(|rest| rest.strip_suffix(".json"));
        if name.is_none_or(|sha256| known.contains(sha256)) {
            continue;
        }
        let Some((record, version)) = read::<ApiKeyRecord>(state, &entry.key).await? else { continue };
        let young = record.made_at.is_some_and(|made_at| now - made_at < UNNAMED);
        if young || known.contains(&sha256_hex(&record.value)) {
            continue;
        }
        match state.delete(&entry.key, &Expect::Version(version)).await {
            Err(error) if !error.is_conflict() => return Err(error),
            _ => tracing::info!("a value that belongs to no API key was deleted"),
        }
    }
    Ok(())
}
