//! `cluster up`, `update` and `plan` on AWS: from whatever there is to what the file says. Doing it again changes nothing.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use api::cluster::{ApiCertificate, CLUSTER_KEY, ClusterRecord};
use aws_infra::Finding;
use provision::{
    cloud::Ids,
    cost::Bill,
    plan::Plan,
    resource::{Key, Kind},
};
use serde::Serialize;
use spec::cluster::{Aws, Credentials};
use state::read;

use super::{
    access,
    account::{self, Account},
    bringing::{Bringing, Files, Planned},
    certificate::{self, Chosen},
    checks, cost,
    interrupt::interruptible,
    progress::Progress,
    ready,
};
use crate::{
    commands::confirm,
    output::{Format, say},
    report::{Exit, Failure},
};

/// What the command line says besides the file.
pub struct Options {
    pub yes: bool,
    /// Only a cluster that is there.
    pub existing: bool,
    /// Do not wait for the control nodes.
    pub no_wait: bool,
    /// Where to write the run as a trace.
    pub trace: Option<PathBuf>,
    pub files: Files,
    pub output: Format,
}

/// What `plan` and `--dry-run` print.
#[derive(Serialize)]
struct Proposal<'a> {
    cluster: String,
    changes: bool,
    plan: &'a Plan,
    checks: &'a [Finding],
    cost: &'a Bill,
}

#[derive(Serialize)]
struct Outcome {
    cluster: String,
    region: String,
    account_id: String,
    changed: bool,
    api_endpoint: String,
    api_certificate: ApiCertificate,
    operator_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_fingerprint_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configure: Option<String>,
    seconds: f64,
}

pub async fn up(name: &str, aws: &Aws, options: &Options) -> Result<(), Failure> {
    let begun = Instant::now();
    let progress = Progress::begin(options.output, options.trace.as_deref(), &format!("cluster up {name}"))?;
    let (aws, own, account) = connect(aws, &options.files).await?;
    let bringing = Bringing::prepare(name, &aws, &account, own, &options.files).await?;
    let cancel = interruptible();
    let planned = bringing.plan().await?;
    if options.existing {
        refuse_new(&planned.plan)?;
    }
    let changed = !planned.plan.is_empty();
    if changed {
        access::warn(bringing.access(), &account.caller);
        let (findings, bill) =
            tokio::join!(checks::look(&account, &aws, &planned.plan), cost::estimate(&account, &planned.graph));
        checks::show(&findings);
        checks::judge(&findings)?;
        say!("{}\n\n{}\n", planned.plan.to_string().trim_end(), cost::show(&bill));
        if !options.yes {
            confirm(&question(&planned.plan, &account, &bill))?;
        }
    }
    let (exists, plan) = bringing.carry_out(planned, &progress, &cancel).await?;
    let mut outcome = outcome(&bringing, &exists, changed, begun).await?;
    if options.no_wait {
        outcome.seconds = begun.elapsed().as_secs_f64();
        return print(&outcome, options.output);
    }
    let groups: Vec<String> = ids(&plan, &exists, Kind::TargetGroup);
    let certificate = ready::wait(&account.clients, &groups, &bringing.state, &progress, &cancel).await?;
    let fingerprint = transport::fingerprint(&certificate).map_err(|error| Failure::internal(error.to_string()))?;
    outcome.configure = Some(configure_line(&outcome.operator_endpoint, &fingerprint, &aws.region));
    outcome.ca_fingerprint_sha256 = Some(fingerprint);
    outcome.seconds = begun.elapsed().as_secs_f64();
    print(&outcome, options.output)
}

/// Shows what `up` would do, and does nothing.
pub async fn plan(name: &str, aws: &Aws, files: &Files, output: Format) -> Result<(), Failure> {
    let (aws, own, account) = connect(aws, files).await?;
    let bringing = Bringing::prepare(name, &aws, &account, own, files).await?;
    let Planned { plan, graph, .. } = bringing.plan().await?;
    let (findings, bill) = tokio::join!(checks::look(&account, &aws, &plan), cost::estimate(&account, &graph));
    let changes = !plan.is_empty();
    let proposal = Proposal { cluster: plan.cluster.to_string(), changes, plan: &plan, checks: &findings, cost: &bill };
    checks::show(&findings);
    output.print(&proposal, |proposal| {
        let plan = match proposal.changes {
            true => proposal.plan.to_string(),
            false => format!("{}: nothing to do", proposal.cluster),
        };
        format!("{}\n\n{}", plan.trim_end(), cost::show(proposal.cost))
    })?;
    checks::judge(&findings)
}

/// Prints everything that `up` would want there to be, as Terraform has it.
pub async fn terraform_json(name: &str, aws: &Aws, files: &Files) -> Result<(), Failure> {
    let (aws, own, account) = connect(aws, files).await?;
    let Planned { graph, .. } = Bringing::prepare(name, &aws, &account, own, files).await?.plan().await?;
    Format::Json.print(&provision::export::terraform_json(&graph), |_| String::new())
}

