//! What the credentials that make, change and remove a cluster have to be allowed.
//!
//! Two tables say it, each in one way: [`needs`] which action is for what kind of resource, and when, so that a denial
//! can be explained; [`grants`] on which resources and under which conditions each is allowed. [`policies`] are made of the
//! second, the pages of `docs/iam` of those. Tests hold the two together, and the emulator's record of calls holds them to
//! what the program does (`tests/e2e/aws/permissions.rs`).
//!
//! Which resource types and condition keys an action knows: "Actions, resources, and condition keys", Service Authorization
//! Reference.

mod grants;
mod needs;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

pub use grants::{Document, Simulation, policies, simulations};
pub use needs::{Purpose, Use};

use crate::{cloud::ClusterId, names};

/// Which cluster a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub partition: String,
    pub region: String,
    pub account_id: String,
    pub cluster: String,
    pub bucket: String,
}

impl Place {
    /// `bucket`: as `cluster.yaml` has it, if it does.
    pub fn new(partition: &str, cluster: &ClusterId, bucket: Option<&str>) -> Self {
        Self {
            partition: partition.to_owned(),
            region: cluster.region.clone(),
            account_id: cluster.account_id.clone(),
            cluster: cluster.name.clone(),
            bucket: bucket.map_or_else(|| names::bucket(cluster), str::to_owned),
        }
    }

    /// For pages: whoever uses them puts in his own.
    pub fn placeholders() -> Self {
        let [partition, region, account_id, cluster, bucket] =
            ["${PARTITION}", "${REGION}", "${ACCOUNT_ID}", "${CLUSTER}", "${BUCKET}"].map(str::to_owned);
        Self { partition, region, account_id, cluster, bucket }
    }
}

/// What one action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// By purpose, in the order in which they come up.
    pub uses: BTreeMap<Use, Vec<Purpose>>,
}

impl Need {
    /// Whether a cluster can be made, changed and removed without it: then only a check cannot be made.
    pub fn is_optional(&self) -> bool {
        self.uses.keys().all(|when| *when == Use::Check)
    }
}

/// "to make vpc, subnet; to change them"
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (when, purposes)) in self.uses.iter().enumerate() {
            let purposes: Vec<String> = purposes.iter().map(ToString::to_string).collect();
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}to {when} {}", purposes.join(", "))?;
        }
        Ok(())
    }
}

/// Every action, once, with what it is for.
pub fn actions() -> impl Iterator<Item = (&'static str, Need)> {
    let mut all: BTreeMap<&'static str, Need> = BTreeMap::new();
    for (purpose, when, action) in needs::rows() {
        let need = all.entry(action).or_insert_with(|| Need { uses: BTreeMap::new() });
        let purposes = need.uses.entry(when).or_default();
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    all.into_iter()
}

/// What an action is for, by the name that a denial gives it.
pub fn need(action: &str) -> Option<Need> {
    actions().find(|(name, _)| name.eq_ignore_ascii_case(action)).map(|(_, need)| need)
}

/// As IAM counts: "IAM and AWS STS character limits", IAM user guide, leaves out white space.
pub fn size(document: &Value) -> usize {
    document.to_string().chars().filter(|character| !character.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn cluster() -> ClusterId {
        // The longest that `cluster.yaml` admits, in the region with the longest name.
        ClusterId { name: "a".repeat(54), region: "ap-southeast-1".to_owned(), account_id: "123456789012".to_owned() }
    }

    #[test]
    fn what_is_needed_is_what_is_granted() {
        let needed: BTreeSet<&str> = actions().map(|(action, _)| action).collect();
        let granted: BTreeSet<&str> = grants::actions().collect();
        let ungranted: Vec<_> = needed.difference(&granted).collect();
        let unneeded: Vec<_> = granted.difference(&needed).collect();
        assert!(ungranted.is_empty() && unneeded.is_empty(), "not granted: {ungranted:?}; for nothing: {unneeded:?}");
    }

    #[test]
    fn every_document_is_small_enough_for_a_managed_policy() {
        for place in [Place::new("aws-us-gov", &cluster(), None), Place::placeholders()] {
            for document in policies(&place) {
                let size = size(&document.policy);
                assert!(size <= grants::MANAGED_POLICY_MAX, "{}: {size}", document.name);
            }
        }
    }

    #[test]
    fn a_denial_can_be_explained() {
        let need = need("ec2:createnatgateway").expect("it is in the table");
        assert_eq!(need.to_string(), "to make nat-gateway");
        assert!(!need.is_optional());
        assert!(super::need("pricing:GetProducts").expect("it is in the table").is_optional());
        assert_eq!(super::need("ec2:RequestSpotFleet"), None);
    }
}
