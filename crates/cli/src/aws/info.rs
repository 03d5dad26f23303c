//! `cluster info` and `cluster cert` on AWS: what the bucket and the account say, without asking the operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::cluster::{ApiCertificate, CA_KEY, CERTIFICATE_KEY, CLUSTER_KEY, CaRecord, ClusterRecord};
use aws_infra::{AwsCloud, BucketName, NoContents, target_health};
use provision::{
    cloud::{ClusterId, Observed, State as Standing},
    cost::Bill,
    execute::Settings,
    names,
    observe::observe,
    resource::{Key, Kind},
};
use serde::Serialize;
use state::{State, read};

use super::{
    account::{self, Account},
    certificate::pointer,
    cost,
    drift::{self, Drift},
    state::cluster_state,
    up::configure_line,
};
use crate::{
    output::Format,
    report::{Exit, Failure},
};

/// What the cluster's bucket says of it.
struct Known {
    record: ClusterRecord,
    api_certificate: ApiCertificate,
    /// PEM; absent until the first control node has come up.
    certificate: Option<String>,
}

#[derive(Serialize)]
struct Report {
    cluster: String,
    provider: &'static str,
    region: String,
    account_id: String,
    api_endpoint: String,
    api_certificate: ApiCertificate,
    operator_endpoint: String,
    ca_fingerprint_sha256: Option<String>,
    nodes: BTreeMap<String, usize>,
    resources: usize,
    not_available: Vec<String>,
    targets: BTreeMap<String, Vec<String>>,
    configure: Option<String>,
    /// Of what the last `up` wanted, if that is known.
    cost: Option<Bill>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Drift>,
}

pub async fn info(
    name: &str,
    account: &Account,
    bucket: BucketName,
    drift: bool,
    output: Format,
) -> Result<(), Failure> {
    let cluster = account.cluster(name);
    let found = everything(name, account, bucket).await?;
    let known = in_bucket(account, name, &found).await?;
    let wanted = drift::wanted(name, account, &found).await;
    // An incomplete cluster has an `info` too.
    let wanted = if drift { Some(wanted?) } else { wanted.ok() };
    let cost = match &wanted {
        Some(graph) => Some(cost::estimate(account, graph).await),
        None => None,
    };
    let drift = wanted.filter(|_| drift).map(|graph| drift::look(&graph, &found));
    let mut targets = BTreeMap::new();
    for group in found.iter().filter(|found| found.kind == Kind::TargetGroup) {
        let health = target_health(&account.clients, &group.ids.id).await.map_err(|error| account::cloud(&error))?;
        targets.insert(group.key.rest().to_owned(), health.iter().map(ToString::to_string).collect());
    }
    let fingerprint = known.certificate.as_deref().and_then(|pem| transport::fingerprint(pem).ok());
    let mut nodes = BTreeMap::new();
    for instance in found.iter().filter(|found| found.kind == Kind::Instance) {
        let of = instance.tags.get(names::RESOURCE_TAG).map_or("", String::as_str);
        *nodes.entry(of.trim_start_matches("instance/").to_owned()).or_default() += 1;
    }
    let not_available = found.iter().filter(|found| found.state != Standing::Available);
    let report = Report {
        provider: "aws",
        configure: fingerprint
            .as_ref()
            .map(|print| configure_line(&known.record.operator_endpoint, print, &cluster.region)),
        cluster: cluster.name,
        region: cluster.region,
        account_id: cluster.account_id,
        api_endpoint: known.record.api_endpoint,
        api_certificate: known.api_certificate,
        operator_endpoint: known.record.operator_endpoint,
        ca_fingerprint_sha256: fingerprint,
        nodes,
        resources: found.len(),
        not_available: not_available.map(|found| format!("{}: {:?}", found.key, found.state)).collect(),
        targets,
        cost,
        drift,
    };
    output.print(&report, pretty)?;
    report.drift.as_ref().map_or(Ok(()), Drift::judge)
}

