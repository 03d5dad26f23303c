//! What is allowed on what: one row for each set of actions that share resources and conditions.
//!
//! - What a call makes carries the cluster's tag from the first moment, so `aws:RequestTag` holds it; what is there is
//!   known by `aws:ResourceTag`. A condition key is only there for the resource types that take it: of `CreateSubnet` the
//!   subnet has the request's tags, and the VPC its own. So a call that makes something inside something is in two rows.
//! - Where names or paths are the cluster's alone, these are the resources.
//! - `*` stands where the Service Authorization Reference knows no resource type for an action, and for
//!   `ecs:DescribeCapacityProviders`, which is asked for all of them.
//! - IAM takes 6144 characters in a managed policy and all rows together have more: hence three documents, each a module.

mod network;
mod nodes;
mod storage;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Place;

/// Each with the grants in it, in the order of the pages.
const DOCUMENTS: [(&str, &[Grant]); 3] =
    [("create-network", network::GRANTS), ("create-storage", storage::GRANTS), ("create-nodes", nodes::GRANTS)];

/// "IAM and AWS STS quotas, character limits", IAM user guide; white space does not count.
#[cfg(test)]
pub(super) const MANAGED_POLICY_MAX: usize = 6144;

/// A policy document, to be attached with the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    pub name: &'static str,
    pub policy: Value,
}

/// What to ask `iam:SimulatePrincipalPolicy`: without its resources and condition keys even the right policy says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    pub actions: Vec<&'static str>,
    pub resources: Vec<String>,
    /// Condition keys, each with the values that a call of ours has.
    pub context: BTreeMap<&'static str, Vec<String>>,
}

/// Everything that `up`, `info`, `cert` and `down` of this cluster take.
pub fn policies(place: &Place) -> Vec<Document> {
    let document = |(name, grants): (&'static str, &[Grant])| {
        let statements: Vec<Value> = grants.iter().map(|grant| statement(grant, place)).collect();
        Document { name, policy: json!({ "Version": "2012-10-17", "Statement": statements }) }
    };
    DOCUMENTS.map(document).into()
}

pub fn simulations(place: &Place) -> Vec<Simulation> {
    let simulation = |grant: &Grant| Simulation {
        actions: grant.actions.to_vec(),
        resources: grant.resources.iter().map(|resource| place.fill(resource)).collect(),
        context: grant
            .conditions
            .iter()
            .map(|(_, key, values)| (*key, values.iter().map(|value| place.fill(value)).collect()))
            .collect(),
    };
    grants().map(simulation).collect()
}

#[cfg(test)]
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    grants().flat_map(|grant| grant.actions).copied()
}

fn grants() -> impl Iterator<Item = &'static Grant> {
    DOCUMENTS.into_iter().flat_map(|(_, grants)| grants)
}

fn statement(grant: &Grant, place: &Place) -> Value {
    let filled = |all: &[&str]| match all {
        [only] => json!(place.fill(only)),
        several => json!(several.iter().map(|one| place.fill(one)).collect::<Vec<_>>()),
    };
    let mut operators: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (operator, key, values) in grant.conditions {
        operators.entry(operator).or_default().insert((*key).to_owned(), filled(values));
    }
    let resource = filled(grant.resources);
    let mut statement =
        json!({ "Sid": grant.sid, "Effect": "Allow", "Action": filled(grant.actions), "Resource": resource });
    if !operators.is_empty() {
        statement["Condition"] = json!(operators);
    }
    statement
}

impl Place {
    fn fill(&self, text: &str) -> String {
        let pairs = [
            ("${PARTITION}", &self.partition),
            ("${REGION}", &self.region),
            ("${ACCOUNT_ID}", &self.account_id),
            ("${CLUSTER}", &self.cluster),
            ("${BUCKET}", &self.bucket),
        ];
        pairs.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

type Condition = (&'static str, &'static str, &'static [&'static str]);

struct Grant {
    sid: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    conditions: &'static [Condition],
}

const fn grant(
    sid: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    conditions: &'static [Condition],
) -> Grant {
    Grant { sid, actions, resources, conditions }
}

const EVERYTHING: &[&str] = &["*"];
const HERE: Condition = ("StringEquals", "aws:RequestedRegion", &["${REGION}"]);
/// What is there, is the cluster's.
const OURS: Condition = ("StringEquals", "aws:ResourceTag/cortex.dev/cluster-name", &["${CLUSTER}"]);
/// What is made, or tagged, will be the cluster's.
const TAGGED: Condition = ("StringEquals", "aws:RequestTag/cortex.dev/cluster-name", &["${CLUSTER}"]);
