//! The engine with the permissions that `cortex cluster up` gives to control nodes, and no others.

use std::collections::BTreeMap;

use provision::{
    cloud::ClusterId,
    desired::{Artifact, Facts, Kept, desired, image_parameters},
    names,
    resource::{Key, Kind, Resource, Role},
};
use serde_json::json;
use spec::cluster::Provider;
use testkit::emulator::{Credentials, Emulator, Mode};

use crate::{
    a_little_life,
    ground::{Ground, delays, settings},
};

const CLUSTER: &str = "
cluster_name: test
region: us-east-1
availability_zones: [us-east-1a, us-east-1b]
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

/// As `up` would make them.
fn roles(account: &str) -> BTreeMap<Key, Role> {
    let cluster = spec::cluster::parse("cluster.yaml", CLUSTER).unwrap_or_else(|problems| panic!("{problems:?}"));
    let Provider::Aws(aws) = cluster.provider else { panic!("not for AWS") };
    let artifact = |name: &str| Artifact { name: name.to_owned(), sha256: "00".repeat(32) };
    let facts = Facts {
        account_id: account.to_owned(),
        partition: "aws".to_owned(),
        availability_zones: ["us-east-1a", "us-east-1b"].map(str::to_owned).into(),
        images: image_parameters(&aws).into_keys().map(|template| (template, "ami-1".to_owned())).collect(),
        node_binary: artifact("cortex"),
        onnxruntime: artifact("libonnxruntime.so"),
        uploads: Vec::new(),
        brought_network: None,
        existing_security_group: None,
        runtime_identity: None,
        kept: Kept::default(),
    };
    let graph = desired("test", &aws, &facts).unwrap_or_else(|problems| panic!("{problems:?}"));
    let nodes = graph.nodes.into_iter();
    nodes
        .filter_map(|(key, node)| if let Resource::Role(role) = node.resource { Some((key, role)) } else { None })
        .collect()
}

fn create(emulator: &Emulator, role: &Role) -> String {
    let policies: BTreeMap<_, _> =
        role.inline_policies.iter().map(|(name, policy)| (name.as_str(), policy.0.clone())).collect();
    let given = json!({ "name": role.name, "path": role.path, "trust": role.trust.0, "policies": policies });
    emulator.ask("roles/create", &given)["arn"].as_str().expect("it has an ARN").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_role_may_do_all_that_it_takes() {
    let emulator = Emulator::start(Mode::Strict, &delays());
    let id =
        ClusterId { name: "test".to_owned(), region: emulator.region.clone(), account_id: emulator.account.clone() };
    let roles = roles(&emulator.account);
    let role = |name| &roles[&Key::new(Kind::Role, &[name])];
    let task = create(&emulator, role("task"));
    let control = create(&emulator, role("control"));
    let credentials: Credentials = emulator.assume(&control, "operator");
    let ground = Ground::with(emulator, settings("test", &names::ecs_cluster(&id), &names::log_group(&id), task));
    ground.add_nodes().await;
    ground.logs.create_log_group().log_group_name(names::log_group(&id)).send().await.expect("a log group is made");
    a_little_life(&ground, &ground.engine_as(&credentials)).await;
    let calls = ground.emulator.calls();
    let denied = calls.iter().filter(|call| call.access_key_id == credentials.access_key_id && call.status >= 400);
    let denied: Vec<_> = denied.filter(|call| call.code.contains("AccessDenied")).map(|call| &call.action).collect();
    assert_eq!(denied, [""; 0]);
}
