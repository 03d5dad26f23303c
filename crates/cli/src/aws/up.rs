//! `cluster up` on AWS: from whatever there is to what the file says. Doing it again changes nothing.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use api::cluster::{CLUSTER_KEY, ClusterRecord};
use aws_infra::{AwsCloud, BucketName, gather};
use provision::{
    cloud::{ClusterId, Observed},
    desired::{Facts, desired, kept},
    diff::diff,
    execute::{Report, Settings, execute},
    names,
    observe::observe,
    plan::{Entry, Plan},
    resource::{Key, Kind},
};
use serde::Serialize;
use spec::cluster::{Aws, Certificate, Credentials};
use state::{State, read};
use tokio_util::sync::CancellationToken;

use super::{
    NodeConfig,
    account::{self, Account},
    artifacts,
    contents::{ClusterContents, runtime_keys_object},
    endpoints::Ports,
    lock,
    progress::{Progress, interruptible},
    ready,
    state::cluster_state,
};
use crate::{
    commands::confirm,
    home::Home,
    output::{Format, say},
    report::{Exit, Failure},
};

/// What the command line says besides the file.
pub struct Options {
    pub yes: bool,
    /// Show the plan and do nothing.
    pub dry_run: bool,
    /// Do not wait for the control nodes.
    pub no_wait: bool,
    pub node_binary: Option<PathBuf>,
    pub onnxruntime: Option<PathBuf>,
    pub output: Format,
}

#[derive(Serialize)]
struct Outcome {
    cluster: String,
    region: String,
    account_id: String,
    changed: bool,
    api_endpoint: String,
    operator_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_fingerprint_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configure: Option<String>,
    seconds: f64,
}

pub async fn up(name: &str, aws: &Aws, options: &Options) -> Result<(), Failure> {
    let begun = Instant::now();
    let runtime_keys = runtime_keys(aws)?;
    let mut aws = aws.clone();
    aws.runtime_credentials = runtime_keys;
    refuse_unsupported(&aws)?;
    let account = account::connect(Some(&aws.region), aws.create_credentials.as_ref()).await?;
    let bringing = Bringing::prepare(name, &aws, &account, options).await?;
    let cancel = interruptible();

    let plan = bringing.plan().await?;
    let changed = !plan.is_empty();
    if options.dry_run {
        return options.output.print(&plan, |plan| match changed {
            true => plan.to_string(),
            false => format!("{}: nothing to do", plan.cluster),
        });
    }
    if changed {
        say!("{}", plan.to_string().trim_end());
        if !options.yes {
            let counts = plan.counts();
            let question = format!(
                "this makes {} and changes {} resources in account {} as {}",
                counts.create + counts.replace,
                counts.update + counts.delete,
                account.caller.account_id,
                account.caller.arn
            );
            confirm(&question)?;
        }
    }
    let (exists, plan) = bringing.carry_out(plan, &cancel).await?;
    let mut outcome = bringing.outcome(&exists, changed, begun).await?;
    if options.no_wait {
        outcome.seconds = begun.elapsed().as_secs_f64();
        return print(&outcome, options.output);
    }
    let groups: Vec<String> = ids(&plan, &exists, Kind::TargetGroup);
    let certificate = ready::wait(&account.clients, &groups, &bringing.state, &cancel).await?;
    let fingerprint = transport::fingerprint(&certificate).map_err(|error| Failure::internal(error.to_string()))?;
    outcome.configure = Some(configure_line(&outcome.operator_endpoint, &fingerprint, &aws.region));
    outcome.ca_fingerprint_sha256 = Some(fingerprint);
    outcome.seconds = begun.elapsed().as_secs_f64();
    print(&outcome, options.output)
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
            format!("  operator   {}", outcome.operator_endpoint),
        ];
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

/// What the file may say and this version does not do: to leave it out silently would be worse.
fn refuse_unsupported(aws: &Aws) -> Result<(), Failure> {
    let what = if matches!(aws.certificate, Certificate::Files { .. }) {
        "`ssl_certificate_path` with provider aws"
    } else if !aws.operator_access.is_empty() {
        "`operator_access`"
    } else {
        return Ok(());
    };
    Err(Failure::not_supported(format!("{what} is not supported yet: nothing was made"))
        .hint("docs/roadmap.md says what is; take the field out to go on"))
}

/// Everything that has been found out before a plan is made.
struct Bringing<'a> {
    name: &'a str,
    aws: &'a Aws,
    account: &'a Account,
    cluster: ClusterId,
    cloud: AwsCloud,
    state: Arc<dyn State>,
    node: NodeConfig,
    contents: Arc<ClusterContents>,
    files: [artifacts::Upload; 2],
    settings: Settings,
}

impl<'a> Bringing<'a> {
    async fn prepare(name: &'a str, aws: &'a Aws, account: &'a Account, options: &Options) -> Result<Self, Failure> {
        let home = Home::find()?;
        let binary = artifacts::node_binary(options.node_binary.as_deref()).await?;
        let runtime = artifacts::onnxruntime(&home, options.onnxruntime.as_deref()).await?;
        let cluster = account.cluster(name);
        let bucket = aws.bucket.clone().unwrap_or_else(|| names::bucket(&cluster));
        let mut node = NodeConfig::new(&cluster, &account.caller.partition, &bucket);
        node.runtime_keys = aws.runtime_credentials.as_ref().map(runtime_keys_object);
        node.api_http = aws.api_http;
        let files = [binary, runtime];
        let runtime_keys = aws.runtime_credentials.as_ref();
        let contents = Arc::new(ClusterContents::new(&node, &files.each_ref(), runtime_keys, Ports::of(aws)));
        let bucket_name = match &aws.bucket {
            Some(name) => BucketName::Given(name.clone()),
            None => BucketName::Standard,
        };
        let cloud = AwsCloud::new(account.clients.clone(), bucket_name, Arc::clone(&contents) as _);
        let state = Arc::new(cluster_state(&account.config, &bucket, Some(&cluster.account_id)));
        let settings = Settings::new(rand::random());
        Ok(Self { name, aws, account, cluster, cloud, state, node, contents, files, settings })
    }

