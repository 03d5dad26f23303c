//! From a checked `cluster.yaml` and a few facts to every resource the cluster consists of.
//!
//! Pure: the same input gives the same graph, on any machine, at any time. What only AWS can tell comes in as [`Facts`].

mod balancing;
mod facts;
mod graph;
mod iam;
mod network;
mod nodes;
mod policies;
mod security;
mod storage;
mod user_data;

use std::collections::BTreeMap;

use spec::cluster::{Aws, Vpc};

pub use facts::{Artifact, BroughtNetwork, Facts, Kept, Upload, image_parameters, kept, template_key};
pub use graph::{Graph, Node};
use network::Network;

use crate::{
    cloud::ClusterId,
    names,
    resource::{Desired, Key, Kind, Link},
};

/// Why no graph can be made from these facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("{region} has {found} availability zones that offer every instance type of the cluster; two are needed")]
    TooFewZones { region: String, found: usize },
    #[error(
        "{zone} cannot be used: no availability zone of that name offers every instance type of the cluster; {usable} do"
    )]
    UnusableZone { zone: String, usable: String },
    #[error("no image was found for {template}")]
    NoImage { template: Key },
    #[error("nothing is known about the VPC of your subnets")]
    NoNetwork,
    #[error("security group `{id}` cannot be used: it is in another VPC than the one the cluster makes for itself")]
    ForeignSecurityGroup { id: String },
    #[error("the user data of {template} has {bytes} bytes; EC2 takes at most {max}")]
    UserDataTooLong { template: Key, bytes: usize, max: usize },
}

/// Everything the cluster consists of.
///
/// # Errors
///
/// Every reason why that cannot be said.
pub fn desired(name: &str, aws: &Aws, facts: &Facts) -> Result<Graph, Vec<Impossible>> {
    let cluster = ClusterId { name: name.to_owned(), region: aws.region.clone(), account_id: facts.account_id.clone() };
    let problems = impossible(aws, facts);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut build = Build { cluster: &cluster, aws, facts, nodes: BTreeMap::new() };
    let network = network::add(&mut build);
    let groups = security::add(&mut build, &network);
    let balancing = balancing::add(&mut build, &network, &groups);
    let storage = storage::add(&mut build, &balancing);
    let roles = iam::add(&mut build);
    nodes::add(&mut build, &nodes::Surroundings { network, groups, balancing, storage, roles });
    let nodes = build.nodes;
    let problems: Vec<Impossible> = nodes.values().filter_map(user_data::too_long).collect();
    match problems.is_empty() {
        true => Ok(Graph { cluster, nodes }),
        false => Err(problems),
    }
}

fn impossible(aws: &Aws, facts: &Facts) -> Vec<Impossible> {
    let mut problems = Vec::new();
    match &aws.network.vpc {
        Vpc::Own { availability_zones, .. } => {
            // Those that the cluster is in already stay, whatever new clusters could use.
            let usable = |zone: &&String| {
                facts.availability_zones.contains(zone) || facts.kept.availability_zones.contains(*zone)
            };
            for zone in availability_zones.iter().filter(|zone| !usable(zone)) {
                let (zone, usable) = (zone.clone(), facts.availability_zones.join(", "));
                problems.push(Impossible::UnusableZone { zone, usable });
            }
            let found = facts::zones(aws, facts).len();
            if found < 2 {
                problems.push(Impossible::TooFewZones { region: aws.region.clone(), found });
            }
            if let Some(spec::cluster::SecurityGroup::Id(id)) = &aws.security_group {
                problems.push(Impossible::ForeignSecurityGroup { id: id.clone() });
            }
        }
        Vpc::Brought { .. } if facts.brought_network.is_none() => problems.push(Impossible::NoNetwork),
        Vpc::Brought { .. } => {}
    }
    let missing = image_parameters(aws).into_keys().filter(|template| facts::image(facts, template).is_none());
    problems.extend(missing.map(|template| Impossible::NoImage { template }));
    problems
}

/// The graph in the making.
struct Build<'a> {
    cluster: &'a ClusterId,
    aws: &'a Aws,
    facts: &'a Facts,
    nodes: BTreeMap<Key, Node>,
}

impl Build<'_> {
    /// Adds a resource, with the tags that every resource has.
    fn add(&mut self, key: &Key, resource: Desired) {
        self.add_after(key, resource, &[]);
    }

    /// The same, for a resource that others must precede without being mentioned in it.
    fn add_after(&mut self, key: &Key, resource: Desired, after: &[&Key]) {
        let tags = if resource.kind().taggable() { self.tags(key) } else { BTreeMap::new() };
        let after = after.iter().map(|key| (*key).clone()).collect();
        self.nodes.insert(key.clone(), Node { key: key.clone(), tags, resource, after });
    }

    fn tags(&self, key: &Key) -> BTreeMap<String, String> {
        let mut tags = self.aws.tags.clone();
        tags.entry(names::NAME_TAG.to_owned()).or_insert_with(|| format!("{}/{key}", self.cluster.name));
        tags.insert(names::CLUSTER_TAG.to_owned(), self.cluster.name.clone());
        tags.insert(names::RESOURCE_TAG.to_owned(), key.as_str().to_owned());
        tags
    }
}

fn key(kind: Kind, parts: &[&str]) -> Key {
    Key::new(kind, parts)
}

fn ids<'a>(keys: impl IntoIterator<Item = &'a Key>) -> std::collections::BTreeSet<Link> {
    keys.into_iter().map(Link::id).collect()
}
