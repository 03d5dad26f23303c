//! What clusters of several shapes look like in the account: golden pictures of the account's own answers, and the facts that
//! must never change with them.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;
use testkit::emulator::Mode;

use super::{
    ground::{Account, PUBLIC},
    shapes::{HIGHLY_AVAILABLE, INTERNAL, INTERNAL_APIS, PRIVATE, topology},
};

/// What differs between shapes; the rest is only in the picture of the first.
const SHAPE: [&str; 7] = [
    "auto scaling groups",
    "instances",
    "load balancers",
    "nat gateways",
    "security groups",
    "subnets",
    "vpc endpoints",
];

#[test]
fn a_highly_available_cluster_needs_no_zone_for_another() {
    let picture = picture_of(HIGHLY_AVAILABLE);
    assert_snapshot!(text(&picture, 0));
    private_nodes_are_private(&picture);
    white_lists_are_as_written(&picture);
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        let routes = texts(&picture["subnets"][format!("subnet/private/{zone}")]["routes"]);
        assert!(routes.contains(&format!("0.0.0.0/0 via nat-gateway/{zone}").as_str()), "{routes:?}");
        let subnet = &picture["nat gateways"][format!("nat-gateway/{zone}")]["subnet"];
        assert_eq!(*subnet, format!("subnet/public/{zone}"));
    }
}

#[test]
fn a_private_cluster_has_one_way_out_and_no_way_in_but_the_load_balancer() {
    let picture = picture_of(PRIVATE);
    assert_snapshot!(shape(&picture));
    private_nodes_are_private(&picture);
    white_lists_are_as_written(&picture);
}

#[test]
fn a_public_cluster_lets_in_nobody_but_its_load_balancer_either() {
    let picture = picture_of(PUBLIC);
    assert_snapshot!(shape(&picture));
    for instance in list(&picture["instances"]) {
        assert_eq!(instance["has a public address"], true, "there is no other way out");
    }
}

#[test]
fn apis_and_operator_are_apart_if_one_of_them_is_internal() {
    let picture = picture_of(INTERNAL_APIS);
    assert_snapshot!(shape(&picture));
    private_nodes_are_private(&picture);
    let balancers = &picture["load balancers"];
    assert_eq!(balancers["load-balancer/api"]["scheme"], "internal");
    assert_eq!(balancers["load-balancer/operator"]["scheme"], "internet-facing");
    let apis = &picture["security groups"]["security-group/load-balancer/api"];
    assert_eq!(rules(&apis["in"]), pairs(&[("tcp 443", "10.0.0.0/8"), ("tcp 80", "10.0.0.0/8")]));
    let operator = &picture["security groups"]["security-group/load-balancer/operator"];
    assert_eq!(rules(&operator["in"]), pairs(&[("tcp 443", "192.0.2.0/28")]));
}

#[test]
fn an_internal_cluster_faces_the_internet_nowhere() {
    let picture = picture_of(INTERNAL);
    assert_snapshot!(shape(&picture));
    private_nodes_are_private(&picture);
    for (name, balancer) in map(&picture["load balancers"]) {
        assert_eq!(balancer["scheme"], "internal", "{name}");
        assert!(texts(&balancer["subnets"]).iter().all(|subnet| subnet.starts_with("subnet/private/")), "{balancer}");
    }
}

/// Makes it, looks at it, and holds it to what is true of every shape.
fn picture_of(yaml: &str) -> Value {
    let account = Account::new(Mode::Strict);
    account.configure(yaml);
    account.make().ok();
    let picture = topology(&account.emulator);
    guarded(&picture);
    picture
}

