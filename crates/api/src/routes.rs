//! `routes.json` and `keys.json`: everything a gateway needs to serve, written by the operators.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use spec::realtime::Networking;
use time::OffsetDateTime;
use transport::Address;

use crate::{api_keys::ApiKeyKind, cors::CorsSettings};

/// State key of the [`Routes`] document.
pub const ROUTES_KEY: &str = "routes.json";
/// State key of the [`Keys`] document.
pub const KEYS_KEY: &str = "keys.json";
/// How long a request may take to be answered, where the API does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the gateways serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    pub apis: Vec<ApiRoute>,
    /// Which pages may call. Copied from [`CORS_KEY`](crate::cors::CORS_KEY).
    #[serde(default, skip_serializing_if = "CorsSettings::is_empty")]
    pub cors: CorsSettings,
    /// By API and version: the [generation](crate::wire::Deployed::generation) that the version's replicas are known by, the
    /// newest if there were several that changed no replica.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub generations: BTreeMap<String, BTreeMap<String, u64>>,
}

/// One API. It stays listed while it has no replica, so that a gateway can tell "not ready" from "no such API".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRoute {
    pub name: String,
    /// Path prefix, matched at whole segments, longest first, and cut off before forwarding.
    pub endpoint: String,
    /// Replicas that may get requests now, in no particular order.
    pub replicas: Vec<ReplicaRoute>,
    /// What each gateway lets through to it.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// Of one API at one gateway. What is absent is left to the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds to the head of a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Requests that wait while so many are in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queue_length: Option<u32>,
}

impl From<&Networking> for Limits {
    fn from(networking: &Networking) -> Self {
        let Networking { timeout, max_in_flight, max_queue_length, .. } = *networking;
        Self { timeout_s: timeout, max_in_flight, max_queue_length }
    }
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRoute {
    pub id: String,
    pub version: String,
    pub address: Address,
}

/// The API keys that gateways accept, as SHA-256 hashes: a key has 256 random bits, so a plain hash gives nothing away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub keys: Vec<KeyHash>,
}

/// One key. Everything but the first two fields may be missing: then it is older than they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHash {
    /// Its name.
    pub id: String,
    /// Lower-case hex SHA-256 of the whole key as the client sends it.
    pub sha256: String,
    #[serde(default)]
    pub kind: ApiKeyKind,
    /// Names of the APIs it opens; absent: all that its kind opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// From then on none of its values is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Values that were replaced and are accepted for a while, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerHash>,
}

/// A value that a rotation has replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerHash {
    pub sha256: String,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl KeyHash {
    /// Every value with the end of its acceptance, the present one first.
    pub fn values(&self) -> impl Iterator<Item = (&str, Option<OffsetDateTime>)> {
        let former = self.former.iter().map(|former| (&*former.sha256, Some(former.expires_at)));
        std::iter::once((&*self.sha256, self.expires_at)).chain(former)
    }

    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_without_limits_is_written_as_before_there_were_any() {
        let text = r#"{"name":"iris","endpoint":"/iris","replicas":[]}"#;
        let api: ApiRoute = serde_json::from_str(text).expect("it reads");
        assert_eq!(api.limits, Limits::default());
        assert_eq!(serde_json::to_string(&api).expect("it is written"), text);
    }

    #[test]
    fn a_key_of_the_first_form_is_one_for_all_apis_and_for_ever() {
        let text = r#"{"keys":[{"id":"default","sha256":"00"}]}"#;
        let keys: Keys = serde_json::from_str(text).expect("it reads");
        let [key] = &keys.keys[..] else { panic!("{keys:?}") };
        assert_eq!((key.kind, &key.apis, key.expires_at), (ApiKeyKind::Api, &None, None));
        assert!(!key.is_expired(OffsetDateTime::now_utc()));
        assert_eq!(key.values().collect::<Vec<_>>(), [("00", None)]);
    }
}
