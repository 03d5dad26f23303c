//! Whose request this is.

mod access;
mod aws;
mod counted;
mod limiter;
mod nonces;
mod session;
mod sts;

use api::{Access, Endpoint};
use async_trait::async_trait;
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use identity::{Principal, Role, Subject, verify_hash};
use telemetry::{Page, catalogue::operator as families};

pub use access::StateAccess;
pub use aws::AwsAuthenticator;
pub use limiter::{Budget, Budgets};
pub use nonces::StateNonces;
pub(crate) use session::Sessions;
pub use sts::{HttpsSts, InvalidStsEndpoint, StsEndpoint, StsSetupError};

/// Tells who sent a request. Sees everything but the body: the peer's address is among the request's extensions, as
/// [`transport::Peer`].
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// For `WWW-Authenticate`.
    fn scheme(&self) -> &'static str;

    /// Whether the caller may call the endpoint is decided later, from the principal's role.
    async fn authenticate(&self, request: &Parts, endpoint: Endpoint) -> Result<Authenticated, AuthError>;

    /// What of its own there is to tell those who watch the operator.
    fn measure(&self, page: &mut Page) {
        let _ = page.family(&families::STS_CALLS);
    }

    /// What somebody who has proved who it is before may do now.
    async fn judge(&self, subject: &Subject) -> Result<Principal, AuthError>;
}

/// A caller, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    pub principal: Principal,
    pub subject: Subject,
    /// Lower-case hex SHA-256 that the body must have for the proof to hold; `None` if the proof says nothing of it.
    pub content_sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("this request carries no credential: `cortex env configure` sets one up")]
    Missing,
    #[error("the credential of this request is not valid here: `cortex env configure` sets one up")]
    Invalid,
    /// It is not valid, for a reason that its owner can do something about.
    #[error("{0}")]
    Refused(String),
    /// It is valid, and its owner has no business here.
    #[error("{0}")]
    Denied(String),
    #[error("too many requests of unproved identity: wait {retry_after} s")]
    TooMany { retry_after: u32 },
    /// Nobody can say at the moment. Never a reason to let anybody in.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: u32 },
}

/// The role a route asks for; `None` lets everybody in.
pub(crate) fn required_role(access: Access) -> Option<Role> {
    match access {
        Access::Public => None,
        Access::Read => Some(Role::Read),
        Access::Deploy => Some(Role::Deploy),
        Access::Admin => Some(Role::Admin),
    }
}

/// The one `Authorization` header. Two are an error: somebody else in between may have read the other one.
fn authorization(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(AuthError::Missing),
        (Some(value), None) => value.to_str().map_err(|_| AuthError::Invalid),
        (Some(_), Some(_)) => Err(AuthError::Invalid),
    }
}

/// A local cluster's one credential: the token in a file that only its owner can read.
pub struct LocalToken {
    sha256: String,
}

impl LocalToken {
    pub fn new(sha256: String) -> Self {
        Self { sha256 }
    }
}

#[async_trait]
impl Authenticator for LocalToken {
    fn scheme(&self) -> &'static str {
        "Bearer"
    }

    async fn authenticate(&self, request: &Parts, _endpoint: Endpoint) -> Result<Authenticated, AuthError> {
        let presented = authorization(&request.headers)?.strip_prefix("Bearer ").ok_or(AuthError::Invalid)?;
        if !verify_hash(presented, &self.sha256) {
            return Err(AuthError::Invalid);
        }
        let subject = Subject::LocalAdmin;
        Ok(Authenticated { principal: self.judge(&subject).await?, subject, content_sha256: None })
    }

    async fn judge(&self, subject: &Subject) -> Result<Principal, AuthError> {
        match subject {
            Subject::LocalAdmin => Ok(Principal::local_admin()),
            Subject::Aws(_) => Err(AuthError::Invalid),
        }
    }
}
