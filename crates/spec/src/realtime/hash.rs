//! Names for what is deployed: equal content has an equal name, whoever computes it.
//!
//! SHA-256 over canonical JSON: keys sorted, no white space, numbers as serde_json writes them. Changing what goes in gives
//! every API a new name and so replaces every replica at the next deploy; a test pins the present values.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Api, Program};

/// Hexadecimal digits that are kept: 128 bits, as in the old product.
const LENGTH: usize = 32;

impl Api {
    /// Changes when running replicas have to be replaced: with name, kind, predictor or container, compute, limits of a
    /// replica and bundle, but not with networking, number of replicas or update strategy.
    pub fn replica_hash(&self, bundle_sha256: &str) -> String {
        let Self { name, kind, program, compute, autoscaling, .. } = self;
        let (field, program) = match program {
            Program::Predictor(predictor) => ("predictor", json!(predictor)),
            Program::Container(container) => ("container", json!(container)),
        };
        let mut all =
            json!({ "name": name, "kind": kind, field: program, "compute": compute, "bundle": bundle_sha256 });
        // Not named when it is not set, or every API of before there was one would have another name.
        if let Some(most) = autoscaling.max_replica_concurrency {
            all["max_replica_concurrency"] = json!(most);
        }
        digest(all)
    }

    /// Changes with anything.
    pub fn spec_hash(&self, bundle_sha256: &str) -> String {
        digest(json!({ "api": self, "bundle": bundle_sha256 }))
    }
}

fn digest(mut value: Value) -> String {
    // Sorted already, unless some crate of the build asks serde_json to keep the order of insertion.
    value.sort_all_objects();
    let mut hash = hex::encode(Sha256::digest(value.to_string()));
    hash.truncate(LENGTH);
    hash
}
