//! Who STS says the caller is: its three facts, checked against each other.
//!
//! ARN and unique id say the same in two ways, so each is held against the other; whatever kind of identity is not known here
//! is refused. Formats: "IAM identifiers" and "GetCallerIdentity" in the IAM user guide and STS API reference.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Identity, Partition};

/// An identity of AWS, proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub partition: Partition,
    /// 12 digits.
    pub account: String,
    /// Never used again, not even when a user or role of the same name is made anew: `AIDA...` of a user, `AROA...` of a
    /// role, the account of its root, `account:name` of a federated user.
    pub unique_id: String,
    pub kind: CallerKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// The account itself.
    Root,
    User {
        /// `/` or `/division/team/`.
        path: String,
        name: String,
    },
    /// STS leaves out a role's path.
    AssumedRole {
        role: String,
        /// Chosen by whoever assumed the role: never a reason to let somebody do something.
        session: String,
    },
    FederatedUser {
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    #[error("its account is not 12 digits")]
    Account,
    #[error("its ARN is not that of an IAM user, an assumed role, a federated user or a root")]
    Arn,
    #[error("its ARN is of another account than its account")]
    AccountsDiffer,
    #[error("its unique id does not fit its ARN")]
    UniqueId,
}

impl Caller {
    pub fn read(identity: &Identity) -> Result<Self, CallerError> {
        let account = identity.account.as_str();
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CallerError::Account);
        }
        let mut parts = identity.arn.splitn(6, ':');
        let mut part = || parts.next().ok_or(CallerError::Arn);
        let (arn, partition, service, region, of) = (part()?, part()?, part()?, part()?, part()?);
        let resource = part()?;
        let partition = Partition::named(partition).ok_or(CallerError::Arn)?;
        if arn != "arn" || !region.is_empty() {
            return Err(CallerError::Arn);
        }
        if of != account {
            return Err(CallerError::AccountsDiffer);
        }
        let kind = kind(service, resource).ok_or(CallerError::Arn)?;
        let unique_id = unique_id(&kind, account, &identity.user_id).ok_or(CallerError::UniqueId)?;
        Ok(Self { partition, account: account.to_owned(), unique_id: unique_id.to_owned(), kind })
    }

    /// The ARN of the user or role itself. A role's path is not in it, since STS does not tell it; role names are unique
    /// within an account without their path.
    pub fn arn(&self) -> String {
        let Self { partition, account, .. } = self;
        match &self.kind {
            CallerKind::Root => format!("arn:{partition}:iam::{account}:root"),
            CallerKind::User { path, name } => format!("arn:{partition}:iam::{account}:user{path}{name}"),
            CallerKind::AssumedRole { role, .. } => format!("arn:{partition}:iam::{account}:role/{role}"),
            CallerKind::FederatedUser { name } => format!("arn:{partition}:sts::{account}:federated-user/{name}"),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())
    }
}

fn kind(service: &str, resource: &str) -> Option<CallerKind> {
    if (service, resource) == ("iam", "root") {
        return Some(CallerKind::Root);
    }
    let (kind, rest) = resource.split_once('/')?;
    match (service, kind) {
        ("iam", "user") => {
            let (path, name) = rest.rsplit_once('/').map_or(("", rest), |(path, name)| (path, name));
            let path_ok = rest == name || path.split('/').all(is_path_segment);
            let path = if rest == name { "/".to_owned() } else { format!("/{path}/") };
            (path_ok && is_name(name, 64)).then(|| CallerKind::User { path, name: name.to_owned() })
        }
        ("sts", "assumed-role") => {
            let (role, session) = rest.split_once('/')?;
            let ok = is_name(role, 64) && session.len() >= 2 && is_name(session, 64);
            ok.then(|| CallerKind::AssumedRole { role: role.to_owned(), session: session.to_owned() })
        }
        ("sts", "federated-user") => {
            (rest.len() >= 2 && is_name(rest, 32)).then(|| CallerKind::FederatedUser { name: rest.to_owned() })
        }
        _ => None,
    }
}

/// The part of the user id that stays the same from session to session.
fn unique_id<'a>(kind: &CallerKind, account: &str, user_id: &'a str) -> Option<&'a str> {
    match kind {
        CallerKind::Root => (user_id == account).then_some(user_id),
        CallerKind::User { .. } => is_id(user_id, "AIDA").then_some(user_id),
        CallerKind::AssumedRole { session, .. } => {
            let (id, of) = user_id.split_once(':')?;
            (of == session && is_id(id, "AROA")).then_some(id)
        }
        CallerKind::FederatedUser { name } => {
            let (of, federated) = user_id.split_once(':')?;
            (of == account && federated == name).then_some(user_id)
        }
    }
}

/// "Understanding unique ID prefixes" and `idType` (16 to 128 characters), IAM.
fn is_id(text: &str, prefix: &str) -> bool {
    (16..=128).contains(&text.len())
        && text.starts_with(prefix)
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// `userNameType`, `roleNameType`, `roleSessionNameType`: letters, digits and `_+=,.@-`.
fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// IAM takes any printable ASCII in a path; what means something in an ARN pattern, in XML or to a shell is not let
/// through.
fn is_path_segment(text: &str) -> bool {
    (1..=512).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?:\"'<>&\\`".contains(&byte))
}
