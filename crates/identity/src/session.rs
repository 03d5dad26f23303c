//! Sessions: what a caller gets for one proof of identity, to read often without asking AWS each time.
//!
//! A token says who it was given to and until when, under a key that only the operators of the cluster have. It says
//! nothing of what its holder may do: that is judged anew at each use. It opens routes that change nothing and tell no secret.
//!
//! Form: `ctxses_<payload>.<MAC>`, both base64url without padding; the payload is JSON, the MAC HMAC-SHA-256 over
//! `cortex-session-v1\n` and the payload as it stands in the token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{Secret, sts::Caller};

/// How long a session lasts.
pub const SESSION_TTL: Duration = Duration::minutes(15);
/// Authentication scheme (RFC 9110, 11.1) of a session token.
pub const SESSION_SCHEME: &str = "Cortex-Session";

const PREFIX: &str = "ctxses_";
const CONTEXT: &[u8] = b"cortex-session-v1\n";
/// Names in it are at most 64 + 512 + 64 characters.
const MAX_TOKEN: usize = 4096;

/// Who holds a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The holder of a local cluster's admin token.
    LocalAdmin,
    Aws(Caller),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    subject: Subject,
    /// Unix time.
    expires_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("this is not a session token of this cluster")]
    Invalid,
    #[error("this session has ended")]
    Ended,
}

/// What sessions of one cluster are made and checked with.
pub struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A token for the subject, and when it ends.
    pub fn issue(&self, subject: Subject, now: OffsetDateTime) -> (Secret, OffsetDateTime) {
        let expires_at = now + SESSION_TTL;
        let payload = Payload { subject, expires_at: expires_at.unix_timestamp() };
        let json = serde_json::to_vec(&payload).expect("it has no maps with other keys than strings");
        let payload = URL_SAFE_NO_PAD.encode(json);
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&payload).finalize().into_bytes());
        (Secret::new(format!("{PREFIX}{payload}.{mac}")), expires_at)
    }

    /// Who holds the token. The MAC is compared in constant time, and before anything of the payload is looked at.
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Result<Subject, SessionError> {
        if token.len() > MAX_TOKEN {
            return Err(SessionError::Invalid);
        }
        let body = token.strip_prefix(PREFIX).ok_or(SessionError::Invalid)?;
        let (payload, mac) = body.split_once('.').ok_or(SessionError::Invalid)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| SessionError::Invalid)?;
        self.mac(payload).verify_slice(&mac).map_err(|_| SessionError::Invalid)?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| SessionError::Invalid)?;
        let payload: Payload = serde_json::from_slice(&json).map_err(|_| SessionError::Invalid)?;
        if payload.expires_at <= now.unix_timestamp() {
            return Err(SessionError::Ended);
        }
        Ok(payload.subject)
    }

    fn mac(&self, payload: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(CONTEXT);
        mac.update(payload.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::{CallerKind, Partition};

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-31 23:59:59 UTC);

    fn alice() -> Subject {
        Subject::Aws(Caller {
            partition: Partition::Aws,
            account: "123456789012".to_owned(),
            unique_id: "AIDAALICE00000000001".to_owned(),
            kind: CallerKind::User { path: "/".to_owned(), name: "alice".to_owned() },
        })
    }

    #[test]
    fn a_session_names_its_holder_until_it_ends() {
        let key = SessionKey::new([7; 32]);
        for subject in [alice(), Subject::LocalAdmin] {
            let (token, expires_at) = key.issue(subject.clone(), NOW);
            assert_eq!(expires_at - NOW, Duration::minutes(15));
            assert_eq!(key.check(token.expose(), NOW), Ok(subject.clone()));
            assert_eq!(key.check(token.expose(), expires_at - Duration::SECOND), Ok(subject));
            assert_eq!(key.check(token.expose(), expires_at), Err(SessionError::Ended));
        }
    }

    #[test]
    fn row_27_a_token_with_any_other_character_is_none() {
        let key = SessionKey::new([7; 32]);
        let (token, _) = key.issue(alice(), NOW);
        for position in 0..token.expose().len() {
            let mut changed = token.expose().as_bytes().to_vec();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("still ASCII");
            assert_eq!(key.check(&changed, NOW), Err(SessionError::Invalid), "at {position}");
        }
        for text in ["", "ctxses_", "ctxses_.", "ctxses_e30.AAAA", &token.expose()[7..], &"A".repeat(5000)] {
            assert_eq!(key.check(text, NOW), Err(SessionError::Invalid), "{text}");
        }
        let longer = format!("{}A", token.expose());
        assert_eq!(key.check(&longer, NOW), Err(SessionError::Invalid));
    }

    #[test]
    fn another_cluster_s_session_is_none() {
        let (token, _) = SessionKey::new([8; 32]).issue(alice(), NOW);
        assert_eq!(SessionKey::new([7; 32]).check(token.expose(), NOW), Err(SessionError::Invalid));
    }
}
