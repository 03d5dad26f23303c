//! What a proved identity may do on the public routes. The one place that decides it.
//!
//! The default is the old product's: every IAM user and role of the account is an administrator. What has no access however
//! the cluster is set up: the account's root (whose keys should not exist), federated users, and the roles that the cluster
//! itself runs with. Without the last rule, whoever gets code to run on a worker or steals a node's credentials
//! from its metadata endpoint would own the control plane.

use super::{Caller, CallerKind};
use crate::Role;

/// The roles that the cluster's own machines and tasks run with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnRoles {
    /// Every role of the account whose name begins with one of these.
    pub prefixes: Vec<String>,
    /// These roles, whatever their name; of ARNs with a path, the name is what counts, as STS does not tell paths.
    pub arns: Vec<String>,
}

impl OwnRoles {
    fn contain(&self, caller: &Caller, role: &str) -> bool {
        let of_arn = |arn: &String| {
            let name = arn.rsplit('/').next().unwrap_or_default();
            arn.starts_with(&format!("arn:{}:iam::{}:role/", caller.partition, caller.account)) && name == role
        };
        self.prefixes.iter().any(|prefix| role.starts_with(prefix.as_str())) || self.arns.iter().any(of_arn)
    }
}

/// A proved identity without a role here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this is the root of the account, which has no access here: use an IAM user or role")]
    Root,
    #[error("{0} is a federated user, which has no access here: use an IAM user or role")]
    Federated(String),
    #[error("{0} is a role of the cluster's own machines, which has no access here: use another user or role")]
    OwnRole(String),
}

/// The role of a caller that is known to be of the cluster's account.
pub(super) fn role(caller: &Caller, own: &OwnRoles) -> Result<Role, Denied> {
    match &caller.kind {
        CallerKind::Root => Err(Denied::Root),
        CallerKind::FederatedUser { .. } => Err(Denied::Federated(caller.arn())),
        CallerKind::AssumedRole { role, .. } if own.contain(caller, role) => Err(Denied::OwnRole(caller.arn())),
        CallerKind::User { .. } | CallerKind::AssumedRole { .. } => Ok(Role::Admin),
    }
}