/// Clients reach load balancers, those reach control nodes, those reach workers, and nobody reaches anything else.
fn guarded(picture: &Value) {
    let groups = &picture["security groups"];
    let balancers: BTreeSet<&str> =
        map(groups).map(|(name, _)| name).filter(|name| name.starts_with("security-group/load-balancer")).collect();
    for (_, from) in rules(&groups["security-group/control"]["in"]) {
        assert!(balancers.contains(from.as_str()), "{from} reaches control nodes");
    }
    let workers = rules(&groups["security-group/workers"]["in"]);
    assert_eq!(workers, pairs(&[("tcp 32768-65535", "security-group/control")]));
    // What nobody asked for lets nobody in and out.
    for group in list(&picture["security groups nobody asked for"]) {
        assert!(texts(&group["in"]).is_empty() && texts(&group["out"]).is_empty(), "{group}");
    }
    for (name, balancer) in map(&picture["load balancers"]) {
        let own = texts(&balancer["security groups"]);
        assert!(!own.is_empty() && own.iter().all(|group| balancers.contains(group)), "{name}: {own:?}");
    }
    for instance in list(&picture["instances"]) {
        let group = if instance["is"] == "instance/control" { "control" } else { "workers" };
        assert_eq!(texts(&instance["security groups"]), [format!("security-group/{group}")], "{instance}");
    }
    for (name, template) in map(&picture["launch templates"]) {
        assert_eq!(template["metadata"]["HttpTokens"], "required", "{name}");
        assert_eq!(template["metadata"]["HttpPutResponseHopLimit"], 1, "{name}: containers get past it");
        assert!(map(&template["volumes"]).all(|(_, volume)| volume["Encrypted"] == true), "{name}");
        assert_eq!(template["key pair"], Value::Null, "{name}");
    }
    let [bucket] = list(&picture["bucket"]) else { panic!("one bucket: {}", picture["bucket"]) };
    assert!(map(&bucket["public access block"]).all(|(_, on)| on == true), "{bucket}");
    // Every subnet reaches S3 without the internet.
    for (name, subnet) in map(&picture["subnets"]) {
        let s3 = "com.amazonaws.us-east-1.s3 via vpc-endpoint/s3";
        assert!(texts(&subnet["routes"]).contains(&s3), "{name}");
        assert_eq!(subnet["gives public addresses"], false, "{name}");
    }
}

fn private_nodes_are_private(picture: &Value) {
    let private = |subnet: &str| subnet.starts_with("subnet/private/");
    for (name, subnet) in map(&picture["subnets"]).filter(|(name, _)| private(name)) {
        let routes = texts(&subnet["routes"]);
        assert!(!routes.iter().any(|route| route.contains("internet-gateway")), "{name}: {routes:?}");
    }
    for (name, group) in map(&picture["auto scaling groups"]) {
        assert!(texts(&group["subnets"]).iter().all(|subnet| private(subnet)), "{name}");
    }
    let instances = list(&picture["instances"]);
    assert!(!instances.is_empty());
    for instance in instances {
        assert_eq!(instance["has a public address"], false, "{instance}");
        assert!(private(instance["subnet"].as_str().unwrap_or_default()), "{instance}");
    }
    for (name, template) in map(&picture["launch templates"]) {
        assert!(list(&template["interfaces"]).iter().all(|nic| nic["public address"] == false), "{name}");
    }
}

/// Of [`PRIVATE`] and [`HIGHLY_AVAILABLE`].
fn white_lists_are_as_written(picture: &Value) {
    let expected = pairs(&[
        ("tcp 443", "203.0.113.0/24"),
        ("tcp 443", "198.51.100.7/32"),
        ("tcp 80", "203.0.113.0/24"),
        ("tcp 80", "198.51.100.7/32"),
        ("tcp 8443", "192.0.2.0/28"),
    ]);
    assert_eq!(rules(&picture["security groups"]["security-group/load-balancer"]["in"]), expected);
}

/// What, and from or to whom.
fn rules(rules: &Value) -> BTreeSet<(String, String)> {
    let split = |rule: &str| {
        let (what, rest) = rule.split_once(" from ").or_else(|| rule.split_once(" to "))?;
        Some((what.to_owned(), rest.split_once(": ")?.0.to_owned()))
    };
    texts(rules).into_iter().map(|rule| split(rule).unwrap_or_else(|| panic!("this is no rule: {rule}"))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    pairs.iter().map(|(what, peer)| ((*what).to_owned(), (*peer).to_owned())).collect()
}

fn map(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let map = value.as_object().unwrap_or_else(|| panic!("this is no map: {value}"));
    map.iter().map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("this is no list: {value}"))
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

fn shape(picture: &Value) -> String {
    let chosen = map(picture).filter(|(name, _)| SHAPE.contains(name));
    let chosen = chosen.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    text(&Value::Object(chosen), 0)
}

/// Indented, one fact a line.
fn text(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let entry = |name: &str, value: &Value| match value {
        Value::Object(map) if !map.is_empty() => format!("{indent}{name}\n{}", text(value, depth + 1)),
        Value::Array(list) if !list.is_empty() => format!("{indent}{name}\n{}", text(value, depth + 1)),
        _ => format!("{indent}{name}: {}", text(value, 0)),
    };
    match value {
        Value::Object(map) if map.is_empty() => "none\n".to_owned(),
        Value::Array(list) if list.is_empty() => "none\n".to_owned(),
        Value::Object(map) => map.iter().map(|(name, value)| entry(name, value)).collect(),
        Value::Array(list) => list
            .iter()
            .map(|item| if item.is_object() { entry("-", item) } else { format!("{indent}{}", text(item, 0)) })
            .collect(),
        Value::Null => "none\n".to_owned(),
        Value::String(text) => format!("{text}\n"),
        other => format!("{other}\n"),
    }
}
