//! Every field of `cluster.yaml` on a living cluster: what another value does. `docs/aws.md`, "Changing a cluster", says
//! the same to users.

mod table;

use std::collections::BTreeMap;

use provision::{
    cloud::Observed,
    desired::{Facts, desired},
    diff::diff,
    plan::{Plan, Refused},
    sim::{SimCloud, SimOptions},
};
use serde_json::Value;

use crate::ground::{FOREIGN, PUBLIC, spec, touched};

enum Becomes {
    /// What is created, changed (with its fields), replaced and deleted; nothing else.
    Touches(&'static [&'static str]),
    /// The fields named in the refusal.
    Refuses(&'static [&'static str]),
}
use Becomes::{Refuses, Touches};
use table::TABLE;

/// What a living cluster of `yaml` makes of other words in the file.
struct Change {
    yaml: &'static str,
    fields: &'static [&'static str],
    old: &'static str,
    new: &'static str,
    becomes: Becomes,
}

fn described(plan: &Plan) -> Vec<String> {
    touched(plan).iter().map(|(key, told)| format!("{key} {told}")).collect()
}

async fn living(yaml: &str) -> Vec<Observed> {
    let (spec, cloud) = (spec(yaml), SimCloud::new(SimOptions::kind(1)));
    cloud.bring(FOREIGN);
    assert!(spec.up(&cloud).await.is_complete(), "{yaml}");
    spec.observe(&cloud).await
}

#[tokio::test(start_paused = true)]
async fn every_field() {
    let mut clusters: BTreeMap<&str, Vec<Observed>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for Change { yaml, fields, old, new, becomes } in TABLE {
        if !clusters.contains_key(yaml) {
            clusters.insert(yaml, living(yaml).await);
        }
        assert!(yaml.contains(old), "{old}");
        let new = if old.ends_with('\n') { format!("{old}{new}\n") } else { (*new).to_owned() };
        let result = spec(&yaml.replacen(old, &new, 1)).plan_of(&clusters[yaml], "1");
        let settings = |refused: &Refused| refused.0.iter().map(|refusal| refusal.setting.clone()).collect::<Vec<_>>();
        let right = match (&result, becomes) {
            (Ok(plan), Touches(expected)) => described(plan) == *expected,
            (Err(refused), Refuses(expected)) => settings(refused) == *expected,
            _ => false,
        };
        if !right {
            let found = result.map(|plan| described(&plan)).map_err(|refused| refused.to_string());
            wrong.push(format!("{fields:?}: {:?}: {found:#?}", new.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Another cluster's, or tried elsewhere: `tags` in `lifecycle`, the keys to run with below, by what they are known as.
const NOT_HERE: &[&str] =
    &["cluster_name", "provider", "region", "tags", "cortex_aws_access_key_id", "cortex_aws_secret_access_key"];

#[tokio::test(start_paused = true)]
async fn keys_to_run_with_change_what_the_role_may() {
    let (spec, observed) = (spec(PUBLIC), living(PUBLIC).await);
    let runtime_identity = Some("arn:aws:iam::123456789012:user/cortex".to_owned());
    let facts = Facts { runtime_identity, ..spec.facts(&observed, "1") };
    let plan = diff(&desired(&spec.name, &spec.aws, &facts).unwrap(), &observed).unwrap();
    assert_eq!(described(&plan), ["bucket policy.Statement", "role/control inline_policies.cortex.Statement"]);
}

/// A field that is added to the file has to be added to the table.
#[test]
fn no_field_is_left_out() {
    let schema = spec::cluster::json_schema();
    let aws = with_region(&schema).expect("the fields for AWS");
    let of = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut fields = of(aws);
    for group in ["spot_config", "control_plane"] {
        let group_fields = with(&aws["properties"][group], "properties").expect("fields of its own");
        fields.extend(of(group_fields).into_iter().map(|field| format!("{group}.{field}")));
    }
    let covered: Vec<&str> = TABLE.iter().flat_map(|change| change.fields).chain(NOT_HERE).copied().collect();
    fields.retain(|field| !covered.contains(&field.as_str()));
    assert!(fields.is_empty(), "{fields:?}");
}

fn with_region(schema: &Value) -> Option<&Value> {
    match schema.pointer("/properties/region") {
        Some(_) => Some(schema),
        None => children(schema).find_map(with_region),
    }
}

fn with<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    match schema.get(key) {
        Some(_) => Some(schema),
        None => children(schema).find_map(|child| with(child, key)),
    }
}

fn children(schema: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match schema {
        Value::Object(map) => Box::new(map.values()),
        Value::Array(list) => Box::new(list.iter()),
        _ => Box::new(std::iter::empty()),
    }
}
