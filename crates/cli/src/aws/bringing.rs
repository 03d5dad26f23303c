//! From a file to a cluster: what is wanted and what there is, the plan between them, and carrying it out.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use api::cluster::ApiCertificate;
use aws_infra::{AccountFacts, AwsCloud, BucketName, FactsError, gather};
use identity::sts::OperatorAccess;
use provision::{
    cloud::{ClusterId, Ids, Observed},
    desired::{Facts, Graph, Kept, desired, kept},
    diff::diff,
    execute::{Outcome, Report, Settings, execute},
    names,
    observe::observe,
    plan::Plan,
    resource::{Key, Kind},
};
use spec::cluster::Aws;
use state::State;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    NodeConfig, access,
    account::{self, Account},
    artifacts,
    certificate::{self, Chosen},
    contents::{ClusterContents, runtime_keys_object},
    endpoints::Ports,
    lock,
    progress::Progress,
    recorded::Recorded,
    state::cluster_state,
};
use crate::{
    home::Home,
    output::say,
    report::{Exit, Failure},
};

/// Files besides `cluster.yaml`.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Of `cluster.yaml`: what paths in it are relative to.
    pub directory: PathBuf,
    /// For the nodes, if not the standard ones.
    pub node_binary: Option<PathBuf>,
    pub onnxruntime: Option<PathBuf>,
}

/// Everything that has been found out before a plan is made.
pub struct Bringing<'a> {
    name: &'a str,
    aws: &'a Aws,
    account: &'a Account,
    pub cluster: ClusterId,
    cloud: AwsCloud,
    pub state: Arc<dyn State>,
    node: NodeConfig,
    certificate: Chosen,
    access: OperatorAccess,
    files: [artifacts::Upload; 2],
    settings: Settings,
    bucket: String,
    /// What AWS has told already, and what was there when it was asked.
    told: Mutex<Option<(Kept, AccountFacts)>>,
}

/// What is there, what is wanted, and what is to be done about it.
pub struct Planned {
    pub graph: Graph,
    pub plan: Plan,
    contents: Arc<ClusterContents>,
}

impl<'a> Bringing<'a> {
    /// `own`: the user's certificate.
    pub async fn prepare(
        name: &'a str,
        aws: &'a Aws,
        account: &'a Account,
        own: Option<Chosen>,
        files: &Files,
    ) -> Result<Self, Failure> {
        let certificate = certificate::choose(&aws.certificate, own, &account.clients).await?;
        let access = access::resolve(aws, account).await?;
        let home = Home::find()?;
        let binary = artifacts::node_binary(files.node_binary.as_deref()).await?;
        let runtime = artifacts::onnxruntime(&home, files.onnxruntime.as_deref()).await?;
        let cluster = account.cluster(name);
        let bucket = aws.bucket.clone().unwrap_or_else(|| names::bucket(&cluster));
        let mut node = NodeConfig::new(&cluster, &account.caller.partition, &bucket);
        node.runtime_keys = aws.runtime_credentials.as_ref().map(runtime_keys_object);
        node.api_http = aws.api_http;
        node.telemetry = aws.telemetry.clone();
        let bucket_name = BucketName::Given(bucket.clone());
        let cloud = AwsCloud::new(account.clients.clone(), bucket_name, Arc::new(aws_infra::NoContents));
        let state = Arc::new(cluster_state(&account.config, &bucket, Some(&cluster.account_id)));
        let settings = Settings::new(rand::random());
        Ok(Self {
            name,
            aws,
            account,
            cluster,
            cloud,
            state,
            node,
            certificate,
            access,
            files: [binary, runtime],
            settings,
            bucket,
            told: Mutex::default(),
        })
    }

    /// What clients of APIs will be shown.
    pub fn certificate(&self) -> &ApiCertificate {
        &self.certificate.record
    }

    /// Who will be let in.
    pub fn access(&self) -> &OperatorAccess {
        &self.access
    }

    async fn observe(&self) -> Result<Vec<Observed>, Failure> {
        observe(&self.cloud, &self.cluster, Kind::WANTED, &self.settings).await.map_err(|error| account::cloud(&error))
    }

    pub async fn plan(&self) -> Result<Planned, Failure> {
        let observed = self.observe().await?;
        let (facts, contents) = self.facts(&observed).await?;
        let graph = graph(self.name, self.aws, &facts)?;
        let plan = diff(&graph, &observed).map_err(|refused| {
            Failure::new(Exit::Conflict, "cluster.change_refused", refused.to_string())
                .hint("set these fields back; or remove the cluster with `cortex cluster down` and make it anew")
        })?;
        Ok(Planned { graph, plan, contents: Arc::new(contents) })
    }

    async fn facts(&self, observed: &[Observed]) -> Result<(Facts, ClusterContents), Failure> {
        let facts = self.told(kept(observed)).await?;
        let [binary, runtime] = &self.files;
        let recorded = Recorded {
            aws: self.aws.clone(),
            node_binary: binary.artifact.sha256.clone(),
            onnxruntime: runtime.artifact.sha256.clone(),
            runtime_keys: self.node.runtime_keys.clone(),
            runtime_identity: facts.runtime_identity.clone(),
            network: facts.brought_network.clone(),
            security_group: facts.existing_security_group.clone(),
            certificate: self.certificate.record.clone(),
            access: self.access.clone(),
        };
        let keys = self.aws.runtime_credentials.as_ref();
        let (files, pem) = (self.files.each_ref(), self.certificate.pem.as_ref());
        let contents = ClusterContents::new(&self.node, &recorded, &files, keys, pem, Ports::of(self.aws));
        let objects = contents.objects(&self.node);
        Ok((facts.into_facts(binary.artifact.clone(), runtime.artifact.clone(), objects), contents))
    }

