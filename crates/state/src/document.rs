//! JSON documents over [`State`].

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Expect, State, StateError, Version, WriteId};

/// Reads a JSON document and the version to name in a later write.
pub async fn read<T: DeserializeOwned>(state: &dyn State, key: &str) -> Result<Option<(T, Version)>, StateError> {
    let Some(document) = state.get(key).await? else { return Ok(None) };
    let value = serde_json::from_slice(&document.bytes)
        .map_err(|source| StateError::Damaged { key: key.to_owned(), source })?;
    Ok(Some((value, document.version)))
}

/// Writes a JSON document.
pub async fn write<T: Serialize + Sync>(
    state: &dyn State,
    key: &str,
    value: &T,
    expect: &Expect,
) -> Result<Version, StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::Damaged { key: key.to_owned(), source })?;
    state.put(key, Bytes::from(bytes), expect, &WriteId::new()).await
}

/// Reads, changes and writes back, again and again until nobody else wrote in between. `change` gets the present value,
/// returns the wanted one, or `None` to leave everything as it is.
pub async fn update<T, F>(state: &dyn State, key: &str, mut change: F) -> Result<Option<Version>, StateError>
where
    T: Serialize + DeserializeOwned + Send + Sync,
    F: FnMut(Option<T>) -> Option<T> + Send,
{
    loop {
        let (present, expect) = match read::<T>(state, key).await? {
            Some((value, version)) => (Some(value), Expect::Version(version)),
            None => (None, Expect::Absent),
        };
        let Some(wanted) = change(present) else { return Ok(None) };
        match write(state, key, &wanted, &expect).await {
            Err(error) if error.is_conflict() => {}
            outcome => return outcome.map(Some),
        }
    }
}
