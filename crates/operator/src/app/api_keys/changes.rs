//! What a change makes of `keys.json`, or why it is refused. Pure.

use api::{
    api_keys::{ApiKeyKind, CreateApiKey, Expiry, RotateApiKey},
    routes::{FormerHash, KeyHash, Keys},
};
use time::{Duration, OffsetDateTime};

use super::AppError;

/// Every request is compared with every value.
const KEYS: usize = 200;
const VALUES_OF_A_KEY: usize = 10;
const NAME_LENGTH: usize = 42;
const DESCRIPTION_LENGTH: usize = 200;

/// A change that needs a new value.
pub(super) enum Change<'a> {
    Create { wanted: &'a CreateApiKey, by: String },
    Rotate { name: &'a str, how: &'a RotateApiKey },
}

impl Change<'_> {
    /// Returns the key as it is from then on.
    pub(super) fn apply(&self, keys: &mut Keys, sha256: &str, now: OffsetDateTime) -> Result<KeyHash, AppError> {
        let key = match self {
            Self::Create { wanted, by } => create(keys, wanted, by, sha256, now)?,
            Self::Rotate { name, how } => rotate(keys, name, how, sha256, now)?,
        };
        for key in &mut keys.keys {
            key.former.retain(|former| former.expires_at > now);
        }
        Ok(key)
    }
}

fn create(
    keys: &mut Keys,
    wanted: &CreateApiKey,
    by: &str,
    sha256: &str,
    now: OffsetDateTime,
) -> Result<KeyHash, AppError> {
    check_name(&wanted.name)?;
    check_description(&wanted.description)?;
    let expires_at = wanted.expires.map(|expiry| end(expiry, now)).transpose()?;
    if find(keys, &wanted.name).is_ok() {
        return Err(AppError::ApiKeyNameTaken(wanted.name.clone()));
    }
    if keys.keys.len() >= KEYS {
        return Err(AppError::Invalid {
            kind: "api_key.too_many",
            message: format!("a cluster has at most {KEYS} API keys: revoke one that is not used any more"),
        });
    }
    let key = KeyHash {
        id: wanted.name.clone(),
        sha256: sha256.to_owned(),
        kind: wanted.kind,
        apis: scope(wanted)?,
        description: wanted.description.clone(),
        created_at: Some(now),
        created_by: Some(by.to_owned()),
        expires_at,
        former: Vec::new(),
    };
    keys.keys.push(key.clone());
    Ok(key)
}

fn scope(wanted: &CreateApiKey) -> Result<Option<Vec<String>>, AppError> {
    let invalid = |message: String| Err(AppError::Invalid { kind: "api_key.bad_scope", message });
    let Some(apis) = &wanted.apis else { return Ok(None) };
    if wanted.kind != ApiKeyKind::Api {
        let kind = wanted.kind.name();
        return invalid(format!(
            "a key of the kind `{kind}` is not for single APIs: name none, or make it one of `api`"
        ));
    }
    if apis.is_empty() {
        return invalid("a key for no API opens nothing: name the APIs, or leave them out for all".to_owned());
    }
    let mut apis = apis.clone();
    apis.sort();
    apis.dedup();
    Ok(Some(apis))
}

fn rotate(
    keys: &mut Keys,
    name: &str,
    how: &RotateApiKey,
    sha256: &str,
    now: OffsetDateTime,
) -> Result<KeyHash, AppError> {
    let until = i64::try_from(how.overlap_seconds).ok().and_then(|seconds| now.checked_add(Duration::seconds(seconds)));
    let until = until.ok_or_else(|| AppError::Invalid {
        kind: "api_key.bad_overlap",
        message: "the overlap is longer than time goes: a day is 24h".to_owned(),
    })?;
    let new_end = how.expires.map(|expiry| end(expiry, now)).transpose()?;
    let key = find_mut(keys, name)?;
    if key.is_expired(now) && new_end.is_none() {
        return Err(AppError::Invalid {
            kind: "api_key.expired",
            message: format!("the API key `{name}` has expired: say until when it is to live, with --expires"),
        });
    }
    let replaced =
        FormerHash { sha256: key.sha256.clone(), expires_at: key.expires_at.map_or(until, |end| end.min(until)) };
    key.former.insert(0, replaced);
    for former in &mut key.former {
        former.expires_at = former.expires_at.min(until);
    }
    key.former.retain(|former| former.expires_at > now);
    if key.former.len() >= VALUES_OF_A_KEY {
        return Err(AppError::Invalid {
            kind: "api_key.too_many_values",
            message: format!(
                "the API key `{name}` has {VALUES_OF_A_KEY} values that are accepted: wait until one ends, or end all \
                 former ones with --overlap 0s"
            ),
        });
    }
    key.sha256 = sha256.to_owned();
    key.expires_at = new_end.or(key.expires_at);
    Ok(key.clone())
}

/// Returns what is no more.
pub(super) fn revoke(keys: &mut Keys, name: &str) -> Result<KeyHash, AppError> {
    let position = keys.keys.iter().position(|key| key.id == name);
    position.map(|position| keys.keys.remove(position)).ok_or_else(|| AppError::NoSuchApiKey(name.to_owned()))
}

pub(super) fn find<'a>(keys: &'a Keys, name: &str) -> Result<&'a KeyHash, AppError> {
    keys.keys.iter().find(|key| key.id == name).ok_or_else(|| AppError::NoSuchApiKey(name.to_owned()))
}

fn find_mut<'a>(keys: &'a mut Keys, name: &str) -> Result<&'a mut KeyHash, AppError> {
    keys.keys.iter_mut().find(|key| key.id == name).ok_or_else(|| AppError::NoSuchApiKey(name.to_owned()))
}

/// Whether an API can be called with it.
pub(super) fn opens_any(key: &KeyHash, now: OffsetDateTime) -> bool {
    key.kind != ApiKeyKind::Monitor && !key.is_expired(now)
}

pub(super) fn opens_all(key: &KeyHash, now: OffsetDateTime) -> bool {
    opens_any(key, now) && key.apis.is_none()
}

fn end(expiry: Expiry, now: OffsetDateTime) -> Result<OffsetDateTime, AppError> {
    expiry.after(now).ok_or_else(|| AppError::Invalid {
        kind: "api_key.bad_expiry",
        message: "a key's end has to be in the future: name a time from now, such as 90d, or a date to come".to_owned(),
    })
}

fn check_name(name: &str) -> Result<(), AppError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = !name.starts_with('-') && !name.ends_with('-');
    if (1..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed) && ends {
        return Ok(());
    }
    Err(AppError::Invalid {
        kind: "api_key.bad_name",
        message: format!(
            "`{name}` is not a name for an API key: use up to {NAME_LENGTH} lower-case letters, digits and dashes, with \
             no dash at either end"
        ),
    })
}

fn check_description(description: &str) -> Result<(), AppError> {
    if description.chars().count() <= DESCRIPTION_LENGTH && !description.chars().any(char::is_control) {
        return Ok(());
    }
    Err(AppError::Invalid {
        kind: "api_key.bad_description",
        message: format!("a description is one line of up to {DESCRIPTION_LENGTH} characters"),
    })
}

#[cfg(test)]
mod tests;
