//! What only AWS can tell, and what an earlier `up` has settled.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use spec::cluster::{Aws, Vpc};

use super::key;
use crate::{
    cloud::{Observed, State},
    resource::{Key, Kind, Resource},
};

/// What only AWS can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub account_id: String,
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: String,
    /// Those that offer every instance type of the cluster, in order. Not needed with subnets of the user's.
    pub availability_zones: Vec<String>,
    /// The image for each launch template, from the parameters that [`image_parameters`] names.
    /// Templates that [`Kept`] has an image for may be left out.
    pub images: BTreeMap<Key, String>,
    /// Fetched by every node when it boots.
    pub node_binary: Artifact,
    /// Fetched by every worker, for the containers that run there.
    pub onnxruntime: Artifact,
    /// What the cluster needs in its bucket before the first node boots.
    pub uploads: Vec<Upload>,
    /// Present if the user brings subnets.
    pub brought_network: Option<BroughtNetwork>,
    /// Id of the group that `security_group` names, if there is one that is not ours.
    pub existing_security_group: Option<String>,
    /// ARN of the user that the cluster runs as, if it does not run as its instance role.
    pub runtime_identity: Option<String>,
    /// From [`kept`].
    pub kept: Kept,
}

/// Found in the bucket as `bin/<sha256>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub name: String,
    /// Hexadecimal.
    pub sha256: String,
}

impl Artifact {
    pub fn object_key(&self) -> String {
        format!("bin/{}/{}", self.sha256, self.name)
    }
}

/// Written by the CLI; see [`Object`](crate::resource::Object).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub object_key: String,
    pub sha256: Option<String>,
    pub source: String,
    /// Needs the load balancers' DNS names, as inputs `api` and `operator`.
    pub endpoints: bool,
}

/// The VPC of the user's subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroughtNetwork {
    pub vpc_id: String,
    pub cidrs: Vec<Ipv4Net>,
}

/// Choices that were made once and stay, though AWS would answer otherwise by now: new images appear weekly, new zones
/// yearly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    pub availability_zones: BTreeSet<String>,
    /// Those that there are groups of: every zone of the cluster's offers them.
    pub instance_types: BTreeSet<String>,
    /// By launch template.
    pub images: BTreeMap<Key, String>,
}

/// What has been settled, by what exists.
pub fn kept(observed: &[Observed]) -> Kept {
    let mut kept = Kept::default();
    for found in observed.iter().filter(|found| found.state != State::Deleting) {
        match &found.actual {
            Some(Resource::Subnet(subnet)) => {
                kept.availability_zones.insert(subnet.availability_zone.clone());
            }
            Some(Resource::LaunchTemplate(template)) => {
                kept.images.insert(found.key.clone(), template.image_id.clone());
                kept.instance_types.insert(template.instance_type.clone());
            }
            Some(Resource::AutoScalingGroup(group)) => {
                kept.instance_types.extend(group.mixed.iter().flat_map(|mixed| mixed.instance_types.iter().cloned()));
            }
            _ => {}
        }
    }
    kept
}

/// The launch template of a node group, or of the control nodes.
pub fn template_key(node_group: Option<&str>) -> Key {
    match node_group {
        Some(name) => key(Kind::LaunchTemplate, &["node", name]),
        None => key(Kind::LaunchTemplate, &["control"]),
    }
}

/// Amazon Linux 2023, from "Get the latest AL2023 AMI", AL2023 user guide.
const CONTROL_IMAGE: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
/// "Retrieving Amazon ECS-optimized Linux AMI metadata", ECS developer guide.
const WORKER_IMAGE: &str = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id";
const GPU_IMAGE: &str = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id";

/// The public SSM parameter that names the image of each launch template.
pub fn image_parameters(aws: &Aws) -> BTreeMap<Key, &'static str> {
    let groups = aws.node_groups.iter().map(|group| {
        // The families with NVIDIA GPUs that `cluster.yaml` admits.
        let gpu = group.instance_type.starts_with(['g', 'p']);
        (template_key(Some(&group.name)), if gpu { GPU_IMAGE } else { WORKER_IMAGE })
    });
    groups.chain([(template_key(None), CONTROL_IMAGE)]).collect()
}

pub(super) fn image<'a>(facts: &'a Facts, template: &Key) -> Option<&'a String> {
    facts.kept.images.get(template).or_else(|| facts.images.get(template))
}

/// Enough for the loss of one; every further one costs a public address per load balancer.
const ZONES: usize = 2;

/// The zones of the cluster's own VPC: as written, else as before, else the first ones.
pub(super) fn zones(aws: &Aws, facts: &Facts) -> Vec<String> {
    match &aws.network.vpc {
        Vpc::Own { availability_zones, .. } if !availability_zones.is_empty() => availability_zones.clone(),
        Vpc::Own { .. } if facts.kept.availability_zones.len() >= ZONES => {
            facts.kept.availability_zones.iter().cloned().collect()
        }
        Vpc::Own { .. } => facts.availability_zones.iter().take(ZONES).cloned().collect(),
        Vpc::Brought { .. } => Vec::new(),
    }
}
