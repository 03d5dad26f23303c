//! What can be found out before anything costs money: one burst of questions, all at once.
//!
//! Only what a plan is about to do is asked for. A question that may not be put, or gets no answer, is answered "unknown":
//! it never passes for a yes, and never keeps anybody from going on.

mod certificate;
mod machines;
mod names;
mod network;
mod permissions;
mod policies;
mod quotas;
mod usage;

use std::time::Duration;

use provision::{
    cloud::{CloudError, ErrorKind},
    plan::{Choice, Entry, Plan},
    resource::Kind,
};
use serde::Serialize;
use spec::cluster::Aws;

use crate::{Caller, Clients};

/// For each check, its retries included.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In a few words: `quota: VPCs per Region`.
    pub check: String,
    pub verdict: Verdict,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Passed,
    /// Nobody could tell.
    Unknown,
    /// It can go on, and should be known.
    Warning,
    /// It would fail.
    Refused,
}

impl Finding {
    fn new(check: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { check: check.into(), verdict, message: message.into(), hint: None }
    }

    fn passed(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Passed, message)
    }

    fn unknown(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Unknown, message)
    }

    fn warning(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, message)
    }

    fn refused(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Refused, message)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What is checked.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub caller: &'a Caller,
    pub aws: &'a Aws,
    pub plan: &'a Plan,
}

impl Subject<'_> {
    /// What the plan makes of one kind.
    fn created(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.plan.entries.iter().filter(move |entry| entry.kind == kind && entry.choice == Choice::Create)
    }

    fn creates(&self, kind: Kind) -> bool {
        self.created(kind).next().is_some()
    }
}

/// Everything that can be said about a plan; the worst first.
pub async fn preflight(clients: &Clients, subject: Subject<'_>) -> Vec<Finding> {
    let clients = &clients.patient();
    let mut findings = vec![caller(subject.caller)];
    let answers = futures_util::future::join_all([
        check("quotas", Box::pin(quotas::check(clients, subject))),
        check("instance types", Box::pin(machines::check(clients, subject))),
        check("certificate", Box::pin(certificate::check(clients, subject))),
        check("network", Box::pin(network::check(clients, subject))),
        check("names", Box::pin(names::check(clients, subject))),
        check("policies of replicas", Box::pin(policies::check(clients, subject))),
        check("permissions", Box::pin(permissions::check(clients, subject))),
    ]);
    findings.extend(answers.await.into_iter().flatten());
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    findings
}

type Looking<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Vec<Finding>, CloudError>> + Send + 'a>>;

async fn check(what: &str, looking: Looking<'_>) -> Vec<Finding> {
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![unknown(what, &error)],
        Err(_) => {
            vec![Finding::unknown(what, format!("AWS did not answer within {} seconds", PATIENCE.as_secs()))]
        }
    }
}

/// Nobody could tell, because of this.
fn unknown(what: impl Into<String>, error: &CloudError) -> Finding {
    match &error.kind {
        ErrorKind::Denied { action } => {
            Finding::unknown(what, format!("not checked, for these credentials may not do {action}"))
        }
        _ => Finding::unknown(what, format!("not checked: {error}")),
    }
}

/// Root can make a cluster and is no caller of its operator.
fn caller(caller: &Caller) -> Finding {
    let message = format!("account {}, as {}", caller.account_id, caller.arn);
    match caller.arn.ends_with(":root") {
        true => Finding::warning("credentials", format!("{message}: the operator will not let the account's root in"))
            .hint("deploy as an IAM user or role; make the cluster as one, too"),
        false => Finding::passed("credentials", message),
    }
}
