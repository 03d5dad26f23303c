//! Prints a policy as it is committed in `docs/iam`: `cargo run -p provision --example iam create-network`.

use std::collections::BTreeMap;

use provision::{
    cloud::ClusterId,
    desired::{Artifact, Facts, Kept, desired, image_parameters},
    names,
    permissions::{self, Place},
    resource::{Policy, Resource, Role},
};
use serde_json::{Value, json};
use spec::cluster::Provider;

/// Names that nothing else is called, so that placeholders can take their place.
const CLUSTER: &str = "
cluster_name: placeholder-cluster
region: eu-south-2
availability_zones: [eu-south-2a, eu-south-2b]
bucket: placeholder-bucket
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";
const NAME: &str = "placeholder-cluster";
const REGION: &str = "eu-south-2";
const ACCOUNT: &str = "999999999999";

fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let create = permissions::policies(&Place::placeholders()).into_iter().find(|document| document.name == asked);
    let document = match asked.as_str() {
        "cli" => cli(),
        "control-node" => role("control"),
        "worker" => role("worker"),
        "replica" => role("task"),
        _ => create.map(|document| document.policy).unwrap_or_else(|| {
            eprintln!("usage: iam create-network|create-storage|create-nodes|control-node|worker|replica|cli");
            std::process::exit(2);
        }),
    };
    println!("{document:#}");
}

/// Whoever uses a cluster proves who he is by `sts:GetCallerIdentity`, which nobody needs a permission for. A policy has to
/// have a statement.
fn cli() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "ProveWhoYouAre",
        "Effect": "Allow",
        "Action": "sts:GetCallerIdentity",
        "Resource": "*",
    }] })
}

/// Whom a role trusts, and what it may do, as `up` makes it.
fn role(name: &str) -> Value {
    let id = ClusterId { name: NAME.to_owned(), region: REGION.to_owned(), account_id: ACCOUNT.to_owned() };
    let role = roles().remove(&names::role(&id, name)).expect("the cluster has this role");
    let [policy]: [Policy; 1] =
        role.inline_policies.into_values().collect::<Vec<_>>().try_into().expect("each role has one policy");
    let text = json!({ "trust": role.trust.0, "policy": policy.0 }).to_string();
    let mut pairs = vec![("arn:aws:".to_owned(), "arn:${PARTITION}:".to_owned())];
    for of in ["control", "worker", "task"] {
        pairs.push((names::role(&id, of), format!("cortex-${{CLUSTER}}-{of}-${{REGION}}-*")));
    }
    let rest = [("placeholder-bucket", "${BUCKET}"), (NAME, "${CLUSTER}"), (REGION, "${REGION}")];
    pairs.extend(rest.map(|(value, placeholder)| (value.to_owned(), placeholder.to_owned())));
    pairs.push((ACCOUNT.to_owned(), "${ACCOUNT_ID}".to_owned()));
    let text = pairs.iter().fold(text, |text, (value, placeholder)| text.replace(value, placeholder));
    serde_json::from_str(&text).expect("placeholders keep it JSON")
}

fn roles() -> BTreeMap<String, Role> {
    let cluster = spec::cluster::parse("cluster.yaml", CLUSTER).unwrap_or_else(|problems| panic!("{problems:?}"));
    let Provider::Aws(aws) = cluster.provider else { panic!("not for AWS") };
    let artifact = |name: &str| Artifact { name: name.to_owned(), sha256: "00".repeat(32) };
    let facts = Facts {
        account_id: ACCOUNT.to_owned(),
        partition: "aws".to_owned(),
        availability_zones: ["eu-south-2a", "eu-south-2b"].map(str::to_owned).into(),
        images: image_parameters(&aws).into_keys().map(|template| (template, "ami-1".to_owned())).collect(),
        node_binary: artifact("cortex"),
        onnxruntime: artifact("libonnxruntime.so"),
        uploads: Vec::new(),
        brought_network: None,
        existing_security_group: None,
        runtime_identity: None,
        kept: Kept::default(),
    };
    let graph = desired(NAME, &aws, &facts).unwrap_or_else(|problems| panic!("{problems:?}"));
    let roles = graph.nodes.into_values().filter_map(|node| match node.resource {
        Resource::Role(role) => Some((role.name.clone(), role)),
        _ => None,
    });
    roles.collect()
}
