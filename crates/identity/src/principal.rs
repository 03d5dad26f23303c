//! Callers of the operator and what they may do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sts::{Caller, CallerKind};

/// What a caller may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See APIs, replicas and logs.
    Read,
    /// Deploy and delete APIs.
    Deploy,
    /// Everything, keys included.
    Admin,
}

/// A caller whose identity has been proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// How audit and `deployed by` name the caller: the ARN of an IAM user or role, or `local-admin` for the holder of the
    /// admin token.
    pub name: String,
    /// Tells the caller from everybody who ever had or will have the same name: `account/unique id`.
    pub id: String,
    /// Of an assumed role. Chosen by the caller: for people who read logs, never a reason to allow something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub role: Role,
}

impl Principal {
    /// The holder of a local cluster's admin token.
    pub fn local_admin() -> Self {
        Self { name: "local-admin".to_owned(), id: "local-admin".to_owned(), session: None, role: Role::Admin }
    }

    /// A caller that AWS vouches for.
    pub fn aws(caller: &Caller, role: Role) -> Self {
        let session = match &caller.kind {
            CallerKind::AssumedRole { session, .. } => Some(session.clone()),
            _ => None,
        };
        Self { name: caller.arn(), id: format!("{}/{}", caller.account, caller.unique_id), session, role }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.session.as_ref().map_or(Ok(()), |session| write!(f, " (session {session})"))
    }
}
