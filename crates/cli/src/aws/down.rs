//! `cluster down` on AWS: everything of the cluster goes, whatever state it is in; no file and no record is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use aws_infra::{AwsCloud, BucketName, NoContents};
use provision::{
    cloud::{ClusterId, Observed},
    destroy::destroy,
    execute::Settings,
    observe::observe,
    resource::Kind,
};
use serde::Serialize;
use state::State;

use super::{
    account::{self, Account},
    interrupt::interruptible,
    lock,
    progress::Progress,
    state::cluster_state,
};
use crate::{
    commands::confirm,
    environments::Environments,
    home::Home,
    output::{Format, say},
    report::{Exit, Failure},
};

#[derive(Serialize)]
struct Outcome {
    cluster: String,
    region: String,
    account_id: String,
    removed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<String>,
    environments_forgotten: Vec<String>,
    seconds: f64,
}

/// What the command line says.
pub struct Down {
    pub yes: bool,
    /// Bucket and logs stay.
    pub keep: bool,
    /// Where to write the run as a trace.
    pub trace: Option<PathBuf>,
    pub output: Format,
}

/// `bucket`: as `cluster.yaml` has it, if there is one.
pub async fn down(name: &str, account: &Account, bucket: BucketName, options: &Down) -> Result<(), Failure> {
    let begun = Instant::now();
    let progress = Progress::begin(options.output, options.trace.as_deref(), &format!("cluster down {name}"))?;
    let cluster = account.cluster(name);
    let cloud = AwsCloud::new(account.clients.clone(), bucket, Arc::new(NoContents));
    let settings = Settings::new(rand::random());
    let kinds: Vec<Kind> = Kind::WANTED.iter().chain(Kind::GROWN).copied().collect();
    let found = observe(&cloud, &cluster, &kinds, &settings).await.map_err(|error| account::cloud(&error))?;
    let keep: BTreeSet<Kind> = match options.keep {
        true => [Kind::Bucket, Kind::Object, Kind::LogGroup].into(),
        false => BTreeSet::new(),
    };
    let (stays, goes): (Vec<_>, Vec<_>) = found.iter().partition(|found| keep.contains(&found.kind));
    if !options.yes && !goes.is_empty() {
        say!("{}", inventory(&goes));
        let bucket = if options.keep { "; its bucket and its logs stay" } else { " and everything in its bucket" };
        confirm(&format!(
            "this deletes the cluster {cluster} of account {}, with everything deployed in it{bucket}",
            account.caller.account_id
        ))?;
    }
    let cancel = interruptible();
    let lock = match bucket_of(&found) {
        Some(bucket) => {
            let state: Arc<dyn State> = Arc::new(cluster_state(&account.config, bucket, Some(&cluster.account_id)));
            Some(lock::take(state, &cluster, "down").await?)
        }
        None => None,
    };
    // Now that its name is known nobody has to look for it again when it is gone.
    let cloud = match bucket_of(&found) {
        Some(name) => AwsCloud::new(account.clients.clone(), BucketName::Given(name.to_owned()), Arc::new(NoContents)),
        None => cloud,
    };
    progress.expect(goes.iter().map(|found| found.kind));
    let destroyed = destroy(&cloud, &cluster, &keep, &settings, &progress, &cancel).await;
    progress.settle();
    if let Some(lock) = lock {
        // Gone with its bucket, if all went well.
        if options.keep || !destroyed.is_complete() {
            lock.release().await;
        }
    }
    if !destroyed.is_complete() {
        say!("{}", destroyed.to_string().trim_end());
        let again = "the same command goes on from here";
        let errors = destroyed.remaining.iter().filter_map(|left| left.error.as_ref()).chain(destroyed.unseen.values());
        if let Some(failure) = account::denied(errors.chain(&destroyed.stopped), again) {
            return Err(failure);
        }
        let failure = match &destroyed.stopped {
            Some(error) => account::cloud(error),
            None if cancel.is_cancelled() => Failure::new(Exit::Cancelled, "cli.cancelled", "interrupted"),
            None => Failure::new(Exit::General, "cluster.left", "not everything could be removed; see above"),
        };
        return Err(failure.hint(again));
    }
    let forgotten = forget(&cluster)?;
    for name in &forgotten {
        say!("environment {name} forgotten");
    }
    let outcome = Outcome {
        cluster: cluster.name,
        region: cluster.region,
        account_id: cluster.account_id,
        removed: destroyed.removed.len(),
        kept: stays.iter().filter(|found| found.kind != Kind::Object).map(|found| kept(found)).collect(),
        environments_forgotten: forgotten,
        seconds: begun.elapsed().as_secs_f64(),
    };
    options.output.print(&outcome, |outcome| match outcome.removed {
        0 if outcome.kept.is_empty() => {
            format!("there is no cluster {} in {} ({:.1} s)", outcome.cluster, outcome.region, outcome.seconds)
        }
        removed => format!(
            "cluster {} is gone: {removed} resources removed, {} ({:.1} s)",
            outcome.cluster,
            match outcome.kept.is_empty() {
                true => "nothing left".to_owned(),
                false => format!("kept: {}", outcome.kept.join(", ")),
            },
            outcome.seconds
        ),
    })
}

fn bucket_of(found: &[Observed]) -> Option<&str> {
    found.iter().find(|found| found.kind == Kind::Bucket).map(|found| found.ids.id.as_str())
}

fn kept(found: &Observed) -> String {
    format!("{} {}", found.kind, found.ids.id)
}

fn inventory(found: &[&Observed]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for found in found {
        *counts.entry(found.kind).or_default() += 1;
    }
    let lines: Vec<String> = counts.iter().map(|(kind, count)| format!("{count:>5}  {kind}")).collect();
    lines.join("\n")
}

/// Environments of a cluster that is gone.
fn forget(cluster: &ClusterId) -> Result<Vec<String>, Failure> {
    let home = Home::find()?;
    let mut all = Environments::load(&home)?;
    let of_cluster: Vec<String> = all
        .environments
        .iter()
        .filter(|(_, environment)| environment.is_of_aws(&cluster.name, &cluster.region))
        .map(|(name, _)| name.clone())
        .collect();
    for name in &of_cluster {
        all.remove(name);
    }
    if !of_cluster.is_empty() {
        all.save(&home)?;
    }
    Ok(of_cluster)
}
