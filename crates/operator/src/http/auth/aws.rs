//! Callers who prove by AWS STS who they are. The protocol is in [`identity::sts`]; here it meets HTTP, the clock, the
//! limits and the logs.
//!
//! In this order, so that the cheap comes before the dear: the form of the token and of the headers it covers, region and
//! age, the limits, STS, account and role, the nonce.

use std::{sync::Arc, time::Instant};

use api::{Access, Endpoint};
use async_trait::async_trait;
use http::{HeaderMap, HeaderName, header::CONTENT_TYPE, request::Parts};
use identity::{
    Principal, Subject,
    sts::{
        AccessSource, CONTENT_SHA256, Effect, MemoryNonces, OperatorRequest, SCHEME, StsTransport, Token, Trust,
        Verified, Verifier, VerifyError,
    },
};
use state::State;
use telemetry::Page;
use time::OffsetDateTime;
use transport::Peer;

use super::{
    AuthError, Authenticated, Authenticator, StateNonces, authorization,
    counted::CountedSts,
    limiter::{Budgets, Limiter},
};

/// Reads of the last six minutes that are remembered. At about 150 bytes each, 15 MB.
const REMEMBERED_READS: usize = 100_000;
/// When to ask again after STS did not answer.
const RETRY_AFTER: u32 = 2;

/// Lets STS say who signed a request.
pub struct AwsAuthenticator {
    verifier: Verifier,
    limiter: Limiter,
    sts: Arc<CountedSts>,
}

impl AwsAuthenticator {
    /// `state` is the cluster's own, shared by all its operators: there the nonces of changes are kept.
    pub fn new(trust: Trust, sts: Arc<dyn StsTransport>, state: Arc<dyn State>, budgets: Budgets) -> Self {
        let reads = Arc::new(MemoryNonces::new(REMEMBERED_READS));
        let sts = Arc::new(CountedSts::of(sts));
        let transport = Arc::clone(&sts) as Arc<dyn StsTransport>;
        let verifier = Verifier::new(trust, transport, reads, Arc::new(StateNonces::new(state)));
        Self { verifier, limiter: Limiter::new(budgets), sts }
    }

    /// The same, for a cluster with rules of its own.
    #[must_use]
    pub fn ruled_by(self, access: Arc<dyn AccessSource>) -> Self {
        Self { verifier: self.verifier.ruled_by(access), ..self }
    }

    async fn verify(
        &self,
        token: &Token,
        request: &OperatorRequest<'_>,
        endpoint: Endpoint,
        peer: Peer,
    ) -> Result<Verified, AuthError> {
        let now = OffsetDateTime::now_utc();
        self.verifier.check(token, now)?;
        let permit = self
            .limiter
            .admit(peer, token.access_key_id(), Instant::now())
            .map_err(|retry_after| AuthError::TooMany { retry_after })?;
        let verified = self.verifier.verify(token, request, effect(endpoint), now).await?;
        permit.give_back(Instant::now());
        Ok(verified)
    }
}

#[async_trait]
impl Authenticator for AwsAuthenticator {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    async fn authenticate(&self, request: &Parts, endpoint: Endpoint) -> Result<Authenticated, AuthError> {
        let token = Token::parse(authorization(&request.headers)?)
            .map_err(|error| AuthError::Refused(format!("this credential is not valid here: {error}")))?;
        let content_sha256 = single(&request.headers, &HeaderName::from_static(CONTENT_SHA256))?
            .filter(|text| is_sha256(text))
            .ok_or_else(|| AuthError::Refused(format!("`{CONTENT_SHA256}` is missing or is not a SHA-256 in hex")))?;
        let signed = OperatorRequest {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query(),
            content_type: single(&request.headers, &CONTENT_TYPE)?,
            content_sha256,
        };
        // Without an address there is nothing to limit by.
        let peer = *request.extensions.get::<Peer>().ok_or(AuthError::Invalid)?;
        match self.verify(&token, &signed, endpoint, peer).await {
            Ok(Verified { principal, caller }) => Ok(Authenticated {
                principal,
                subject: Subject::Aws(caller),
                content_sha256: Some(content_sha256.to_owned()),
            }),
            Err(error) => {
                tracing::info!(%peer, access_key_id = token.access_key_id(), %error, "a caller was refused");
                Err(error)
            }
        }
    }

    fn measure(&self, page: &mut Page) {
        self.sts.measure(page);
    }

    async fn judge(&self, subject: &Subject) -> Result<Principal, AuthError> {
        match subject {
            Subject::Aws(caller) => Ok(self.verifier.judge(caller).await?),
            Subject::LocalAdmin => Err(AuthError::Invalid),
        }
    }
}

/// A secret told twice is as bad as a change made twice.
fn effect(endpoint: Endpoint) -> Effect {
    if endpoint.changes() || endpoint.access() == Access::Admin { Effect::Change } else { Effect::Read }
}

/// The header's value, if it is there at all; two of it are an error.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    let text = value.map(|value| value.to_str()).transpose();
    match (text, values.next()) {
        (Ok(text), None) => Ok(text),
        _ => Err(AuthError::Refused(format!("`{name}` is there twice, or is not text"))),
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl From<VerifyError> for AuthError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::OtherAccount { .. } | VerifyError::Unknown(_) | VerifyError::Denied(_) => {
                Self::Denied(error.to_string())
            }
            VerifyError::TooMany => Self::TooMany { retry_after: RETRY_AFTER },
            VerifyError::Unavailable(_) => Self::Unavailable { reason: error.to_string(), retry_after: RETRY_AFTER },
            VerifyError::Region { .. }
            | VerifyError::TooOld { .. }
            | VerifyError::Future { .. }
            | VerifyError::Refused(_)
            | VerifyError::Replayed => Self::Refused(error.to_string()),
        }
    }
}
