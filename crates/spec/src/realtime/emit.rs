//! APIs written down as a `cortex.yaml` again: what was deployed, for whoever has lost his own.

use serde_json::{Map, Value, json};

use super::{Api, Predictor, PredictorType, Program, Share};

/// A file that [`parse`](super::parse) reads as exactly these APIs.
pub fn to_yaml(apis: &[Api]) -> String {
    let all: Vec<Value> = apis.iter().map(written).collect();
    serde_saphyr::to_string(&all).expect("maps with string keys, numbers and text can be written")
}

/// Every field that the kind of predictor admits, defaults included.
fn written(api: &Api) -> Value {
    let Api { name, kind, program, compute, networking, autoscaling, update_strategy } = api;
    let mut asks = Map::from_iter([("cpu".to_owned(), json!(format!("{}m", compute.cpu_millis)))]);
    asks.extend(compute.mem_bytes.map(|bytes| ("mem".to_owned(), json!(bytes))));
    let mut served = Map::from_iter([("endpoint".to_owned(), json!(networking.endpoint))]);
    let limits = [
        ("timeout", networking.timeout),
        ("max_in_flight", networking.max_in_flight),
        ("max_queue_length", networking.max_queue_length),
    ];
    served.extend(limits.into_iter().filter_map(|(field, limit)| Some((field.to_owned(), json!(limit?)))));
    let mut of_replicas = Map::from_iter([
        ("min_replicas".to_owned(), json!(autoscaling.min_replicas)),
        ("max_replicas".to_owned(), json!(autoscaling.max_replicas)),
    ]);
    of_replicas.extend(autoscaling.max_replica_concurrency.map(|n| ("max_replica_concurrency".to_owned(), json!(n))));
    let (field, program) = match program {
        Program::Predictor(predictor) => ("predictor", self::predictor(predictor)),
        Program::Container(container) => ("container", container.written()),
    };
    json!({
        "name": name,
        "kind": kind,
        field: program,
        "compute": asks,
        "networking": served,
        "autoscaling": of_replicas,
        "update_strategy": {
            "max_surge": share(update_strategy.max_surge),
            "max_unavailable": share(update_strategy.max_unavailable),
        },
    })
}

fn predictor(predictor: &Predictor) -> Value {
    let mut of = Map::from_iter([
        ("type".to_owned(), json!(predictor.r#type)),
        ("path".to_owned(), json!(predictor.path)),
        ("env".to_owned(), json!(predictor.env)),
        ("processes_per_replica".to_owned(), json!(predictor.processes_per_replica)),
        ("threads_per_process".to_owned(), json!(predictor.threads_per_process)),
    ]);
    if predictor.r#type == PredictorType::Python {
        of.insert("config".to_owned(), json!(predictor.config));
        of.extend(predictor.request_timeout.map(|seconds| ("request_timeout".to_owned(), json!(seconds))));
        of.extend(predictor.server_side_batching.map(|batching| {
            let interval = format!("{}ms", batching.batch_interval_millis);
            let written = json!({ "max_batch_size": batching.max_batch_size, "batch_interval": interval });
            ("server_side_batching".to_owned(), written)
        }));
        of.extend(predictor.python_path.iter().map(|path| ("python_path".to_owned(), json!(path))));
    }
    of.into()
}

fn share(share: Share) -> Value {
    match share {
        Share::Count(count) => json!(count),
        Share::Percent(percent) => json!(format!("{percent}%")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let text = "
- name: plain
  kind: RealtimeAPI
  predictor: {type: onnx, path: model.onnx}
- name: everything
  kind: RealtimeAPI
  predictor:
    type: python
    path: src/predictor.py
    config: {threshold: 0.25, labels: ['yes', \"no\", '0x1f', ''], nested: {on: true, nothing: null}}
    env: {MODE: 'true', QUOTED: \"a: 'b' # c\", LINES: \"one\\ntwo\\n\", NUMBER: '012'}
    python_path: src
    processes_per_replica: 3
    threads_per_process: 2
    server_side_batching: {max_batch_size: 16, batch_interval: 0.025}
    request_timeout: 20
  compute: {cpu: 1.5, mem: 512Mi}
  networking: {endpoint: /a/b, timeout: 90, max_in_flight: 8, max_queue_length: 0}
  autoscaling: {min_replicas: 2, max_replicas: 2, max_replica_concurrency: 7}
  update_strategy: {max_surge: 1, max_unavailable: 10%}
- name: own
  kind: RealtimeAPI
  container: {command: [sh, -c, 'exec serve {port}'], image: a/b:1, port: 80, env: {A: b}, readiness_path: /up, max_concurrency: 9}
- name: least
  kind: RealtimeAPI
  container: {command: [serve]}
";
        let apis = parse("cortex.yaml", text).unwrap_or_else(|invalid| panic!("{invalid:?}"));
        let yaml = to_yaml(&apis);
        let again = parse("cortex.yaml", &yaml).unwrap_or_else(|invalid| panic!("{invalid:?}\n{yaml}"));
        assert_eq!(again, apis, "{yaml}");
    }
}
