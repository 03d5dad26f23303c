//! Fields and words that cortex once knew, or that will come: what to say to those who write them.

use crate::problem::{Kind, Refusal};

/// A path below an API (or the beginning of one, with `*`) and what to do.
type Row = (&'static str, &'static str);

const NOT_YET: &[Row] = &[
    ("predictor.image", "the predictor runs in an environment made from requirements.txt: put what it needs there"),
    ("predictor.tensorflow_serving_image", "export the model to ONNX and use `type: onnx`"),
    ("predictor.signature_key", "export the model to ONNX and use `type: onnx`"),
    ("predictor.model_path", "use `path`, with a file of the project"),
    ("predictor.models", "an API serves one model: use `path`, and an API for each model"),
    ("predictor.multi_model_reloading", "an API serves one model: use `path`, and deploy again to change it"),
    ("predictor.dependencies", "put Python requirements in requirements.txt"),
    ("predictor.log_level", "remove it: everything the predictor prints is kept"),
    ("predictor.shm_size", "remove it"),
    ("predictor.protobuf_path", "remove it: APIs are served over HTTP"),
    ("handler", "use `predictor`: {type: python, path: ...}"),
    ("definition", "tasks are not served: only `kind: RealtimeAPI` is"),
    ("monitoring", "remove it: requests are counted, predictions are not looked into"),
    (
        "pod",
        "use `container`: `pod.containers[0].command` with its `args` is its `command`, `image`, `env` and `port` keep \
         their names, `max_concurrency` too; an API has one container, and there is no `max_queue_length`",
    ),
    ("container.name", "remove it: an API has one container"),
    ("container.args", "append them to `command`"),
    ("container.readiness_probe", "use `readiness_path`"),
    ("container.liveness_probe", "remove it: `readiness_path` is asked again and again"),
    (
        "container.max_queue_length",
        "remove it: `autoscaling.max_replica_concurrency` is the limit of what is passed on and waits, together",
    ),
    ("container.compute", "use `compute`, beside `container`"),
    ("networking.api_gateway", "remove it: the gateway serves HTTPS itself"),
    ("networking.local_port", "remove it: all APIs are served on one port, `lb_port` in cluster.yaml"),
    ("apis", "traffic cannot be split between APIs: give each API its own endpoint"),
    ("node_groups", "remove it: replicas run wherever there is room"),
    ("compute.node_groups", "remove it: replicas run wherever there is room"),
    ("compute.shm", "remove it"),
    (
        "autoscaling.*",
        "the number of replicas does not follow the load: set min_replicas and max_replicas to the same number",
    ),
];

/// Words of a field that are not served yet.
const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "kind",
        &["BatchAPI", "AsyncAPI", "TaskAPI", "TrafficSplitter", "APISplitter"],
        "only `kind: RealtimeAPI` is served",
    ),
    ("predictor.type", &["tensorflow"], "export the model to ONNX and use `type: onnx`"),
];

/// The autoscaler's fields of both eras; others below `autoscaling` are slips of the pen.
const AUTOSCALER: &[&str] = &[
    "init_replicas",
    "workers_per_replica",
    "target_replica_concurrency",
    "target_in_flight",
    "window",
    "downscale_stabilization_period",
    "upscale_stabilization_period",
    "max_downscale_factor",
    "max_upscale_factor",
    "downscale_tolerance",
    "upscale_tolerance",
];

pub(super) fn explain(path: &str, word: Option<&str>) -> Option<Refusal> {
    let path = path.strip_prefix("[].")?;
    if let Some(word) = word {
        let (_, words, help) = WORDS.iter().find(|(field, ..)| *field == path)?;
        let known = words.iter().find(|known| known.eq_ignore_ascii_case(word))?;
        let message = format!("`{known}` is not supported yet");
        return Some(Refusal::new(Kind::NotSupportedYet, message).help(*help));
    }
    let found = NOT_YET.iter().find(|(name, _)| match name.strip_suffix('*') {
        Some(start) => path.strip_prefix(start).is_some_and(|field| AUTOSCALER.contains(&field)),
        None => *name == path,
    });
    found.map(|(_, help)| Refusal::not_yet(*help))
}
