//! `cortex.yaml` as users write it. The documentation of each field is what editors show.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::{Map, Value};

use super::{Kind, PredictorType};
use crate::de::At;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    /// Name of the API: lower-case letters, digits and dashes; begins with a letter. Required.
    #[schemars(length(min = 1, max = 42))]
    pub(super) name: Option<At<String>>,
    /// Required.
    pub(super) kind: Option<At<Kind>>,
    /// The model or the class that answers requests. This or `container` is required.
    pub(super) predictor: Option<At<Predictor>>,
    /// A server of your own that answers requests, in place of `predictor`.
    pub(super) container: Option<At<Container>>,
    /// What one replica asks of its machine.
    pub(super) compute: Option<At<Compute>>,
    /// Where the API is served.
    pub(super) networking: Option<At<Networking>>,
    /// How many replicas there are.
    pub(super) autoscaling: Option<At<Autoscaling>>,
    /// How an update replaces replicas.
    pub(super) update_strategy: Option<At<UpdateStrategy>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Predictor {
    /// `onnx` serves a model file, `python` a predictor class. Required.
    pub(super) r#type: Option<At<PredictorType>>,
    /// The model (`onnx`) or the Python file with the class (`python`), relative to cortex.yaml. Required.
    pub(super) path: Option<At<String>>,
    /// Handed to the predictor class; free-form (`python` only).
    #[schemars(extend("default" = {}))]
    pub(super) config: Option<At<Map<String, Value>>>,
    /// Environment variables of the predictor's processes.
    #[schemars(extend("default" = {}))]
    pub(super) env: Option<At<BTreeMap<String, At<String>>>>,
    /// Directory put on PYTHONPATH, relative to cortex.yaml (`python` only). Default: the directory of cortex.yaml.
    pub(super) python_path: Option<At<String>>,
    /// Worker processes of one replica (`python`), or sessions that run the model, each with its own copy of it (`onnx`).
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(super) processes_per_replica: Option<At<i64>>,
    /// Requests one process answers at a time (`python`), or threads that compute one prediction (`onnx`).
    #[schemars(range(min = 1, max = 1024), extend("default" = 1))]
    pub(super) threads_per_process: Option<At<i64>>,
    /// Hands the predictor many requests at once (`python`), or runs the model on them together (`onnx`).
    pub(super) server_side_batching: Option<At<ServerSideBatching>>,
    /// Seconds that a request may be at work before its process is replaced (`python` only). Default: 300.
    #[schemars(range(min = 1, max = 86400))]
    pub(super) request_timeout: Option<At<i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSideBatching {
    /// Most requests at once (`python`), or most rows of the first dimension (`onnx`). Required.
    #[schemars(range(min = 2, max = 1024))]
    pub(super) max_batch_size: Option<At<i64>>,
    /// The longest that a request waits for others: seconds, or a text such as `10ms`. Required.
    pub(super) batch_interval: Option<At<Amount>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Container {
    /// Program and arguments; the server listens at the port that `{port}` and the variable PORT stand for. Required.
    pub(super) command: Option<At<Vec<String>>>,
    /// Container image that the command runs in (clusters on AWS only). Default: the cluster's image for replicas.
    #[schemars(length(max = 255))]
    pub(super) image: Option<At<String>>,
    /// Port at which the server listens in a container; on one machine each replica gets a free one.
    #[schemars(range(min = 1, max = 65535), extend("default" = 8080))]
    pub(super) port: Option<At<i64>>,
    /// Environment variables of the server.
    #[schemars(extend("default" = {}))]
    pub(super) env: Option<At<BTreeMap<String, At<String>>>>,
    /// Path whose status is below 400 when the server is ready. Default: it is ready when it takes connections.
    #[schemars(length(max = 1000))]
    pub(super) readiness_path: Option<At<String>>,
    /// Requests that one replica passes on at a time.
    #[schemars(range(min = 1, max = 30000), extend("default" = 1024))]
    pub(super) max_concurrency: Option<At<i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Compute {
    /// Processor cores: a number, or thousandths such as `200m`. At least 20m.
    #[schemars(extend("default" = "200m"))]
    pub(super) cpu: Option<At<Amount>>,
    /// Memory, such as `512Mi` or `1Gi`. At least 20Mi. Default: no request.
    pub(super) mem: Option<At<Amount>>,
    /// GPUs; only 0 is supported yet.
    #[schemars(range(min = 0, max = 0), extend("default" = 0))]
    pub(super) gpu: Option<At<i64>>,
    /// Inferentia chips; only 0 is supported yet.
    #[schemars(range(min = 0, max = 0), extend("default" = 0))]
    pub(super) inf: Option<At<i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Networking {
    /// Path under which the API is served. Default: `/<name>`.
    #[schemars(length(max = 1000))]
    pub(super) endpoint: Option<At<String>>,
    /// Seconds from the last byte of a request to the head of its response, waiting included. Default: 60.
    #[schemars(range(min = 1, max = 3600))]
    pub(super) timeout: Option<At<i64>>,
    /// Requests that one gateway has in flight at most. Default: no limit.
    #[schemars(range(min = 1, max = 100000))]
    pub(super) max_in_flight: Option<At<i64>>,
    /// Requests that wait at one gateway while `max_in_flight` are in flight. Default with `max_in_flight`: 100.
    #[schemars(range(min = 0, max = 100000))]
    pub(super) max_queue_length: Option<At<i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Autoscaling {
    /// Fewest replicas.
    #[schemars(range(min = 1, max = 10000), extend("default" = 1))]
    pub(super) min_replicas: Option<At<i64>>,
    /// Most replicas; has to equal `min_replicas` yet. Default: `min_replicas`.
    #[schemars(range(min = 1, max = 10000))]
    pub(super) max_replicas: Option<At<i64>>,
    /// Requests that one replica answers or lets wait at a time; more are refused. Default: 1024.
    #[schemars(range(min = 1, max = 30000))]
    pub(super) max_replica_concurrency: Option<At<i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateStrategy {
    /// Replicas above the wanted number during an update: a number, or a percentage such as `25%`.
    #[schemars(extend("default" = "25%"))]
    pub(super) max_surge: Option<At<Amount>>,
    /// Replicas that may be missing during an update: a number, or a percentage such as `25%`.
    #[schemars(extend("default" = "25%"))]
    pub(super) max_unavailable: Option<At<Amount>>,
}

/// A number, or a number with a unit.
pub(super) enum Amount {
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Fraction(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"] })
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a number with a unit")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
        Ok(Amount::Whole(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
        Ok(Amount::Fraction(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Amount, E> {
        Ok(Amount::Text(value.to_owned()))
    }
}
