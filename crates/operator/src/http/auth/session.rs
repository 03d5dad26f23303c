//! Session tokens at the door: given for one proof of identity, good for routes that change nothing and tell no secret.

use api::{Access, Endpoint, cluster::SESSION_KEY, wire::SessionReply};
use http::HeaderMap;
use identity::{SESSION_SCHEME, SessionKey, Subject};
use serde::{Deserialize, Serialize};
use state::{State, StateError};
use time::OffsetDateTime;

use super::{AuthError, authorization};

/// The cluster's key for sessions. Secret: only under `private/`.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    /// 64 hex digits.
    key: String,
}

pub(crate) struct Sessions {
    key: SessionKey,
}

impl Sessions {
    /// With the cluster's key, which the first operator makes.
    pub(crate) async fn open(state: &dyn State) -> Result<Self, StateError> {
        let fresh = Record { key: hex::encode(rand::random::<[u8; 32]>()) };
        state::update(state, SESSION_KEY, |present: Option<Record>| present.is_none().then(|| fresh.clone())).await?;
        let damaged = || StateError::Unavailable(format!("{SESSION_KEY} holds no key"));
        let (record, _) = state::read::<Record>(state, SESSION_KEY).await?.ok_or_else(damaged)?;
        let mut key = [0; 32];
        hex::decode_to_slice(&record.key, &mut key).map_err(|_| damaged())?;
        Ok(Self { key: SessionKey::new(key) })
    }

    pub(crate) fn give(&self, subject: Subject) -> SessionReply {
        let (token, expires_at) = self.key.issue(subject, OffsetDateTime::now_utc());
        SessionReply { token: token.expose().to_owned(), expires_at }
    }

    /// Who holds the session that the request comes with; `None` if it comes with none.
    pub(crate) fn holder(&self, headers: &HeaderMap, endpoint: Endpoint) -> Option<Result<Subject, AuthError>> {
        let token = authorization(headers).ok()?.strip_prefix(SESSION_SCHEME)?.strip_prefix(' ')?;
        if endpoint.access() != Access::Read || endpoint.changes() {
            let message = "a session is good for looking only: sign this request itself";
            return Some(Err(AuthError::Refused(message.to_owned())));
        }
        let checked = self.key.check(token, OffsetDateTime::now_utc());
        Some(checked.map_err(|error| AuthError::Refused(error.to_string())))
    }
}
