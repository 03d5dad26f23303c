//! The verifier: from a token and the request it came with to a principal.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::{
    AccessSource, Caller, CallerError, ClusterId, Denied, MAX_AGE, MAX_AHEAD, NonceError, Nonces, OperatorRequest,
    OwnRoles, Partition, Region, ReplyError, StsRefusal, StsRequest, StsTransport, Token, TransportError, UsedNonce,
    WholeAccount, read_reply,
    request::{Binding, format_date},
};
use crate::Principal;

/// How much longer than its age allows a nonce is remembered: STS takes its time between the check of the age and the
/// record, and the clocks of two operators differ.
const SLACK: Duration = Duration::minutes(1);

/// What a verifier knows by itself.
#[derive(Debug, Clone)]
pub struct Trust {
    pub partition: Partition,
    /// The cluster's account, 12 digits: the only one whose callers are let in.
    pub account: String,
    pub cluster: ClusterId,
    /// Whose STS may be asked; as a rule the cluster's own region alone.
    pub regions: Vec<Region>,
    pub own_roles: OwnRoles,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Tells something.
    Read,
    /// Changes something, or tells a secret: its replay is refused by all operators of the cluster together.
    Change,
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("this was signed for the region {signed}; sign for {expected}")]
    Region { signed: Region, expected: String },
    #[error("this was signed {seconds} s ago, more than {} s: check this machine's clock", MAX_AGE.whole_seconds())]
    TooOld { seconds: i64 },
    #[error("this was signed {seconds} s in the future: check this machine's clock")]
    Future { seconds: i64 },
    #[error(transparent)]
    Refused(StsRefusal),
    #[error("this request has been sent before; every request needs a signature of its own")]
    Replayed,
    #[error("{caller} is not of this cluster's AWS account")]
    OtherAccount { caller: String },
    /// STS vouches for an identity of a kind that has no place here.
    #[error("this AWS identity cannot be let in: {0}")]
    Unknown(CallerError),
    #[error(transparent)]
    Denied(Denied),
    #[error("too many requests in a short time: wait a little")]
    TooMany,
    /// Nobody can be let in at the moment.
    #[error("{0}; try again")]
    Unavailable(String),
}

/// Verifies requests to the operator of one cluster.
pub struct Verifier {
    trust: Trust,
    sts: Arc<dyn StsTransport>,
    reads: Arc<dyn Nonces>,
    changes: Arc<dyn Nonces>,
    access: Arc<dyn AccessSource>,
}

/// A caller, proved, and what it may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub caller: Caller,
    pub principal: Principal,
}

impl Verifier {
    /// `reads` remembers the nonces of requests that change nothing, `changes` those of all others; the latter must be shared
    /// by all operators of the cluster.
    pub fn new(trust: Trust, sts: Arc<dyn StsTransport>, reads: Arc<dyn Nonces>, changes: Arc<dyn Nonces>) -> Self {
        Self { trust, sts, reads, changes, access: Arc::new(WholeAccount) }
    }

    /// The same, for a cluster with rules of its own.
    #[must_use]
    pub fn ruled_by(self, access: Arc<dyn AccessSource>) -> Self {
        Self { access, ..self }
    }

    /// What can be judged without asking anybody.
    pub fn check(&self, token: &Token, now: OffsetDateTime) -> Result<(), VerifyError> {
        if !self.trust.regions.contains(&token.region) || token.region.partition() != self.trust.partition {
            let expected = self.trust.regions.iter().map(|region| region.name()).collect::<Vec<_>>().join(" or ");
            return Err(VerifyError::Region { signed: token.region, expected });
        }
        let age = now - token.signed_at;
        if age > MAX_AGE {
            return Err(VerifyError::TooOld { seconds: age.whole_seconds() });
        }
        if -age > MAX_AHEAD {
            return Err(VerifyError::Future { seconds: -age.whole_seconds() });
        }
        Ok(())
    }

    /// Who sent this request. Asks STS once, and makes sure that the same proof is not accepted again.
    pub async fn verify(
        &self,
        token: &Token,
        request: &OperatorRequest<'_>,
        effect: Effect,
        now: OffsetDateTime,
    ) -> Result<Verified, VerifyError> {
        self.check(token, now)?;
        let reply = self.sts.send(&self.rebuild(token, request)).await?;
        let caller = Caller::read(&read_reply(&reply)?).map_err(VerifyError::Unknown)?;
        let principal = self.judge(&caller).await?;
        let nonces = match effect {
            Effect::Read => &self.reads,
            Effect::Change => &self.changes,
        };
        nonces.record(&used(token, &caller, now)).await?;
        Ok(Verified { caller, principal })
    }

    /// What a proved caller may do, by the rules of this moment.
    pub async fn judge(&self, caller: &Caller) -> Result<Principal, VerifyError> {
        if caller.account != self.trust.account || caller.partition != self.trust.partition {
            return Err(VerifyError::OtherAccount { caller: caller.arn() });
        }
        let access = self.access.access().await.map_err(VerifyError::Unavailable)?;
        let role = access.role(caller, &self.trust.own_roles).map_err(VerifyError::Denied)?;
        Ok(Principal::aws(caller, role))
    }

    /// The request that must have been signed: everything but the token's own fields is ours.
    fn rebuild(&self, token: &Token, request: &OperatorRequest<'_>) -> StsRequest {
        let binding = Binding {
            region: token.region,
            date: &format_date(token.signed_at),
            session_token: token.session_token.as_ref().map(crate::Secret::expose),
            cluster: &self.trust.cluster,
            nonce: &token.nonce,
            request: &request.digest(),
        };
        binding.with_signature(&token.access_key_id, token.signature.expose())
    }
}

fn used(token: &Token, caller: &Caller, now: OffsetDateTime) -> UsedNonce {
    let named = format!("{}/{}/{}", caller.account, caller.unique_id, token.nonce.as_str());
    UsedNonce {
        id: hex::encode(Sha256::digest(named)),
        signed_at: token.signed_at,
        expires_at: token.signed_at + MAX_AGE + SLACK,
        now,
    }
}

impl From<TransportError> for VerifyError {
    fn from(error: TransportError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<ReplyError> for VerifyError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<NonceError> for VerifyError {
    fn from(error: NonceError) -> Self {
        match error {
            NonceError::Replayed => Self::Replayed,
            NonceError::Full => Self::TooMany,
            NonceError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}
