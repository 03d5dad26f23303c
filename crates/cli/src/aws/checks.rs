//! What was found out beforehand, as it is shown.

use aws_infra::{Finding, Subject, Verdict, preflight};
use provision::plan::Plan;
use spec::cluster::Aws;

use super::account::Account;
use crate::{
    output::say,
    report::{Exit, Failure},
};

/// Nothing is asked if nothing is to be done.
pub async fn look(account: &Account, aws: &Aws, plan: &Plan) -> Vec<Finding> {
    if plan.is_empty() {
        return Vec::new();
    }
    preflight(&account.clients, Subject { caller: &account.caller, aws, plan }).await
}

/// Everything but what is as it should be, and how many things that are.
pub fn show(findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    let passed = findings.iter().filter(|finding| finding.verdict == Verdict::Passed).count();
    say!("checked beforehand: {passed} of {} passed", findings.len());
    for Finding { check, verdict, message, hint } in findings {
        let verdict = match verdict {
            Verdict::Passed => continue,
            Verdict::Unknown => "unknown",
            Verdict::Warning => "warning",
            Verdict::Refused => "fails",
        };
        say!("  {verdict}: {check}: {message}");
        hint.iter().for_each(|hint| say!("    {hint}"));
    }
}

/// Whether it makes sense to go on.
pub fn judge(findings: &[Finding]) -> Result<(), Failure> {
    let refused: Vec<&str> =
        findings.iter().filter(|one| one.verdict == Verdict::Refused).map(|one| one.check.as_str()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let message = format!("it would fail, and nothing was done: {}", refused.join("; "));
    Err(Failure::new(Exit::InvalidConfig, "cluster.preflight", message).hint("the lines above say what to do"))
}
