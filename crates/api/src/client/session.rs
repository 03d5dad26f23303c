//! The client's session: taken when it has looked often enough for one to be worth it, and renewed before it ends.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use http::HeaderValue;
use identity::{SESSION_SCHEME, Secret};
use time::{Duration, OffsetDateTime};

use super::{Client, ClientError, Content};
use crate::{endpoint::Endpoint, wire::SessionReply};

/// Looks that are proved one by one.
const PROVED: u32 = 2;
/// A session that ends sooner is not used any more.
const MARGIN: Duration = Duration::seconds(30);

#[derive(Default)]
pub(super) struct Session {
    looks: AtomicU32,
    held: Mutex<Option<(Secret, OffsetDateTime)>>,
}

impl Session {
    /// A token to look with, if there is or should be one.
    pub(super) async fn token(&self, client: &Client) -> Option<Secret> {
        if self.looks.fetch_add(1, Ordering::Relaxed) < PROVED {
            return None;
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, expires_at)) = held
            && expires_at - OffsetDateTime::now_utc() > MARGIN
        {
            return Some(token);
        }
        // Whatever is wrong, the proof that follows will tell.
        let response = client.execute(Endpoint::Session, &[], "", Content::none(), None).await.ok()?;
        let reply: SessionReply = client.document(response).await.ok()?;
        let token = Secret::new(reply.token);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), reply.expires_at));
        Some(token)
    }

    /// The operator does not take it: the next one is asked for when it would have been due.
    pub(super) fn forget(&self, token: &Secret) {
        self.looks.store(0, Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|(held, _)| held == token) {
            *held = None;
        }
    }
}

pub(super) fn header(token: &Secret) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("{SESSION_SCHEME} {}", token.expose()))
        .map_err(|_| ClientError::Credentials("the session token is not text".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