    /// Asked once, unless somebody has been at work in between.
    async fn told(&self, kept: Kept) -> Result<AccountFacts, Failure> {
        let mut told = self.told.lock().await;
        if let Some((before, facts)) = &*told
            && *before == kept
        {
            return Ok(facts.clone());
        }
        let caller = self.account.caller.clone();
        let facts = gather(&self.account.clients, caller, self.name, self.aws, kept.clone()).await;
        let facts = facts.map_err(|error| match error {
            FactsError::Cloud(error) => account::cloud(&error),
            FactsError::RuntimeIdentity(error) => {
                account::setup(error).about("the keys that the cluster is to run with")
            }
            other => Failure::new(Exit::InvalidConfig, "cluster.facts", other.to_string()),
        })?;
        *told = Some((kept, facts.clone()));
        Ok(facts)
    }

    /// Under the lease, which needs the bucket: that is made first. Returns what everything is called, and the plan that
    /// was carried out.
    pub async fn carry_out(
        &self,
        planned: Planned,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<(BTreeMap<Key, Ids>, Plan), Failure> {
        let Planned { plan, contents, .. } = planned;
        if plan.is_empty() && plan.pending().next().is_none() {
            return Ok((current_ids(&plan).collect(), plan));
        }
        progress.expect(plan.steps().iter().map(|step| step.kind));
        let bucket = Plan {
            cluster: self.cluster.clone(),
            entries: plan.entries.iter().filter(|entry| entry.kind == Kind::Bucket).cloned().collect(),
        };
        let mut made = BTreeMap::new();
        if !bucket.is_empty() {
            let report = execute(&bucket, &self.writing(&contents), &self.settings, progress, cancel).await;
            self.complete(&report, cancel)?;
            made = report.exists;
        }
        let lock = lock::take(Arc::clone(&self.state), &self.cluster, "up").await;
        let lock = lock.map_err(|failure| resumable(failure, &made))?;
        // Somebody else may have been at work until the lease was ours.
        let Planned { plan, contents, .. } = match self.plan().await {
            Ok(planned) => planned,
            Err(failure) => {
                lock.release().await;
                return Err(resumable(failure, &made));
            }
        };
        let report = execute(&plan, &self.writing(&contents), &self.settings, progress, cancel).await;
        progress.settle();
        lock.release().await;
        self.complete(&report, cancel)?;
        Ok((report.exists, plan))
    }

    /// The cloud, with what objects are to contain.
    fn writing(&self, contents: &Arc<ClusterContents>) -> AwsCloud {
        AwsCloud::new(self.account.clients.clone(), BucketName::Given(self.bucket.clone()), Arc::clone(contents) as _)
    }

    /// Says what exists and how to go on, if something is left to do.
    fn complete(&self, report: &Report, cancel: &CancellationToken) -> Result<(), Failure> {
        if report.is_complete() {
            return Ok(());
        }
        say!("{}", report.to_string().trim_end());
        tell(&report.exists);
        let again = AGAIN;
        let failed = report.remaining().filter_map(|step| match &step.outcome {
            Outcome::Failed { error } => Some(error),
            _ => None,
        });
        if let Some(failure) = account::denied(failed.chain(&report.stopped), again) {
            return Err(failure);
        }
        if let Some(error) = &report.stopped {
            let failure = account::cloud(error);
            return Err(failure.hint(again));
        }
        if cancel.is_cancelled() {
            return Err(Failure::new(Exit::Cancelled, "cli.cancelled", "interrupted").hint(again));
        }
        let message = match (report.remaining().count(), report.not_ready.len()) {
            (0, waiting) => format!("{waiting} resources were made and do not work yet; see above"),
            (failed, _) => format!("{failed} steps could not be done; see above"),
        };
        Err(Failure::new(Exit::General, "cluster.incomplete", message).hint(again))
    }
}

/// After a failure amid the work.
const AGAIN: &str = "the same command goes on from here; `cortex cluster down` removes everything";

/// Nobody is to find out from the bill.
fn tell(exists: &BTreeMap<Key, Ids>) {
    for (key, ids) in exists {
        say!("exists: {key} ({})", ids.id);
    }
}

/// A failure between two executions, of which the first has made something.
fn resumable(failure: Failure, made: &BTreeMap<Key, Ids>) -> Failure {
    tell(made);
    match &failure.hint {
        Some(_) if made.is_empty() => failure,
        Some(hint) => {
            let hint = format!("{hint}; {AGAIN}");
            failure.hint(hint)
        }
        None => failure.hint(AGAIN),
    }
}

pub fn graph(name: &str, aws: &Aws, facts: &Facts) -> Result<Graph, Failure> {
    desired(name, aws, facts).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(Exit::InvalidConfig, "cluster.impossible", problems.join("; "))
    })
}

fn current_ids(plan: &Plan) -> impl Iterator<Item = (Key, Ids)> {
    plan.entries.iter().filter_map(|entry| {
        let found = entry.current.as_ref()?;
        Some((entry.key.clone(), found.ids.clone()))
    })
}
