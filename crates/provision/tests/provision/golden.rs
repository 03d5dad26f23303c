//! The plan as people read it, and what nodes and policies look like.

use std::time::Duration;

use provision::{
    plan::Plan,
    resource::{Key, Kind, Resource},
    sim::{SimCloud, SimOptions},
};

use crate::ground::{HIGHLY_AVAILABLE, PUBLIC, spec};

#[tokio::test(start_paused = true)]
async fn public_plan() {
    let cloud = SimCloud::new(SimOptions::kind(0));
    insta::assert_snapshot!(spec(PUBLIC).plan(&cloud, "1").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn highly_available_plan() {
    let cloud = SimCloud::new(SimOptions::kind(0));
    insta::assert_snapshot!(spec(HIGHLY_AVAILABLE).plan(&cloud, "1").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn changed_plan() {
    let cloud = SimCloud::new(SimOptions { lag: Duration::ZERO, ..SimOptions::kind(0) });
    assert!(spec(PUBLIC).up(&cloud).await.is_complete());
    let changed = PUBLIC.replace("m5.large", "m5.xlarge") + "api_load_balancer_cidr_white_list: [203.0.113.0/24]\n";
    insta::assert_snapshot!(spec(&changed).plan(&cloud, "2").await.unwrap());
}

#[test]
fn user_data() {
    let graph = spec(PUBLIC).graph(&[], "1");
    let node = &graph.nodes[&Key::new(Kind::LaunchTemplate, &["node", "cpu"])];
    let Resource::LaunchTemplate(template) = &node.resource else { panic!("{node:?}") };
    insta::assert_snapshot!(template.user_data);
}

#[test]
fn policies() {
    let graph = spec(PUBLIC).graph(&[], "1");
    let mut text = String::new();
    for node in graph.nodes.values() {
        let documents = match &node.resource {
            Resource::Role(role) => serde_json::json!({ "trust": role.trust, "inline": role.inline_policies }),
            Resource::Bucket(bucket) => serde_json::json!({ "policy": bucket.policy }),
            _ => continue,
        };
        text.push_str(&format!("{}\n{}\n", node.key, serde_json::to_string_pretty(&documents).unwrap()));
    }
    insta::assert_snapshot!(text);
}

/// `-o json`: everything in the plan can be read back.
#[tokio::test(start_paused = true)]
async fn a_plan_as_json() {
    let cloud = SimCloud::new(SimOptions::kind(0));
    assert!(spec(PUBLIC).up(&cloud).await.is_complete());
    let changed = PUBLIC.replace("name: cpu", "name: big");
    let plan = spec(&changed).plan(&cloud, "1").await.unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}
