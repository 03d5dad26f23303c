//! What has become of a cluster since the last `up`.

use std::fmt;

use provision::{
    cloud::Observed,
    desired::Graph,
    diff::diff,
    plan::Plan,
    resource::{Key, Kind},
};
use serde::Serialize;

use super::{account::Account, bringing::graph, info::not_found, recorded::Recorded, state::cluster_state};
use crate::report::{Exit, Failure};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// What `up` with the same file would do.
    Plan(Plan),
    /// It could not: what differs cannot be brought back.
    Refused(String),
}

/// What the last `up` wanted.
pub async fn wanted(name: &str, account: &Account, found: &[Observed]) -> Result<Graph, Failure> {
    let cluster = account.cluster(name);
    let bucket = found.iter().find(|found| found.key == Key::new(Kind::Bucket, &[]));
    let bucket = bucket.map(|found| found.ids.id.as_str()).ok_or_else(|| not_found(&cluster))?;
    let state = cluster_state(&account.config, bucket, Some(&cluster.account_id));
    let recorded = Recorded::read(&state, &cluster).await?;
    graph(name, &recorded.aws, &recorded.facts(account, &cluster, bucket, found))
}

pub fn look(wanted: &Graph, found: &[Observed]) -> Drift {
    let observed: Vec<Observed> = found.iter().filter(|found| Kind::WANTED.contains(&found.kind)).cloned().collect();
    match diff(wanted, &observed) {
        Ok(plan) => Drift::Plan(plan),
        Err(refused) => Drift::Refused(refused.to_string()),
    }
}

impl Drift {
    pub fn judge(&self) -> Result<(), Failure> {
        match self {
            Self::Plan(plan) if plan.is_empty() => Ok(()),
            _ => Err(Failure::new(Exit::NotReady, "cluster.drift", "the cluster is not as its last `up` left it")
                .hint("`cortex cluster up` with its file brings it back")),
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(plan) if plan.is_empty() => f.write_str("drift: none, everything is as the last `up` left it"),
            Self::Plan(plan) => {
                write!(f, "drift: to bring it back, `up` would do this:\n{}", plan.to_string().trim_end())
            }
            Self::Refused(why) => write!(f, "drift: {why}"),
        }
    }
}