fn pretty(report: &Report) -> String {
    let mut lines = vec![
        format!("cluster    {} (aws, {}, account {})", report.cluster, report.region, report.account_id),
        format!("apis       {}", report.api_endpoint),
        format!("operator   {}", report.operator_endpoint),
        format!("ca sha256  {}", report.ca_fingerprint_sha256.as_deref().unwrap_or("not known yet")),
        format!("resources  {}", report.resources),
    ];
    let pointer = pointer(&report.api_certificate, &report.api_endpoint);
    lines.extend(pointer.map(|pointer| format!("certificate {pointer}")));
    lines.extend(report.nodes.iter().map(|(group, count)| format!("instances  {count} of {group}")));
    for (group, targets) in &report.targets {
        let targets = if targets.is_empty() { "no instance yet".to_owned() } else { targets.join(", ") };
        lines.push(format!("{:<10} {targets}", format!("{group}:")));
    }
    lines.extend(report.not_available.iter().map(|what| format!("waiting    {what}")));
    lines.extend(report.cost.iter().map(|bill| format!("cost       {}", bill.in_short())));
    lines.extend(report.drift.iter().map(|drift| format!("\n{drift}")));
    lines.extend(report.configure.iter().map(|line| format!("\nconfigure: {line}")));
    lines.join("\n")
}

pub async fn cert(name: &str, account: &Account, bucket: BucketName) -> Result<String, Failure> {
    let found = everything(name, account, bucket).await?;
    in_bucket(account, name, &found).await?.certificate.ok_or_else(|| {
        Failure::new(Exit::NotReady, "cluster.not_ready", "the cluster has no certificate authority yet")
            .hint("its first control node makes it; `cortex cluster info` tells how that one is")
    })
}

/// The cluster's State, for whoever is allowed to read its bucket.
pub async fn state_of(name: &str, account: &Account, bucket: BucketName) -> Result<Arc<dyn State>, Failure> {
    let cluster = account.cluster(name);
    let cloud = AwsCloud::new(account.clients.clone(), bucket, Arc::new(NoContents));
    let found = observe(&cloud, &cluster, &[Kind::Bucket], &Settings::new(rand::random())).await;
    let found = found.map_err(|error| account::cloud(&error))?;
    let bucket = found.first().ok_or_else(|| not_found(&cluster))?;
    Ok(Arc::new(cluster_state(&account.config, &bucket.ids.id, Some(&cluster.account_id))))
}

pub(super) fn not_found(cluster: &ClusterId) -> Failure {
    let message = format!("there is no cluster {cluster} of account {}", cluster.account_id);
    Failure::new(Exit::NotFound, "cluster.not_found", message)
        .hint("check name and region; `cortex cluster up -c cluster.yaml` makes one")
}

pub(super) async fn everything(name: &str, account: &Account, bucket: BucketName) -> Result<Vec<Observed>, Failure> {
    let cluster = account.cluster(name);
    let cloud = AwsCloud::new(account.clients.clone(), bucket, Arc::new(NoContents));
    let kinds: Vec<Kind> = Kind::WANTED.iter().chain(Kind::GROWN).copied().collect();
    let found = observe(&cloud, &cluster, &kinds, &Settings::new(rand::random())).await;
    let found = found.map_err(|error| account::cloud(&error))?;
    if found.is_empty() {
        return Err(not_found(&cluster));
    }
    Ok(found)
}

async fn in_bucket(account: &Account, name: &str, found: &[Observed]) -> Result<Known, Failure> {
    let incomplete = || {
        Failure::new(Exit::NotFound, "cluster.incomplete", format!("the cluster {name} was never made whole"))
            .hint("`cortex cluster up` finishes it, `cortex cluster down` removes it")
    };
    let bucket = found.iter().find(|found| found.key == Key::new(Kind::Bucket, &[])).ok_or_else(incomplete)?;
    let state = cluster_state(&account.config, &bucket.ids.id, Some(&account.caller.account_id));
    let (record, _) = read::<ClusterRecord>(&state, CLUSTER_KEY).await?.ok_or_else(incomplete)?;
    let certificate = read::<CaRecord>(&state, CA_KEY).await?.map(|(record, _)| record.certificate);
    let api_certificate = read::<ApiCertificate>(&state, CERTIFICATE_KEY).await?;
    let api_certificate = api_certificate.map(|(certificate, _)| certificate).unwrap_or_default();
    Ok(Known { record, api_certificate, certificate })
}
