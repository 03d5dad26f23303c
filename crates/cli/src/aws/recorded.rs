//! What the last `up` wanted, kept in the bucket: so that a cluster can be compared with it without its file.

use api::cluster::{ApiCertificate, CLUSTER_KEY};
use identity::sts::OperatorAccess;
use provision::{
    cloud::{ClusterId, Observed},
    desired::{Artifact, BroughtNetwork, Facts, kept},
};
use serde::{Deserialize, Serialize};
use spec::cluster::Aws;
use state::{State, read};

use super::{NodeConfig, account::Account, artifacts::Upload, contents::ClusterContents, endpoints::Ports};
use crate::report::{Exit, Failure};

/// Object of the [`Recorded`].
pub const RECORDED_KEY: &str = "config/cluster.json";

/// `cluster.yaml`, checked and with its defaults, and what it was completed by. Nothing of it is secret: keys are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub aws: Aws,
    /// SHA-256 of what nodes run.
    pub node_binary: String,
    pub onnxruntime: String,
    /// Object with the keys that the cluster runs with.
    pub runtime_keys: Option<String>,
    pub runtime_identity: Option<String>,
    /// The VPC of the user's subnets.
    pub network: Option<BroughtNetwork>,
    /// Id of the group that `security_group` names, if it is not ours.
    pub security_group: Option<String>,
    pub certificate: ApiCertificate,
    /// `operator_access`, with everybody it names found.
    pub access: OperatorAccess,
}

impl Recorded {
    pub async fn read(state: &dyn State, cluster: &ClusterId) -> Result<Self, Failure> {
        if let Some((recorded, _)) = read::<Self>(state, RECORDED_KEY).await? {
            return Ok(recorded);
        }
        let message = format!("nothing is recorded of what the cluster {cluster} was made from");
        let hint = match state.get(CLUSTER_KEY).await? {
            Some(_) => "it was made by an older cortex: `cortex cluster up` records it",
            None => "it was never made whole: `cortex cluster up` finishes it, `cortex cluster down` removes it",
        };
        Err(Failure::new(Exit::NotFound, "cluster.not_recorded", message).hint(hint))
    }

    /// As `up` had them; what it kept is kept.
    pub fn facts(&self, account: &Account, cluster: &ClusterId, bucket: &str, observed: &[Observed]) -> Facts {
        let artifact = |name: &str, sha256: &str| Artifact { name: name.to_owned(), sha256: sha256.to_owned() };
        let files = [artifact("cortex", &self.node_binary), artifact(replica::LIBRARY, &self.onnxruntime)];
        let [node_binary, onnxruntime] = files.clone();
        let node = self.node(account, cluster, bucket);
        let files = files.map(|artifact| Upload { path: std::path::PathBuf::new(), artifact });
        let contents = ClusterContents::new(&node, self, &files.each_ref(), None, None, Ports::of(&self.aws));
        let kept = kept(observed);
        Facts {
            account_id: cluster.account_id.clone(),
            partition: account.caller.partition.clone(),
            availability_zones: kept.availability_zones.iter().cloned().collect(),
            images: std::collections::BTreeMap::new(),
            node_binary,
            onnxruntime,
            uploads: contents.objects(&node),
            brought_network: self.network.clone(),
            existing_security_group: self.security_group.clone(),
            runtime_identity: self.runtime_identity.clone(),
            kept,
        }
    }

    fn node(&self, account: &Account, cluster: &ClusterId, bucket: &str) -> NodeConfig {
        let mut node = NodeConfig::new(cluster, &account.caller.partition, bucket);
        node.runtime_keys = self.runtime_keys.clone();
        node.api_http = self.aws.api_http;
        node.telemetry = self.aws.telemetry.clone();
        node
    }
}
