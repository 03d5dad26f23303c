//! Whose request this is.

use api::Access;
use async_trait::async_trait;
use http::{header::AUTHORIZATION, request::Parts};
use identity::{Principal, Role, verify_hash};

/// Tells who sent a request. Sees everything but the body.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    async fn authenticate(&self, request: &Parts) -> Result<Principal, AuthError>;
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("this request carries no credential: `cortex env configure` sets one up")]
    Missing,
    #[error("the credential of this request is not valid here: `cortex env configure` sets one up")]
    Invalid,
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
    async fn authenticate(&self, request: &Parts) -> Result<Principal, AuthError> {
        let mut values = request.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(AuthError::Missing) };
        let presented = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or(AuthError::Invalid)?;
        if verify_hash(presented, &self.sha256) { Ok(Principal::local_admin()) } else { Err(AuthError::Invalid) }
    }
}
