//! The policies that replicas are to have, besides the cluster's own.

use futures_util::future::join_all;
use provision::{cloud::CloudError, plan::Choice, resource::Kind};

use super::{Finding, Subject, unknown};
use crate::{
    Clients,
    classify::{iam, present},
};

const CHECK: &str = "policy of replicas";

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let mut roles = subject.plan.entries.iter().filter(|entry| entry.kind == Kind::Role);
    let changes = roles.any(|entry| entry.choice != Choice::Keep);
    if !changes {
        return Ok(Vec::new());
    }
    let looks = subject.aws.iam_policy_arns.iter().map(|arn| async move {
        let reply = clients.iam.get_policy().policy_arn(arn).send().await.map_err(iam);
        match present(reply) {
            Ok(Some(_)) => Finding::passed(CHECK, arn.clone()),
            Ok(None) => Finding::refused(CHECK, format!("there is no policy {arn}"))
                .hint("correct `iam_policy_arns`; `aws iam list-policies` shows what there is"),
            Err(error) => unknown(format!("{CHECK}: {arn}"), &error),
        }
    });
    Ok(join_all(looks).await)
}
