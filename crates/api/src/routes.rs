//! `routes.json` and `keys.json`: everything a gateway needs to serve, written by the operator's reconciler.

use serde::{Deserialize, Serialize};
use transport::Address;

/// State key of the [`Routes`] document.
pub const ROUTES_KEY: &str = "routes.json";
/// State key of the [`Keys`] document.
pub const KEYS_KEY: &str = "keys.json";

/// What the gateways serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    pub apis: Vec<ApiRoute>,
}

/// One API. It stays listed while it has no replica, so that a gateway can tell "not ready" from "no such API".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRoute {
    pub name: String,
    /// Path prefix, matched at whole segments, longest first, and cut off before forwarding.
    pub endpoint: String,
    /// Replicas that may get requests now, in no particular order.
    pub replicas: Vec<ReplicaRoute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRoute {
    pub id: String,
    pub version: String,
    pub address: Address,
}

/// The API keys that gateways accept, as SHA-256 hashes: a key has 256 random bits, so a plain hash gives nothing away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub keys: Vec<KeyHash>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHash {
    pub id: String,
    /// Lower-case hex SHA-256 of the whole key as the client sends it.
    pub sha256: String,
}
