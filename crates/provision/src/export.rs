//! The wanted cluster as Terraform JSON: for people who read Terraform, and for the scanners that do.
//!
//! Not how a cluster is made: nothing here runs Terraform, and what this writes has no state. Every resource is there with all
//! of its settings, each link as a reference, each order that links do not show as `depends_on`. Two things are left out: what is
//! in the bucket's objects (certificates and keys are among it, and every node makes its own of them), and what grows while the
//! cluster runs.
//!
//! Names of resources and arguments: "AWS Provider", version 6, Terraform registry. Syntax: "JSON Configuration Syntax".

mod address;
mod balancing;
mod compute;
mod iam;
mod network;
mod storage;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use serde_json::{Map, Value, json};

use self::address::{Address, Addresses};
use crate::{
    desired::{Graph, Node},
    resource::{Desired, Key, Link, Resource},
};

/// One resource of Terraform's; several make up one of ours.
struct Block {
    r#type: &'static str,
    name: String,
    body: Value,
}

impl Block {
    fn path(&self) -> String {
        format!("{}.{}", self.r#type, self.name)
    }

    /// The one that stands for the resource: what references mean.
    fn of(own: &Address, body: Value) -> Self {
        Self { r#type: own.r#type, name: own.name.clone(), body }
    }

    /// A setting that Terraform has as a resource of its own.
    fn part(r#type: &'static str, own: &Address, body: Value) -> Self {
        Self { r#type, name: own.name.clone(), body }
    }

    /// One of several of its kind.
    fn named(r#type: &'static str, own: &Address, name: &str, body: Value) -> Self {
        Self { r#type, name: address::identifier(&format!("{}_{name}", own.name)), body }
    }
}

/// Everything `graph` has, as the content of one `*.tf.json`.
pub fn terraform_json(graph: &Graph) -> Value {
    let addresses = Addresses::of(graph);
    let described = graph.nodes.iter().map(|(key, node)| (key, blocks(node, &addresses)));
    let mut blocks: BTreeMap<&Key, Vec<Block>> = described.collect();
    order(graph, &mut blocks);
    let mut resources: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for Block { r#type, name, body } in blocks.into_values().flatten() {
        resources.entry(r#type).or_default().insert(name, address::resolved(body));
    }
    let cluster = &graph.cluster;
    let about = "as `cortex cluster up` makes it. For reading and for scanners: it is not managed by Terraform.";
    json!({
        "//": format!("cluster {cluster}, {about}"),
        "terraform": { "required_providers": { "aws": { "source": "hashicorp/aws", "version": ">= 6.0" } } },
        "provider": { "aws": { "region": cluster.region, "allowed_account_ids": [cluster.account_id] } },
        "resource": resources,
    })
}

/// Says of each resource what has to exist before it and is in none of its references: all of that, a route table with its
/// routes.
fn order(graph: &Graph, blocks: &mut BTreeMap<&Key, Vec<Block>>) {
    let paths: BTreeMap<&Key, Vec<String>> =
        blocks.iter().map(|(key, blocks)| (*key, blocks.iter().map(Block::path).collect())).collect();
    for (key, blocks) in blocks {
        let after: BTreeSet<&String> = unseen(&graph.nodes[*key]).iter().flat_map(|key| &paths[key]).collect();
        if !after.is_empty() {
            blocks[0].body["depends_on"] = json!(after);
        }
    }
}

fn unseen(node: &Node) -> BTreeSet<&Key> {
    let mut unseen: BTreeSet<&Key> = node.after.iter().collect();
    if let Resource::Object(object) = &node.resource {
        unseen.extend(object.inputs.values().filter_map(Link::key));
    }
    unseen
}

fn blocks(node: &Node, addresses: &Addresses) -> Vec<Block> {
    let own = addresses.of_key(&node.key);
    let mut blocks = described(node.resource.clone(), own, addresses);
    if !node.tags.is_empty() {
        let (setting, tags) = match node.resource {
            Resource::AutoScalingGroup(_) => ("tag", compute::group_tags(&node.tags)),
            _ => ("tags", json!(node.tags)),
        };
        blocks[0].body[setting] = tags;
    }
    blocks
}

/// At least the block that stands for the resource, which comes first.
fn described(resource: Desired, own: &Address, addresses: &Addresses) -> Vec<Block> {
    let mut refer = |link| Ok::<_, Infallible>(addresses.reference(&link));
    let resource = match resource.try_map(&mut refer) {
        Ok(resource) => resource,
        Err(never) => match never {},
    };
    match &resource {
        Resource::Vpc(of) => network::vpc(of, own),
        Resource::InternetGateway(of) => vec![Block::of(own, json!({ "vpc_id": of.vpc }))],
        Resource::Subnet(of) => network::subnet(of, own),
        Resource::ElasticIp(_) => vec![Block::of(own, json!({ "domain": "vpc" }))],
        Resource::NatGateway(of) => {
            vec![Block::of(own, json!({ "subnet_id": of.subnet, "allocation_id": of.elastic_ip }))]
        }
        Resource::RouteTable(of) => network::route_table(of, own),
        Resource::VpcEndpoint(of) => network::endpoint(of, own),
        Resource::SecurityGroup(of) => network::security_group(of, own),
        Resource::LoadBalancer(of) => balancing::load_balancer(of, own),
        Resource::TargetGroup(of) => balancing::target_group(of, own),
        Resource::Listener(of) => balancing::listener(of, own),
        Resource::Bucket(of) => storage::bucket(of, own),
        Resource::Object(of) => storage::object(of, own),
        Resource::LogGroup(of) => {
            vec![Block::of(own, json!({ "name": of.name, "retention_in_days": of.retention_days }))]
        }
        Resource::Role(of) => iam::role(of, own),
        Resource::InstanceProfile(of) => {
            vec![Block::of(own, json!({ "name": of.name, "path": of.path, "role": of.role }))]
        }
        Resource::LaunchTemplate(of) => compute::launch_template(of, own),
        Resource::AutoScalingGroup(of) => compute::group(of, own),
        Resource::EcsCluster(of) => compute::ecs_cluster(of, own),
        Resource::CapacityProvider(of) => compute::capacity_provider(of, own),
        Resource::ClusterCapacity(of) => {
            vec![Block::of(own, json!({ "cluster_name": of.cluster, "capacity_providers": of.providers }))]
        }
    }
}
