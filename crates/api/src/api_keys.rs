//! API keys: what clients of deployed APIs prove themselves with. What the gateways need of them, what the operator tells
//! of them, and what it may be asked to do with them.
//!
//! A key has a name, which stays, and values, which come and go: rotating adds a value, and the former one goes on being
//! accepted for a while. Values are below `private/` and nowhere else; everybody else knows their SHA-256.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::openapi::Moment;

/// State key of the [`KeyUsage`] document.
pub const KEY_USAGE_KEY: &str = "key-usage.json";
/// All values are documents with this prefix.
pub const VALUES_PREFIX: &str = "private/api-keys/";

/// State key of a value, as an [`ApiKeyRecord`](crate::cluster::ApiKeyRecord). That of the key made with the cluster may
/// also be at [`DEFAULT_API_KEY_KEY`](crate::cluster::DEFAULT_API_KEY_KEY).
pub fn value_key(sha256: &str) -> String {
    format!("{VALUES_PREFIX}{sha256}.json")
}

/// What a key opens, at the gateways. None opens the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyKind {
    /// All APIs, and what `monitor` opens.
    Admin,
    /// APIs: all of them, or those it is for.
    #[default]
    Api,
    /// What the gateways tell of themselves to those who watch them. No API.
    Monitor,
}

impl ApiKeyKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Api => "api",
            Self::Monitor => "monitor",
        }
    }
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Seconds from now, by the operator's clock.
    In(u64),
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    At(OffsetDateTime),
}

impl Expiry {
    /// `None` if it is not after `now`, or in no year that can be written.
    pub fn after(self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let end = match self {
            Self::In(seconds) => now.checked_add(Duration::seconds(i64::try_from(seconds).ok()?))?,
            Self::At(end) => end,
        };
        (end > now).then_some(end)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    pub name: String,
    #[serde(default)]
    pub kind: ApiKeyKind,
    /// Names of APIs, for the kind `api` only; absent: all, those to come included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<String>>,
    #[serde(default)]
    pub description: String,
    /// Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// How much longer the values there are will be accepted.
    pub overlap_seconds: u64,
    /// A new end for the key; absent: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
}

/// One key, without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyInfo {
    pub name: String,
    pub kind: ApiKeyKind,
    /// The APIs it is for; absent: all that its kind opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<String>>,
    #[serde(default)]
    pub description: String,
    /// Absent for a key older than this record of it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Moment>")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Moment>")]
    pub expires_at: Option<OffsetDateTime>,
    pub expired: bool,
    /// Of the present value, to about a minute.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Moment>")]
    pub last_used_at: Option<OffsetDateTime>,
    /// Values that a rotation has replaced and that are still accepted, newest first.
    #[serde(default)]
    pub former: Vec<FormerValue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FormerValue {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub accepted_until: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Moment>")]
    pub last_used_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyList {
    pub keys: Vec<ApiKeyInfo>,
}

/// A key with its present value; goes to the administrator who asked for it and nowhere else.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyValue {
    #[serde(flatten)]
    pub key: ApiKeyInfo,
    pub api_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokedApiKey {
    pub name: String,
    /// Keys that still open an API.
    pub keys_left: usize,
}

/// When each value was last used: Unix time in seconds by the value's SHA-256. Written by the gateways, each adding what
/// it knows better.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyUsage {
    pub used: BTreeMap<String, u64>,
}

impl KeyUsage {
    /// Takes over what is later. Whether anything was.
    pub fn merge(&mut self, seen: &BTreeMap<String, u64>) -> bool {
        let mut news = false;
        for (sha256, &at) in seen {
            let known = self.used.entry(sha256.clone()).or_default();
            news |= at > *known;
            *known = at.max(*known);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_in_the_future_or_none() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        assert_eq!(Expiry::In(60).after(now), Some(now + Duration::MINUTE));
        assert_eq!(Expiry::At(now + Duration::SECOND).after(now), Some(now + Duration::SECOND));
        for past in [Expiry::In(0), Expiry::At(now), Expiry::In(u64::MAX), Expiry::In(1 << 60)] {
            assert_eq!(past.after(now), None, "{past:?}");
        }
    }

    #[test]
    fn the_latest_use_that_any_gateway_saw_remains() {
        let seen = |pairs: &[(&str, u64)]| pairs.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect();
        let mut usage = KeyUsage::default();
        assert!(usage.merge(&seen(&[("a", 5), ("b", 7)])));
        assert!(usage.merge(&seen(&[("a", 9), ("b", 3)])));
        assert!(!usage.merge(&seen(&[("a", 2), ("b", 7)])));
        assert_eq!(usage.used, seen(&[("a", 9), ("b", 7)]));
    }
}
