//! The example file, the committed schemas and the reference pages say exactly what the code accepts.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use spec::{
    Invalid,
    cluster::{self, Provider},
    realtime,
};

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

fn example() -> String {
    read("cluster.yaml.example")
}

/// The AWS part: behind the first empty line after its heading, less the first `# ` of every line.
fn aws_example() -> String {
    let text = example();
    let (_, aws) = text.split_once("# ---- provider: aws").unwrap();
    let (_, aws) = aws.split_once("\n\n").unwrap();
    aws.lines().map(|line| line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap().to_owned() + "\n").collect()
}

#[test]
fn the_example_is_a_local_cluster_with_every_default() {
    let cluster = cluster::parse("cluster.yaml.example", &example()).unwrap();
    assert_eq!(cluster, cluster::parse("cluster.yaml", "provider: local").unwrap());
}

#[test]
fn the_aws_part_of_the_example_parses_when_uncommented() {
    let Provider::Aws(aws) = cluster::parse("aws.yaml", &aws_example()).unwrap().provider else {
        panic!("it says provider: aws");
    };
    assert_eq!(aws.node_groups.len(), 2);
}

#[test]
fn the_alternatives_of_the_aws_part_parse_too() {
    let flat = alternative("instance_type: m5.large", &["node_groups:"]);
    let Provider::Aws(aws) = cluster::parse("aws.yaml", &flat.replace("spot: false", "spot: true")).unwrap().provider
    else {
        panic!("it says provider: aws");
    };
    assert_eq!(aws.node_groups[0].name, "default");
    for (first, without) in [
        ("subnets:", &["availability_zones:", "vpc_cidr:", "nat_gateway:"][..]),
        ("security_group: my-group", &[]),
        ("ssl_certificate_arn: arn", &[]),
        ("bucket: my-cortex-bucket", &[]),
        ("aws_access_key_id: A", &[]),
        ("cortex_aws_access_key_id: A", &[]),
    ] {
        let text = alternative(first, without);
        // The paragraph on certificates holds two alternatives of which only one can be.
        let text: String = text
            .lines()
            .filter(|l| !l.starts_with("ssl_") || l.contains("arn"))
            .fold(String::new(), |t, l| t + l + "\n");
        cluster::parse("aws.yaml", &text).unwrap_or_else(|invalid| panic!("{first}: {invalid}\n{text}"));
    }
}

/// The AWS part with the commented-out paragraph of `first` in force, and without some top-level fields.
fn alternative(first: &str, without: &[&str]) -> String {
    let text = aws_example();
    let mut out = Vec::new();
    let (mut alternative, mut skipping) = (false, false);
    for line in text.lines() {
        alternative = line.starts_with(&format!("# {first}")) || alternative && line.starts_with("# ");
        skipping = without.iter().any(|key| line.starts_with(key)) || skipping && line.starts_with(' ');
        match line.strip_prefix("# ") {
            Some(field) if alternative => out.push(field),
            _ if skipping => {}
            _ => out.push(line),
        }
    }
    out.join("\n")
}

#[test]
fn the_example_and_the_reference_name_every_field() {
    let (example, cluster_page, cortex_page) =
        (example(), read("docs/reference/cluster-yaml.md"), read("docs/reference/cortex-yaml.md"));
    for name in names(&cluster::json_schema()) {
        assert!(example.contains(&format!("{name}:")), "cluster.yaml.example lacks {name}");
        assert!(cluster_page.contains(&name), "docs/reference/cluster-yaml.md lacks {name}");
    }
    for name in names(&realtime::json_schema()) {
        assert!(cortex_page.contains(&name), "docs/reference/cortex-yaml.md lacks {name}");
    }
}

#[test]
fn committed_schemas_are_current() {
    for (name, schema) in [("cluster", cluster::json_schema()), ("cortex", realtime::json_schema())] {
        let committed = read(&format!("docs/schema/{name}.schema.json"));
        assert_eq!(committed.trim_end(), format!("{schema:#}"), "run `cargo xtask generate`");
    }
}

#[test]
fn the_schema_has_exactly_the_accepted_keys() {
    for provider in ["then", "else"] {
        let schema = &cluster::json_schema()[provider];
        let name = if provider == "then" { "local" } else { "aws" };
        accepted(schema, &mut vec![], &|yaml| {
            let text = format!("{yaml}\nprovider: {name}\n").replace("provider: null\n", "");
            cluster::parse("cluster.yaml", &text).map(drop)
        });
    }
    accepted(&realtime::json_schema()["items"], &mut vec![], &|yaml| {
        let item = yaml.lines().fold(String::from("-\n"), |text, line| text + "  " + line + "\n");
        realtime::parse("cortex.yaml", &item).map(drop)
    });
}

/// Parses every mapping of the schema with all its properties (as nulls) and with one that it does not have, at its
/// place in the document.
fn accepted(schema: &Value, place: &mut Vec<String>, parse: &dyn Fn(&str) -> Result<(), Invalid>) {
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(schema["additionalProperties"], false, "{place:?}");
    let kinds = |keys: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        let document = at(place, &keys.map(|key| format!("{key}: null")).collect::<Vec<_>>());
        let problems = parse(&document).err().map(|invalid| invalid.problems().to_vec()).unwrap_or_default();
        problems.into_iter().map(|problem| problem.kind.split_once('.').unwrap().1.to_owned()).collect()
    };
    for wrong in ["unknown_field", "removed_field", "not_supported_yet", "field_of_other_provider", "wrong_type"] {
        assert!(!kinds(&mut properties.keys()).contains(&wrong.to_owned()), "{place:?}: {wrong}");
    }
    assert!(kinds(&mut [String::from("zzz")].iter()).contains(&"unknown_field".to_owned()), "{place:?}");
    for (name, property) in properties {
        let nested = if property["items"].is_object() { (&property["items"], "- ") } else { (property, "  ") };
        if nested.0["properties"].is_object() {
            place.push(format!("{name}:{}", nested.1));
            accepted(nested.0, place, parse);
            place.pop();
        }
    }
}

/// A document that has `lines` as the mapping at `place` (`key:` and how its value begins).
fn at(place: &[String], lines: &[String]) -> String {
    let mut text = lines.join("\n");
    for step in place.iter().rev() {
        let (key, begin) = step.split_at(step.len() - 2);
        let indented: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        let body = indented.join("\n");
        text = if begin == "- " { format!("{key}\n  -{}", &body[3..]) } else { format!("{key}\n{body}") };
    }
    text
}

/// Every property name of a schema.
fn names(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(properties) = schema["properties"].as_object().filter(|_| schema["additionalProperties"] == false) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(map) => map.values().for_each(|value| found.extend(names(value))),
        Value::Array(items) => items.iter().for_each(|value| found.extend(names(value))),
        _ => {}
    }
    found
}
