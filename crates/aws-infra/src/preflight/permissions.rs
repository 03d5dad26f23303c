//! Whether the caller may do what making, changing and removing the cluster takes, by IAM's own simulation.
//!
//! "SimulatePrincipalPolicy", IAM API reference. It knows the caller's policies and boundary and, with conditions that it was
//! given no value for, may say no where AWS would say yes: so what it says is a warning and never a refusal.

use std::collections::BTreeSet;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use futures_util::future::join_all;
use provision::{
    cloud::{CloudError, ErrorKind},
    permissions::{Place, Simulation, need, simulations},
};

use super::{Finding, Subject};
use crate::{Clients, call::missing, classify::iam};

const CHECK: &str = "permissions";
/// IAM answers a few a second.
const AT_ONCE: usize = 6;

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    if subject.plan.is_empty() {
        return Ok(Vec::new());
    }
    let Some(source) = source(clients, &subject.caller.arn).await? else {
        return Ok(vec![Finding::unknown(CHECK, "IAM simulates only users and roles")]);
    };
    let place = Place::new(&subject.caller.partition, &subject.plan.cluster, subject.aws.bucket.as_deref());
    let needed: Vec<Simulation> = simulations(&place).into_iter().filter_map(needed).collect();
    let asked: usize = needed.iter().map(|simulation| simulation.actions.len()).sum();
    let mut all = BTreeSet::new();
    for some in needed.chunks(AT_ONCE) {
        for denied in join_all(some.iter().map(|simulation| denied(clients, &source, simulation))).await {
            all.extend(denied?);
        }
    }
    Ok(vec![finding(asked, &all)])
}

/// Without the actions that only checks need.
fn needed(mut simulation: Simulation) -> Option<Simulation> {
    simulation.actions.retain(|action| need(action).is_some_and(|need| !need.is_optional()));
    (!simulation.actions.is_empty()).then_some(simulation)
}

fn finding(asked: usize, denied: &BTreeSet<String>) -> Finding {
    if denied.is_empty() {
        return Finding::passed(CHECK, format!("IAM's simulation allows all {asked} actions"));
    }
    let listed: Vec<String> = denied
        .iter()
        .map(|action| match need(action) {
            Some(need) => format!("{action} ({need})"),
            None => action.clone(),
        })
        .collect();
    let message = format!("IAM's simulation does not allow {} of {asked} actions: {}", denied.len(), listed.join("; "));
    Finding::warning(CHECK, message).hint(
        "docs/iam has policies that are enough; conditions can mislead the simulation, so you may go on, and where AWS \
         refuses, the same command goes on once the permission is there",
    )
}

/// What is simulated: of a session, its role. `None` for whom nothing can be simulated.
async fn source(clients: &Clients, caller: &str) -> Result<Option<String>, CloudError> {
    let parts: Vec<&str> = caller.splitn(6, ':').collect();
    match parts.get(5).map(|resource| resource.split('/').collect::<Vec<_>>()).as_deref() {
        Some(["user", ..]) => Ok(Some(caller.to_owned())),
        Some(["assumed-role", role, _]) => {
            // The session's ARN leaves out the role's path.
            let reply = clients.iam.get_role().role_name(*role).send().await.map_err(iam)?;
            let role = reply.role.ok_or_else(|| missing("role of the session"))?;
            Ok(Some(role.arn))
        }
        _ => Ok(None),
    }
}

async fn denied(clients: &Clients, source: &str, simulation: &Simulation) -> Result<BTreeSet<String>, CloudError> {
    let mut request = clients
        .iam
        .simulate_principal_policy()
        .policy_source_arn(source)
        .set_action_names(Some(simulation.actions.iter().map(|action| (*action).to_owned()).collect()))
        .set_resource_arns(Some(simulation.resources.clone()));
    for (key, values) in &simulation.context {
        let many = values.len() > 1;
        let entry = ContextEntry::builder()
            .context_key_name(*key)
            .context_key_type(if many { ContextKeyTypeEnum::StringList } else { ContextKeyTypeEnum::String })
            .set_context_key_values(Some(values.clone()))
            .build();
        request = request.context_entries(entry);
    }
    let pages = request.into_paginator().items().send();
    let results = pages.collect::<Result<Vec<_>, _>>().await.map_err(iam)?;
    if results.is_empty() {
        return Err(CloudError::new(ErrorKind::Unavailable, "IAM's simulation had no result"));
    }
    let denied = results.into_iter().filter(|one| one.eval_decision != PolicyEvaluationDecisionType::Allowed);
    Ok(denied.map(|one| one.eval_action_name).collect())
}

#[cfg(test)]
mod tests {
    use provision::cloud::ClusterId;

    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn what_only_checks_need_is_not_asked_for() {
        let cluster = ClusterId { name: "demo".to_owned(), region: "us-east-1".to_owned(), account_id: "1".repeat(12) };
        let all = simulations(&Place::new("aws", &cluster, None));
        let asked: BTreeSet<&str> = all.into_iter().filter_map(needed).flat_map(|one| one.actions).collect();
        assert!(asked.contains("ec2:CreateVpc"), "{asked:?}");
        assert!(!asked.contains("pricing:GetProducts"), "{asked:?}");
    }

    #[test]
    fn every_missing_action_is_listed_with_what_it_is_for() {
        let denied = BTreeSet::from(["ec2:CreateNatGateway".to_owned(), "ec2:CreateVpc".to_owned()]);
        let finding = finding(100, &denied);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.contains("2 of 100"), "{finding:?}");
        assert!(finding.message.contains("ec2:CreateNatGateway (to make nat-gateway); ec2:CreateVpc ("), "{finding:?}");
    }
}
