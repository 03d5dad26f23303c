//! From what was written to the checked model: a list of APIs.

use std::collections::BTreeMap;

use super::{
    Api, Autoscaling, Compute, Kind, Networking, Predictor, PredictorType, Program, ServerSideBatching, Share,
    UpdateStrategy, container, legacy, quantity, rules, written,
};
use crate::{
    de::At,
    document::Document,
    problem::{Kind as ProblemKind, Refusal},
    rules::{api_name, within},
    yaml::{NodeId, Tree, Value},
};

const DEFAULT_CPU_MILLIS: u32 = 200;
const DEFAULT_SHARE: Share = Share::Percent(25);

pub(super) fn read(document: &mut Document<'_>) -> Option<Vec<Api>> {
    if let Value::Map(_) = document.tree().node(Tree::ROOT).value {
        let refusal = Refusal::new(ProblemKind::WrongType, "cortex.yaml is a list of APIs, this is a single mapping")
            .help("begin the API with `- ` and indent what follows by two more spaces");
        document.refuse(Tree::ROOT, refusal);
        return None;
    }
    let written: Vec<At<written::Api>> = document.read(&legacy::explain)?;
    if matches!(&document.tree().node(Tree::ROOT).value, Value::List(items) if items.is_empty()) {
        document
            .refuse(Tree::ROOT, Refusal::range("there is no API in this list").help("begin one with `- name: ...`"));
    }
    let (mut names, mut endpoints, mut apis) = (Vec::<At<String>>::new(), Vec::new(), Vec::new());
    for At { value, node } in written {
        let (api, name, written_endpoint) = api(document, value, node);
        // A default endpoint is only as good as its name, and repeats whatever that repeats.
        let named = name.as_ref().is_some_and(|name| names.iter().all(|other| other.value != name.value));
        if written_endpoint || named {
            endpoints.push(At { value: api.networking.endpoint.clone(), node: endpoint_node(document, node) });
        }
        if let (false, Err(refusal)) = (written_endpoint, rules::not_taken(&api.networking.endpoint)) {
            document.refuse(endpoint_node(document, node), refusal);
        }
        names.extend(name);
        apis.push(api);
    }
    document.distinct(&names, |name, line| {
        Refusal::new(ProblemKind::DuplicateValue, format!("`{name}` is already the name of the API in line {line}"))
            .help("give each API its own name")
    });
    document.distinct(&endpoints, |endpoint, line| {
        let message = format!("`{endpoint}` is already the endpoint of the API in line {line}");
        Refusal::new(ProblemKind::DuplicateValue, message).help("give each API its own `networking.endpoint`")
    });
    Some(apis)
}

/// Where an API says its endpoint, or the name that makes its default.
fn endpoint_node(document: &Document<'_>, api: NodeId) -> NodeId {
    let tree = document.tree();
    let written = tree.entry(api, "networking").and_then(|networking| tree.entry(networking.value, "endpoint"));
    written.or_else(|| tree.entry(api, "name")).map_or(api, |entry| entry.value)
}

/// The API, its name if that is good, and whether a good endpoint was written.
fn api(document: &mut Document<'_>, written: written::Api, node: NodeId) -> (Api, Option<At<String>>, bool) {
    let name = document.required(node, "name", written.name, "for example `name: digits`").and_then(|name| {
        let node = name.node;
        document.check(name, api_name).map(|value| At { value, node })
    });
    document.required(node, "kind", written.kind, "write `kind: RealtimeAPI`");
    let program = program(document, written.predictor, written.container, node);
    let plain_name = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
    let (networking, written_endpoint) = networking(document, written.networking, &plain_name);
    let api = Api {
        networking,
        name: plain_name,
        kind: Kind::RealtimeApi,
        program,
        compute: compute(document, written.compute),
        autoscaling: autoscaling(document, written.autoscaling),
        update_strategy: update_strategy(document, written.update_strategy),
    };
    (api, name, written_endpoint)
}

/// And whether a good endpoint was written.
fn networking(
    document: &mut Document<'_>,
    written: Option<At<written::Networking>>,
    api_name: &str,
) -> (Networking, bool) {
    let mut networking =
        Networking { endpoint: format!("/{api_name}"), timeout: None, max_in_flight: None, max_queue_length: None };
    let Some(At { value: written, node }) = written else { return (networking, false) };
    let endpoint = document.optional(written.endpoint, rules::endpoint);
    let written_endpoint = endpoint.is_some();
    networking.endpoint = endpoint.unwrap_or(networking.endpoint);
    networking.timeout = document.optional(written.timeout, within(1..=rules::MAX_TIMEOUT));
    let (limited, queued) = (written.max_in_flight.is_some(), written.max_queue_length.is_some());
    networking.max_in_flight = document.optional(written.max_in_flight, within(1..=rules::MAX_REQUESTS));
    networking.max_queue_length = document.optional(written.max_queue_length, within(0..=rules::MAX_REQUESTS));
    if queued && !limited {
        document.refuse_field(node, "max_queue_length", rules::queue_without_limit());
    }
    (networking, written_endpoint)
}

fn program(
    document: &mut Document<'_>,
    predictor: Option<At<written::Predictor>>,
    container: Option<At<written::Container>>,
    node: NodeId,
) -> Program {
    let (has_predictor, has_container) = (document.has(node, "predictor"), document.has(node, "container"));
    if has_predictor && has_container {
        document.refuse_field(node, "container", container::both());
    }
    let container = container::optional(document, container);
    match container {
        Some(container) if !has_predictor => Program::Container(container),
        None if has_container && !has_predictor => Program::Predictor(self::predictor(document, None)),
        _ => {
            let predictor = document.required(node, "predictor", predictor, container::missing());
            Program::Predictor(self::predictor(document, predictor))
        }
    }
}