/// Everything that can be judged here, before AWS is asked anything: the file with the keys to run with, the user's own
/// certificate; then the account.
async fn connect(aws: &Aws, files: &Files) -> Result<(Aws, Option<Chosen>, Account), Failure> {
    let runtime_credentials = runtime_keys(aws)?;
    let aws = Aws { runtime_credentials, ..aws.clone() };
    let own = certificate::files(&aws.certificate, &files.directory)?;
    let account = account::connect(Some(&aws.region), aws.create_credentials.as_ref()).await?;
    Ok((aws, own, account))
}

fn question(plan: &Plan, account: &Account, bill: &Bill) -> String {
    let counts = plan.counts();
    format!(
        "this makes {} and changes {} resources in account {} as {}; then the cluster costs {}",
        counts.create + counts.replace,
        counts.update + counts.delete,
        account.caller.account_id,
        account.caller.arn,
        bill.in_short()
    )
}

fn refuse_new(plan: &Plan) -> Result<(), Failure> {
    if plan.entries.iter().any(|entry| entry.current.is_some()) {
        return Ok(());
    }
    Err(Failure::new(Exit::NotFound, "cluster.not_found", format!("there is no cluster {}", plan.cluster))
        .hint("check name and region; `cortex cluster up` makes it"))
}

/// The whole command, as it has to be typed.
pub fn configure_line(operator: &str, fingerprint: &str, region: &str) -> String {
    format!("cortex env configure aws --operator-endpoint {operator} --ca-fingerprint {fingerprint} --region {region}")
}

fn print(outcome: &Outcome, output: Format) -> Result<(), Failure> {
    output.print(outcome, |outcome| {
        let what = if outcome.changed { "is up" } else { "was up already; nothing was changed" };
        let mut lines = vec![
            format!("cluster {} {what} ({:.1} s)\n", outcome.cluster, outcome.seconds),
            format!("  account    {} ({})", outcome.account_id, outcome.region),
            format!("  apis       {}", outcome.api_endpoint),
        ];
        let pointer = certificate::pointer(&outcome.api_certificate, &outcome.api_endpoint);
        lines.extend(pointer.map(|pointer| format!("  certificate {pointer}")));
        lines.push(format!("  operator   {}", outcome.operator_endpoint));
        lines.extend(outcome.ca_fingerprint_sha256.iter().map(|print| format!("  ca sha256  {print}")));
        match &outcome.configure {
            Some(line) => lines.push(format!("\nnext: {line}")),
            None => {
                lines
                    .push("\nnobody waited for the control nodes; `cortex cluster info` tells how they are".to_owned());
            }
        }
        lines.join("\n")
    })
}

/// Of the file, else of the environment; one half of a pair is a mistake.
fn runtime_keys(aws: &Aws) -> Result<Option<Credentials>, Failure> {
    if aws.runtime_credentials.is_some() {
        return Ok(aws.runtime_credentials.clone());
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("CORTEX_AWS_ACCESS_KEY_ID"), variable("CORTEX_AWS_SECRET_ACCESS_KEY")) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => {
            Ok(Some(Credentials { access_key_id: id, secret_access_key: spec::Secret::new(&secret) }))
        }
        _ => Err(Failure::new(
            Exit::InvalidConfig,
            "cluster.runtime_keys",
            "only one of CORTEX_AWS_ACCESS_KEY_ID and CORTEX_AWS_SECRET_ACCESS_KEY is set",
        )
        .hint("set both, or neither: then the cluster runs as its instance role, which is better")),
    }
}

async fn outcome(
    bringing: &Bringing<'_>,
    exists: &BTreeMap<Key, Ids>,
    changed: bool,
    begun: Instant,
) -> Result<Outcome, Failure> {
    let record = read::<ClusterRecord>(&*bringing.state, CLUSTER_KEY).await?;
    let Some((record, _)) = record else {
        let count = exists.len();
        return Err(Failure::internal(format!("{count} resources exist, but not {CLUSTER_KEY} in the bucket")));
    };
    Ok(Outcome {
        cluster: bringing.cluster.name.clone(),
        region: bringing.cluster.region.clone(),
        account_id: bringing.cluster.account_id.clone(),
        changed,
        api_endpoint: record.api_endpoint,
        api_certificate: bringing.certificate().clone(),
        operator_endpoint: record.operator_endpoint,
        ca_fingerprint_sha256: None,
        configure: None,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Of everything of one kind that is part of the cluster.
fn ids(plan: &Plan, exists: &BTreeMap<Key, Ids>, kind: Kind) -> Vec<String> {
    let wanted = plan.entries.iter().filter(|entry| entry.kind == kind && entry.wanted.is_some());
    wanted.filter_map(|entry| exists.get(&entry.key)).map(|ids| ids.id.clone()).collect()
}
