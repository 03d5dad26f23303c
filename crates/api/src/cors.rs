//! Which web pages may call the APIs from a browser (CORS: the Fetch standard).
//!
//! One document of the operators has it, and the reconciler copies it into `routes.json`: so the gateways have nothing more to
//! look at, on AWS for money and every two seconds, and a gateway that says which routes it serves says this, too.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State key of [`CorsSettings`]. Below `apis/`, whose changes wake the reconciler.
pub const CORS_KEY: &str = "apis/cors.json";

/// `*` among the [`Cors::origins`]: every page.
pub const ANY_ORIGIN: &str = "*";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CorsSettings {
    /// For every API without a setting of its own, and where there is no API. Absent: as if there were no origins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cors>,
    /// By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apis: BTreeMap<String, Cors>,
}

impl CorsSettings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// As browsers write them (`https://host`, `http://host:port`), or [`ANY_ORIGIN`] alone. None: no page may call.
    pub origins: Vec<String>,
}