fn predictor(document: &mut Document<'_>, written: Option<At<written::Predictor>>) -> Predictor {
    let mut predictor = Predictor {
        r#type: PredictorType::Python,
        path: String::new(),
        config: serde_json::Map::new(),
        env: BTreeMap::new(),
        python_path: None,
        processes_per_replica: 1,
        threads_per_process: 1,
        server_side_batching: None,
        request_timeout: None,
    };
    let Some(At { value: written, node }) = written else { return predictor };
    let r#type = document.required(node, "type", written.r#type, "`onnx` or `python`").map(|t| t.value);
    let path = document.required(node, "path", written.path, "the model, or the Python file with the predictor class");
    if let Some(path) = path {
        let fits = |path: String| {
            let path = rules::file_path(path)?;
            r#type.map_or(Ok(()), |t| rules::path_fits(t, &path)).map(|()| path)
        };
        predictor.path = document.check(path, fits).unwrap_or_default();
    }
    predictor.r#type = r#type.unwrap_or(predictor.r#type);
    predictor.config = written.config.map(|config| config.value).unwrap_or_default();
    predictor.env = written.env.map(|written| env(document, written)).unwrap_or_default();
    predictor.python_path = document.optional(written.python_path, rules::python_path);
    let processes = document.optional(written.processes_per_replica, within(1..=rules::MAX_PROCESSES));
    predictor.processes_per_replica = processes.unwrap_or(1);
    let threads = document.optional(written.threads_per_process, within(1..=rules::MAX_THREADS));
    predictor.threads_per_process = threads.unwrap_or(1);
    predictor.server_side_batching = batching(document, written.server_side_batching);
    predictor.request_timeout = document.optional(written.request_timeout, within(1..=rules::MAX_REQUEST_TIMEOUT));
    for field in predictor.foreign_fields() {
        document.refuse_field(node, field, rules::python_only(field));
    }
    predictor
}

fn batching(
    document: &mut Document<'_>,
    written: Option<At<written::ServerSideBatching>>,
) -> Option<ServerSideBatching> {
    let At { value: written, node } = written?;
    let size = document.required(node, "max_batch_size", written.max_batch_size, "for example `max_batch_size: 16`");
    let help = "for example `batch_interval: 10ms`";
    let interval = document.required(node, "batch_interval", written.batch_interval, help);
    let size = size.and_then(|size| document.check(size, within(rules::BATCH_SIZE)));
    let interval = interval.and_then(|interval| document.check(interval, quantity::batch_interval));
    Some(ServerSideBatching { max_batch_size: size?, batch_interval_millis: interval? })
}

pub(super) fn env(document: &mut Document<'_>, written: At<BTreeMap<String, At<String>>>) -> BTreeMap<String, String> {
    let At { value: written, node } = written;
    let mut env = BTreeMap::new();
    for (name, value) in written {
        if let Err(refusal) = rules::env_name(&name) {
            document.refuse_field(node, &name, refusal);
        }
        let checked = document.check(value, |value| rules::env_value(&value).map(|()| value));
        env.extend(checked.map(|value| (name, value)));
    }
    env
}

fn compute(document: &mut Document<'_>, written: Option<At<written::Compute>>) -> Compute {
    let mut compute = Compute { cpu_millis: DEFAULT_CPU_MILLIS, mem_bytes: None };
    let Some(At { value: written, .. }) = written else { return compute };
    compute.cpu_millis = document.optional(written.cpu, quantity::cpu).unwrap_or(DEFAULT_CPU_MILLIS);
    compute.mem_bytes = document.optional(written.mem, quantity::memory);
    for accelerator in [written.gpu, written.inf] {
        document.optional(accelerator, |count| match count {
            0 => Ok(()),
            1.. => Err(Refusal::not_yet("replicas run on processors only: remove it, or set it to 0")),
            _ => Err(Refusal::range(format!("{count} is out of range: it must be at least 0"))),
        });
    }
    compute
}

fn autoscaling(document: &mut Document<'_>, written: Option<At<written::Autoscaling>>) -> Autoscaling {
    let (min, max, concurrency) = written.map_or((None, None, None), |At { value: written, .. }| {
        (written.min_replicas, written.max_replicas, written.max_replica_concurrency)
    });
    let min_bad = min.is_some();
    let min = document.optional(min, rules::min_replicas);
    let min_bad = min_bad && min.is_none();
    let min_replicas = min.unwrap_or(1);
    let max = document.optional(max, |max| {
        let max_replicas = within(1..=rules::MAX_REPLICAS)(max)?;
        // Against a minimum that is refused there is nothing to compare.
        let fixed = if min_bad { Ok(()) } else { rules::fixed(min_replicas, max_replicas) };
        fixed.map(|()| max_replicas)
    });
    let max_replica_concurrency = document.optional(concurrency, within(1..=rules::MAX_REPLICA_CONCURRENCY));
    Autoscaling { min_replicas, max_replicas: max.unwrap_or(min_replicas), max_replica_concurrency }
}

fn update_strategy(document: &mut Document<'_>, written: Option<At<written::UpdateStrategy>>) -> UpdateStrategy {
    let default = UpdateStrategy { max_surge: DEFAULT_SHARE, max_unavailable: DEFAULT_SHARE };
    let Some(At { value: written, node }) = written else { return default };
    let strategy = UpdateStrategy {
        max_surge: document.optional(written.max_surge, quantity::share).unwrap_or(DEFAULT_SHARE),
        max_unavailable: document.optional(written.max_unavailable, quantity::share).unwrap_or(DEFAULT_SHARE),
    };
    if let Err(refusal) = rules::moves(strategy) {
        document.refuse(node, refusal);
    }
    strategy
}