    async fn observe(&self) -> Result<Vec<Observed>, Failure> {
        observe(&self.cloud, &self.cluster, Kind::WANTED, &self.settings).await.map_err(|error| account::cloud(&error))
    }

    async fn plan(&self) -> Result<Plan, Failure> {
        let observed = self.observe().await?;
        let facts = self.facts(&observed).await?;
        let graph = desired(self.name, self.aws, &facts).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::new(Exit::InvalidConfig, "cluster.impossible", problems.join("; "))
        })?;
        diff(&graph, &observed).map_err(|refused| {
            Failure::new(Exit::Conflict, "cluster.change_refused", refused.to_string())
                .hint("set these fields back; or remove the cluster with `cortex cluster down` and make it anew")
        })
    }

    async fn facts(&self, observed: &[Observed]) -> Result<Facts, Failure> {
        let caller = self.account.caller.clone();
        let facts = gather(&self.account.clients, caller, self.name, self.aws, kept(observed)).await;
        let facts = facts.map_err(|error| match error {
            aws_infra::FactsError::Cloud(error) => account::cloud(&error),
            aws_infra::FactsError::RuntimeIdentity(error) => {
                account::setup(error).about("the keys that the cluster is to run with")
            }
            other => Failure::new(Exit::InvalidConfig, "cluster.facts", other.to_string()),
        })?;
        let [binary, runtime] = &self.files;
        let objects = self.contents.objects(&self.node);
        Ok(facts.into_facts(binary.artifact.clone(), runtime.artifact.clone(), objects))
    }

    /// Under the lease, which needs the bucket: that is made first. Returns what everything is called, and the plan that
    /// was carried out.
    async fn carry_out(
        &self,
        plan: Plan,
        cancel: &CancellationToken,
    ) -> Result<(BTreeMap<Key, provision::cloud::Ids>, Plan), Failure> {
        if plan.is_empty() && plan.pending().next().is_none() {
            return Ok((current_ids(&plan).collect(), plan));
        }
        let progress = Progress::new(plan.steps().len());
        let bucket = Plan {
            cluster: self.cluster.clone(),
            entries: plan.entries.iter().filter(|entry| entry.kind == Kind::Bucket).cloned().collect(),
        };
        let new = !bucket.is_empty();
        if new {
            let report = execute(&bucket, &self.cloud, &self.settings, &progress, cancel).await;
            self.complete(&report, cancel)?;
        }
        let lock = lock::take(Arc::clone(&self.state), &self.cluster, "up").await?;
        // Somebody else may have been at work until the lease was ours.
        let plan = match self.plan().await {
            Ok(plan) => plan,
            Err(failure) => {
                lock.release().await;
                return Err(failure);
            }
        };
        let report = execute(&plan, &self.cloud, &self.settings, &progress, cancel).await;
        progress.finish();
        lock.release().await;
        self.complete(&report, cancel)?;
        Ok((report.exists, plan))
    }

    /// Says what exists and how to go on, if something is left to do.
    fn complete(&self, report: &Report, cancel: &CancellationToken) -> Result<(), Failure> {
        if report.is_complete() {
            return Ok(());
        }
        say!("{}", report.to_string().trim_end());
        for (key, ids) in &report.exists {
            say!("exists: {key} ({})", ids.id);
        }
        let again = "the same command goes on from here; `cortex cluster down` removes everything";
        if let Some(error) = &report.stopped {
            let failure = account::cloud(error);
            return Err(failure.hint(again));
        }
        if cancel.is_cancelled() {
            return Err(Failure::new(Exit::Cancelled, "cli.cancelled", "interrupted").hint(again));
        }
        let failed = report.remaining().count();
        let message = format!("{failed} steps could not be done; see above");
        Err(Failure::new(Exit::General, "cluster.incomplete", message).hint(again))
    }

    async fn outcome(
        &self,
        exists: &BTreeMap<Key, provision::cloud::Ids>,
        changed: bool,
        begun: Instant,
    ) -> Result<Outcome, Failure> {
        let record = read::<ClusterRecord>(&*self.state, CLUSTER_KEY).await?;
        let Some((record, _)) = record else {
            let count = exists.len();
            return Err(Failure::internal(format!("{count} resources exist, but not {CLUSTER_KEY} in the bucket")));
        };
        Ok(Outcome {
            cluster: self.cluster.name.clone(),
            region: self.cluster.region.clone(),
            account_id: self.cluster.account_id.clone(),
            changed,
            api_endpoint: record.api_endpoint,
            operator_endpoint: record.operator_endpoint,
            ca_fingerprint_sha256: None,
            configure: None,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

fn current_ids(plan: &Plan) -> impl Iterator<Item = (Key, provision::cloud::Ids)> {
    let current = |entry: &Entry| entry.current.as_ref().map(|found| (entry.key.clone(), found.ids.clone()));
    plan.entries.iter().filter_map(current)
}

/// Of everything of one kind that is part of the cluster.
fn ids(plan: &Plan, exists: &BTreeMap<Key, provision::cloud::Ids>, kind: Kind) -> Vec<String> {
    let wanted = plan.entries.iter().filter(|entry| entry.kind == kind && entry.wanted.is_some());
    wanted.filter_map(|entry| exists.get(&entry.key)).map(|ids| ids.id.clone()).collect()
}
