//! The cluster as Terraform JSON: complete, closed, and fit to be shown.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provision::{
    desired::{Facts, Graph, desired},
    export::terraform_json,
    names::RESOURCE_TAG,
    resource::Kind,
};
use serde_json::Value;

use crate::ground::{BROUGHT, DEDICATED, HIGHLY_AVAILABLE, INTERNAL, PRIVATE, PUBLIC, SPOT, spec};

const SHAPES: [&str; 7] = [PUBLIC, PRIVATE, HIGHLY_AVAILABLE, INTERNAL, DEDICATED, BROUGHT, SPOT];

#[test]
fn public() {
    let graph = spec(PUBLIC).graph(&[], "1");
    let mut export = terraform_json(&graph);
    for template in export["resource"]["aws_launch_template"].as_object_mut().unwrap().values_mut() {
        // The text itself has a golden file of its own.
        let bytes = STANDARD.decode(template["user_data"].as_str().unwrap()).unwrap();
        let first = String::from_utf8(bytes).unwrap().lines().next().unwrap().to_owned();
        template["user_data"] = first.into();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&export).unwrap());
}

#[test]
fn every_resource_of_the_graph_is_in_it() {
    for (yaml, graph) in graphs() {
        let found: BTreeSet<String> =
            resources(&terraform_json(&graph)).iter().filter_map(|(_, body)| key_of(body)).collect();
        let wanted: BTreeSet<String> = graph.nodes.keys().map(ToString::to_string).collect();
        assert_eq!(found, wanted, "{yaml}");
    }
}

/// Terraform refuses what is not there, and what waits for itself.
#[test]
fn every_reference_leads_to_a_resource_that_comes_before() {
    for (yaml, graph) in graphs() {
        let mut waiting: BTreeMap<String, BTreeSet<String>> =
            resources(&terraform_json(&graph)).into_iter().map(|(address, body)| (address, needed(&body))).collect();
        for needs in waiting.values() {
            let missing: Vec<_> = needs.iter().filter(|need| !waiting.contains_key(*need)).collect();
            assert!(missing.is_empty(), "{missing:?} in {yaml}");
        }
        let mut done = BTreeSet::new();
        while !waiting.is_empty() {
            let before = done.len();
            done.extend(
                waiting
                    .iter()
                    .filter(|(_, needs)| needs.is_subset(&done))
                    .map(|(at, _)| at.clone())
                    .collect::<Vec<_>>(),
            );
            waiting.retain(|at, _| !done.contains(at));
            assert!(done.len() > before, "a cycle among {:?}", waiting.keys());
        }
    }
}

/// Every order that `up` keeps: by references of the resource or of its parts, by `depends_on`, or by way of others.
#[test]
fn every_dependency_is_in_it() {
    for (yaml, graph) in graphs() {
        let resources = resources(&terraform_json(&graph));
        let needs: BTreeMap<&String, BTreeSet<String>> =
            resources.iter().map(|(address, body)| (address, needed(body))).collect();
        let keys = resources.iter().filter_map(|(address, body)| Some((key_of(body)?, address)));
        let addresses: BTreeMap<String, &String> = keys.collect();
        for node in graph.nodes.values() {
            let own = addresses[node.key.as_str()];
            let parts = resources.iter().filter(|(at, body)| key_of(body).is_none() && needs[at].contains(own));
            let mut before: BTreeSet<&String> = parts.map(|(at, _)| at).chain([own]).collect();
            let mut reached = 0;
            while reached < before.len() {
                reached = before.len();
                before.extend(before.clone().into_iter().flat_map(|at| &needs[at]));
            }
            for dependency in node.dependencies() {
                let there = before.contains(addresses[dependency.as_str()]);
                assert!(there, "{dependency} of {} in {yaml}", node.key);
            }
        }
    }
}

#[test]
fn keys_that_the_cluster_runs_with_are_not_in_it() {
    let yaml = format!(
        "{PUBLIC}cortex_aws_access_key_id: AKIAIOSFODNN7EXAMPLE\ncortex_aws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
    );
    let spec = spec(&yaml);
    let identity = "arn:aws:iam::123456789012:user/cortex".to_owned();
    let facts = Facts { runtime_identity: Some(identity.clone()), ..spec.facts(&[], "1") };
    let text = terraform_json(&desired(&spec.name, &spec.aws, &facts).unwrap()).to_string();
    assert!(text.contains(&identity));
    assert!(!text.contains("wJalrXUtnFEMI") && !text.contains("AKIAIOSFODNN7EXAMPLE"));
}

fn graphs() -> impl Iterator<Item = (&'static str, Graph)> {
    SHAPES.into_iter().map(|yaml| (yaml, spec(yaml).graph(&[], "1")))
}

/// With their addresses, as in `aws_vpc.vpc`.
fn resources(export: &Value) -> Vec<(String, Value)> {
    let types = export["resource"].as_object().unwrap();
    let named = |(of, named): (&String, &Value)| {
        let named = named.as_object().unwrap().clone();
        named.into_iter().map(|(name, body)| (format!("{of}.{name}"), body)).collect::<Vec<_>>()
    };
    types.iter().flat_map(named).collect()
}

/// Of the resource that a block stands for; parts of one have none.
fn key_of(body: &Value) -> Option<String> {
    let mut tags = body["tag"].as_array().into_iter().flatten();
    if let Some(key) = body["tags"][RESOURCE_TAG].as_str() {
        Some(key.to_owned())
    } else if let Some(tag) = tags.find(|tag| tag["key"] == RESOURCE_TAG) {
        Some(text(&tag["value"]))
    } else if let Some(key) = body["key"].as_str() {
        Some(format!("{}/{key}", Kind::Object))
    } else {
        body.get("capacity_providers").map(|_| Kind::ClusterCapacity.to_string())
    }
}

/// Addresses of what has to exist first.
fn needed(body: &Value) -> BTreeSet<String> {
    let mut needed = body["depends_on"].as_array().into_iter().flatten().map(text).collect();
    collect(body, &mut needed);
    needed
}

/// `aws_vpc.vpc` of every `${aws_vpc.vpc.id}`.
fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let Some(reference) = text.strip_prefix("${") else { return };
            let (address, _) = reference.trim_end_matches('}').rsplit_once('.').unwrap();
            into.insert(address.to_owned());
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
        Value::Object(map) => map.values().for_each(|value| collect(value, into)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
