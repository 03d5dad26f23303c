//! What a proved identity may do on the public routes. The one place that decides it.
//!
//! Without rules, as in the old product: every IAM user and role of the account is an administrator. What has no access
//! however the cluster is set up: the account's root (whose keys should not exist), federated users, and the roles that the
//! cluster itself runs with. Without the last rule, whoever gets code to run on a worker or steals a node's credentials
//! from its metadata endpoint would own the control plane.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

/// Who may use the operator, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum OperatorAccess {
    /// Every IAM user and role of the account is an administrator.
    Account,
    /// The first rule that matches decides; whom none matches has no access.
    Rules { rules: Vec<AccessRule> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// The ARN of an IAM user or role, or the beginning of one and a `*`.
    pub principal: String,
    /// Of the user or role that had this ARN when the rule was written. Another one that was given the same name
    /// later is somebody else, and the rule does not speak of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    pub role: Role,
}

/// How far a rule speaks of a caller.
enum Match {
    No,
    /// The name is the same, and the user or role is another.
    Namesake,
    Yes,
}

impl AccessRule {
    fn matches(&self, caller: &Caller) -> Match {
        let arn = caller.arn();
        if let Some(beginning) = self.principal.strip_suffix('*') {
            return if arn.starts_with(beginning) { Match::Yes } else { Match::No };
        }
        if !names(&self.principal, &caller.kind, &arn) {
            return Match::No;
        }
        match &self.unique_id {
            Some(id) if *id != caller.unique_id => Match::Namesake,
            _ => Match::Yes,
        }
    }
}

/// Whether the principal is the caller. Of a role with a path, the name alone is compared: STS does not tell the path, and
/// no two roles of an account differ in nothing else.
fn names(principal: &str, kind: &CallerKind, arn: &str) -> bool {
    let written = match kind {
        CallerKind::AssumedRole { .. } => principal.split_once(":role/").map(|(account, path)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            format!("{account}:role/{name}")
        }),
        _ => None,
    };
    written.as_deref().unwrap_or(principal) == arn
}

/// Tells what the rules are, at this moment: asked for every request.
#[async_trait]
pub trait AccessSource: Send + Sync + 'static {
    /// The error says why nobody knows; then nobody is let in.
    async fn access(&self) -> Result<OperatorAccess, String>;
}

/// For a cluster without rules.
pub struct WholeAccount;

#[async_trait]
impl AccessSource for WholeAccount {
    async fn access(&self) -> Result<OperatorAccess, String> {
        Ok(OperatorAccess::Account)
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
    #[error("{0} has no access here: no rule of `operator_access` in the cluster's file names it")]
    NoRule(String),
    #[error(
        "{0} was made anew since a rule of `operator_access` named it, and is somebody else: `cortex cluster update` \
         writes the rules anew"
    )]
    Namesake(String),
}

impl OperatorAccess {
    /// The role of a caller that is known to be of the cluster's account.
    pub fn role(&self, caller: &Caller, own: &OwnRoles) -> Result<Role, Denied> {
        match &caller.kind {
            CallerKind::Root => return Err(Denied::Root),
            CallerKind::FederatedUser { .. } => return Err(Denied::Federated(caller.arn())),
            CallerKind::AssumedRole { role, .. } if own.contain(caller, role) => {
                return Err(Denied::OwnRole(caller.arn()));
            }
            CallerKind::User { .. } | CallerKind::AssumedRole { .. } => {}
        }
        let rules = match self {
            Self::Account => return Ok(Role::Admin),
            Self::Rules { rules } => rules,
        };
        let mut namesake = false;
        for rule in rules {
            match rule.matches(caller) {
                Match::Yes => return Ok(rule.role),
                Match::Namesake => namesake = true,
                Match::No => {}
            }
        }
        Err(if namesake { Denied::Namesake(caller.arn()) } else { Denied::NoRule(caller.arn()) })
    }
}
