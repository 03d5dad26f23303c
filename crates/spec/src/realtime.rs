//! A realtime API, checked and with every default filled in: what the rest of the product works with.
//!
//! This is also the form in which an API is kept in the State store and sent to the operator, so every field is
//! always written out and a field once published keeps its meaning.
//!
//! [`parse`] makes it from a `cortex.yaml`; [`Api::check`] holds one that came over the wire to the same rules.

mod check;
mod container;
mod emit;
mod hash;
mod legacy;
mod quantity;
mod rules;
mod written;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use container::{Container, PORT_MARK};
pub use emit::to_yaml;

use crate::{document::Document, problem::Invalid, schema};

/// One `kind: RealtimeAPI` of `cortex.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// DNS-1035 label of at most 42 characters, unique in a cluster.
    pub name: String,
    pub kind: Kind,
    /// Under its own name: `predictor` or `container`.
    #[serde(flatten)]
    pub program: Program,
    pub compute: Compute,
    pub networking: Networking,
    pub autoscaling: Autoscaling,
    pub update_strategy: UpdateStrategy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    #[serde(rename = "RealtimeAPI")]
    RealtimeApi,
}

/// What a replica runs to answer requests. Flattened into the document that it is part of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    Predictor(Predictor),
    Container(Container),
}

impl Program {
    pub fn predictor(&self) -> Option<&Predictor> {
        match self {
            Self::Predictor(predictor) => Some(predictor),
            Self::Container(_) => None,
        }
    }

    pub fn predictor_mut(&mut self) -> Option<&mut Predictor> {
        match self {
            Self::Predictor(predictor) => Some(predictor),
            Self::Container(_) => None,
        }
    }

    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Container(container) => Some(container),
            Self::Predictor(_) => None,
        }
    }

    /// A word for listings: `onnx`, `python` or `container`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Predictor(Predictor { r#type: PredictorType::Onnx, .. }) => "onnx",
            Self::Predictor(Predictor { r#type: PredictorType::Python, .. }) => "python",
            Self::Container(_) => "container",
        }
    }
}

/// A model, or a class that answers requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Predictor {
    pub r#type: PredictorType,
    /// The model file (`onnx`) or the Python file with the predictor class (`python`), relative to the project
    /// directory, which is the directory of `cortex.yaml`. Never absolute, never with `..`.
    pub path: String,
    /// Handed to the predictor class; free-form.
    pub config: Map<String, Value>,
    /// Environment variables of the predictor's processes.
    pub env: BTreeMap<String, String>,
    /// Directory put on `PYTHONPATH`, relative to the project directory; the project directory itself if absent.
    pub python_path: Option<String>,
    /// Worker processes of one replica (`python`), or sessions that run the model, each with its own copy of it (`onnx`);
    /// 1 to 100.
    pub processes_per_replica: u32,
    /// Requests one process answers at a time (`python`), or ONNX Runtime's intra-operator threads (`onnx`).
    pub threads_per_process: u32,
    /// Requests are answered many at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_batching: Option<ServerSideBatching>,
    /// Seconds that a worker process may work on a request (`python`), 1 to 86400; 300 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<u32>,
}

/// How requests are gathered for a predictor that answers many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSideBatching {
    /// 2 to 1024.
    pub max_batch_size: u32,
    /// The longest that a request waits for others, 1 to 60,000.
    pub batch_interval_millis: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PredictorType {
    Onnx,
    Python,
}

/// What one replica asks of its machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Thousandths of a core.
    pub cpu_millis: u32,
    /// Bytes.
    pub mem_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Networking {
    /// Path prefix under which the gateway serves the API; starts with `/`, does not end with one.
    pub endpoint: String,
    /// Seconds that a caller waits for the head of a response at most; the gateway's own limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Requests that one gateway has in flight at most; as many as come if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Requests that wait at one gateway while `max_in_flight` are in flight; only with that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queue_length: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Autoscaling {
    pub min_replicas: u32,
    pub max_replicas: u32,
    /// Requests in flight and waiting in one replica, 1 to 30,000; 1024 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replica_concurrency: Option<u32>,
}

/// How far an update may go above and below the wanted number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateStrategy {
    pub max_surge: Share,
    pub max_unavailable: Share,
}

/// A number of replicas, or a percentage of the wanted number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    Count(u32),
    Percent(u32),
}

impl Share {
    /// Of `wanted` replicas; a percentage rounds up if asked to, else down.
    fn of(self, wanted: u32, up: bool) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let hundredths = u64::from(wanted) * u64::from(percent);
                let share = if up { hundredths.div_ceil(100) } else { hundredths / 100 };
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }
}

impl UpdateStrategy {
    /// How many replicas may run above `wanted` during an update. At least 1 if none may be missing: an update has to be
    /// able to move.
    pub fn surge(&self, wanted: u32) -> u32 {
        match (self.max_surge.of(wanted, true), self.unavailable(wanted)) {
            (0, 0) => 1,
            (surge, _) => surge,
        }
    }

    /// How many of `wanted` replicas may be missing during an update.
    pub fn unavailable(&self, wanted: u32) -> u32 {
        self.max_unavailable.of(wanted, false)
    }
}

/// Reads a `cortex.yaml`: a list of APIs, at least one. `source_name` only serves messages.
///
/// # Errors
///
/// Every problem of the text.
pub fn parse(source_name: &str, text: &str) -> Result<Vec<Api>, Invalid> {
    let mut document = Document::parse("spec", source_name, text)?;
    let apis = check::read(&mut document);
    document.finish(apis)
}

/// The schema of `cortex.yaml`, for editors.
pub fn json_schema() -> Value {
    let schema = schema::of::<Vec<written::Api>>();
    schema::file(schema, "cortex.yaml", "APIs to deploy; see docs/reference/cortex-yaml.md.")
}
