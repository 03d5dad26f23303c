//! Who may use the operator: from `operator_access` in the cluster's file to what control nodes read.
//!
//! A rule names a user or role, and IAM is asked who that is now: one that gets the same name later is somebody else.

use aws_infra::{Caller, Clients};
use futures_util::future::try_join_all;
use identity::{
    Role,
    sts::{self, Identity, OperatorAccess, OwnRoles},
};
use spec::cluster::{AccessRule, Aws};

use super::account::{self, Account};
use crate::{
    output::say,
    report::{Exit, Failure},
};

/// What the file says, with everybody it names found.
pub async fn resolve(aws: &Aws, account: &Account) -> Result<OperatorAccess, Failure> {
    if aws.operator_access.is_empty() {
        return Ok(OperatorAccess::Account);
    }
    let rules = aws.operator_access.iter().map(|rule| resolved(rule, &account.clients, &account.caller));
    Ok(OperatorAccess::Rules { rules: try_join_all(rules).await? })
}

async fn resolved(rule: &AccessRule, clients: &Clients, caller: &Caller) -> Result<sts::AccessRule, Failure> {
    let principal = &rule.principal;
    let refused = |message: String| Failure::new(Exit::InvalidConfig, "cluster.operator_access", message);
    let here = format!("arn:{}:iam::{}:", caller.partition, caller.account_id);
    if !principal.starts_with(&here) {
        let message =
            format!("`operator_access` names {principal}, and the cluster is of account {}", caller.account_id);
        return Err(refused(message).hint(format!(
            "only users and roles of the cluster's account can use it; let others assume a role of it, and name that: {here}role/..."
        )));
    }
    let unique_id = match principal.ends_with('*') {
        true => None,
        false => {
            let found = aws_infra::unique_id(clients, principal).await.map_err(|error| account::cloud(&error))?;
            let gone = || {
                refused(format!("`operator_access` names {principal}, which does not exist"))
                    .hint("check name and path: `aws iam list-roles`, `aws iam list-users`")
            };
            Some(found.ok_or_else(gone)?)
        }
    };
    let role = match rule.role {
        spec::cluster::Role::Admin => Role::Admin,
        spec::cluster::Role::Deploy => Role::Deploy,
        spec::cluster::Role::Read => Role::Read,
    };
    Ok(sts::AccessRule { principal: principal.clone(), unique_id, role })
}

/// Says so if whoever makes the cluster will not be able to use it.
pub fn warn(access: &OperatorAccess, caller: &Caller) {
    let Caller { account_id, arn, user_id, .. } = caller;
    let identity = Identity { arn: arn.clone(), user_id: user_id.clone(), account: account_id.clone() };
    let Ok(caller) = sts::Caller::read(&identity) else { return };
    match access.role(&caller, &OwnRoles::default()) {
        Ok(Role::Admin) => {}
        Ok(role) => say!("note: you ({caller}) will have the role {role:?} at the operator, by `operator_access`"),
        Err(denied) => say!("note: you will have no access to the operator: {denied}"),
    }
}
