//! Every rule of `cortex.yaml`: what it accepts, and what it refuses, where and as what; in the file and on the wire.
#![expect(clippy::unwrap_used, reason = "a test")]

use spec::realtime::{
    self, Api, Container, Kind, Predictor, PredictorType, Program, ServerSideBatching, Share, UpdateStrategy,
};

/// A change to an API.
type Damage = fn(&mut Api);

const ONNX: &str = "predictor: {type: onnx, path: m.onnx}";
const PYTHON: &str = "predictor: {type: python, path: p.py}";

/// A document of one API, each field on its own line.
fn document(name: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("  {field}\n")).collect();
    format!("- name: {name}\n{fields}")
}

fn api(fields: &[&str]) -> Result<Api, String> {
    let all: Vec<&str> = ["kind: RealtimeAPI"].iter().chain(fields).copied().collect();
    parse(&document("a", &all)).map(|mut apis| apis.remove(0))
}

fn predictor(api: &mut Api) -> &mut Predictor {
    api.program.predictor_mut().unwrap()
}

fn container(api: &mut Api) -> &mut Container {
    let Program::Container(container) = &mut api.program else { panic!("no container") };
    container
}

fn parse(text: &str) -> Result<Vec<Api>, String> {
    realtime::parse("cortex.yaml", text).map_err(|invalid| {
        let lines = invalid.problems().iter().map(|p| format!("{} {}", p.path, p.kind.strip_prefix("spec.").unwrap()));
        lines.collect::<Vec<_>>().join(", ")
    })
}

/// Rows of `field -> problem below [0]`, an empty string for none, beside `predictor`.
fn table(predictor: &[&str], rows: &[(&str, &str)]) {
    for (field, expected) in rows {
        let fields: Vec<&str> = predictor.iter().chain([field]).copied().collect();
        let expected = if expected.is_empty() { String::new() } else { format!("[0].{expected}") };
        assert_eq!(api(&fields).err().unwrap_or_default(), expected, "{field}");
    }
}

#[test]
fn defaults() {
    let mut api = api(&[ONNX]).unwrap();
    assert_eq!((api.name.as_str(), api.kind, api.networking.endpoint.as_str()), ("a", Kind::RealtimeApi, "/a"));
    let predictor = predictor(&mut api);
    assert_eq!((predictor.r#type, predictor.path.as_str()), (PredictorType::Onnx, "m.onnx"));
    assert_eq!((predictor.processes_per_replica, predictor.threads_per_process), (1, 1));
    assert!(predictor.config.is_empty() && predictor.env.is_empty() && predictor.python_path.is_none());
    assert_eq!((api.compute.cpu_millis, api.compute.mem_bytes), (200, None));
    assert_eq!((api.autoscaling.min_replicas, api.autoscaling.max_replicas), (1, 1));
    let quarter = UpdateStrategy { max_surge: Share::Percent(25), max_unavailable: Share::Percent(25) };
    assert_eq!(api.update_strategy, quarter);
}

#[test]
fn names() {
    for (name, expected) in [
        ("a", ""),
        ("a-1", ""),
        (&"a".repeat(42), ""),
        (&"a".repeat(43), "[0].name out_of_range"),
        ("1a", "[0].name invalid_value"),
        ("-a", "[0].name invalid_value"),
        ("a-", "[0].name invalid_value"),
        ("a_b", "[0].name invalid_value"),
        ("A", "[0].name invalid_value"),
        ("''", "[0].name invalid_value"),
        ("5", "[0].name wrong_type"),
        ("", "[0].name required_field"),
    ] {
        let text = document(name, &["kind: RealtimeAPI", ONNX]);
        assert_eq!(parse(&text).err().unwrap_or_default(), expected, "{name}");
    }
}

#[test]
fn lists() {
    let one = document("a", &["kind: RealtimeAPI", ONNX]);
    let other = document("b", &["kind: RealtimeAPI", ONNX]);
    let at = |name: &str, endpoint: &str| {
        document(name, &["kind: RealtimeAPI", ONNX, &format!("networking: {{endpoint: {endpoint}}}")])
    };
    for (text, expected) in [
        (format!("{one}{other}"), ""),
        (format!("{one}{one}"), "[1].name duplicate_value"),
        (format!("{}{}", at("a", "/x"), at("b", "/x/")), "[1].networking.endpoint duplicate_value"),
        (format!("{}{}", at("a", "/b"), other), "[1].name duplicate_value"),
        (format!("{one}{}", at("b", "/a")), "[1].networking.endpoint duplicate_value"),
        (format!("{}{}", at("a", "/x"), at("b", "/x/y")), ""),
        (document("metrics", &["kind: RealtimeAPI", ONNX]), "[0].name invalid_value"),
        (at("metrics", "/m"), ""),
        ("[]".to_owned(), " out_of_range"),
        ("- ~".to_owned(), "[0] wrong_type"),
        (format!("name: a\nkind: RealtimeAPI\n{ONNX}"), " wrong_type"),
        ("text".to_owned(), " wrong_type"),
    ] {
        assert_eq!(parse(&text).err().unwrap_or_default(), expected, "{text}");
    }
}

#[test]
fn required() {
    assert_eq!(parse("- {}").unwrap_err(), "[0] required_field, [0] required_field, [0] required_field");
    table(
        &[],
        &[
            (ONNX, ""),
            ("predictor:", "predictor required_field"),
            ("predictor: [onnx, m.onnx]", "predictor wrong_type"),
            ("predictor: {type: onnx}", "predictor required_field"),
            ("predictor: {path: m.onnx}", "predictor required_field"),
        ],
    );
    assert_eq!(parse(&document("a", &[ONNX])).unwrap_err(), "[0] required_field");
}

#[test]
fn kinds_and_types_that_are_not_served() {
    for kind in ["BatchAPI", "AsyncAPI", "TaskAPI", "TrafficSplitter", "APISplitter"] {
        let text = document("a", &[&format!("kind: {kind}"), ONNX]);
        assert_eq!(parse(&text).unwrap_err(), "[0].kind not_supported_yet");
    }
    assert_eq!(parse(&document("a", &["kind: Realtime", ONNX])).unwrap_err(), "[0].kind invalid_value");
    table(
        &[],
        &[
            ("predictor: {type: tensorflow, path: m.onnx}", "predictor.type not_supported_yet"),
            ("predictor: {type: torch, path: m.onnx}", "predictor.type invalid_value"),
            ("predictor: {type: onnx, path: m.onnx, image: x}", "predictor.image not_supported_yet"),
            ("predictor: {type: onnx, path: m.onnx, model_path: x}", "predictor.model_path not_supported_yet"),
            ("predictor: {type: onnx, path: m.onnx, models: {}}", "predictor.models not_supported_yet"),
            ("predictor: {type: onnx, path: m.onnx, pth: x}", "predictor.pth unknown_field"),
        ],
    );
    table(
        &[ONNX],
        &[
            ("monitoring: {model_type: classification}", "monitoring not_supported_yet"),
            ("container: {}", "container conflicting_fields, [0].container required_field"),
            ("pod: {port: 8080}", "pod not_supported_yet"),
            ("handler: {}", "handler not_supported_yet"),
            ("node_groups: [a]", "node_groups not_supported_yet"),
            ("networking: {api_gateway: none}", "networking.api_gateway not_supported_yet"),
            ("networking: {local_port: 8888}", "networking.local_port not_supported_yet"),
            ("compute: {gpu: 0, inf: 0}", ""),
            ("compute: {gpu: 1}", "compute.gpu not_supported_yet"),
            ("compute: {inf: 1}", "compute.inf not_supported_yet"),
            ("compute: {gpu: -1}", "compute.gpu out_of_range"),
            ("autoscaling: {target_in_flight: 4}", "autoscaling.target_in_flight not_supported_yet"),
            ("autoscaling: {window: 60s}", "autoscaling.window not_supported_yet"),
            ("autoscaling: {widow: 60s}", "autoscaling.widow unknown_field"),
        ],
    );
}

#[test]
fn predictors() {
    let onnx = |field: &str| format!("predictor: {{type: onnx, path: m.onnx, {field}}}");
    let python = |field: &str| format!("predictor: {{type: python, path: p.py, {field}}}");
    table(
        &[],
        &[
            (&python("processes_per_replica: 100"), ""),
            (&python("processes_per_replica: 101"), "predictor.processes_per_replica out_of_range"),
            (&python("processes_per_replica: 0"), "predictor.processes_per_replica out_of_range"),
            (&onnx("processes_per_replica: 1"), ""),
            (&onnx("processes_per_replica: 2"), ""),
            (&onnx("threads_per_process: 1024"), ""),
            (&onnx("threads_per_process: 0"), "predictor.threads_per_process out_of_range"),
            (&onnx("threads_per_process: 1025"), "predictor.threads_per_process out_of_range"),
            (&python("request_timeout: 86400"), ""),
            (&python("request_timeout: 0"), "predictor.request_timeout out_of_range"),
            (&onnx("request_timeout: 1"), "predictor.request_timeout conflicting_fields"),
            (&python("server_side_batching: {max_batch_size: 2, batch_interval: 0.001}"), ""),
            (&python("server_side_batching: {max_batch_size: 1024, batch_interval: 60}"), ""),
            (&python("server_side_batching: {max_batch_size: 2, batch_interval: 1.5s}"), ""),
            (&python("server_side_batching: {max_batch_size: 2}"), "predictor.server_side_batching required_field"),
            (
                &python("server_side_batching: {max_batch_size: 1, batch_interval: 1s}"),
                "predictor.server_side_batching.max_batch_size out_of_range",
            ),
            (
                &python("server_side_batching: {max_batch_size: 2, batch_interval: 61s}"),
                "predictor.server_side_batching.batch_interval out_of_range",
            ),
            (
                &python("server_side_batching: {max_batch_size: 2, batch_interval: 0.5ms}"),
                "predictor.server_side_batching.batch_interval invalid_value",
            ),
            (&onnx("server_side_batching: {max_batch_size: 2, batch_interval: 10ms}"), ""),
            (&python("config: {a: [1, {b: ~}], c: 1.5, d: true}"), ""),
            (&python("config: text"), "predictor.config wrong_type"),
            (&onnx("config: {}"), ""),
            (&onnx("config: {a: 1}"), "predictor.config conflicting_fields"),
            (&python("python_path: ./lib/"), ""),
            (&python("python_path: ."), ""),
            (&python("python_path: ../lib"), "predictor.python_path invalid_value"),
            (&onnx("python_path: lib"), "predictor.python_path conflicting_fields"),
            (&python("env: {A: b, _x: '', B2: '5'}"), ""),
            (&python("env: {CORTEX_A: b}"), "predictor.env.CORTEX_A invalid_value"),
            (&python("env: {2B: b}"), "predictor.env.2B invalid_value"),
            (&python("env: {A-B: b}"), "predictor.env.A-B invalid_value"),
            (&python("env: {A: 5}"), "predictor.env.A wrong_type"),
            (&python("env: {A: true}"), "predictor.env.A wrong_type"),
            (&python("env: {A: }"), "predictor.env.A wrong_type"),
            (&python(r#"env: {A: "\0"}"#), "predictor.env.A invalid_value"),
            (&python("env: [A]"), "predictor.env wrong_type"),
        ],
    );
    let parsed = api(&[&python("python_path: ./lib/, config: {a: [1, {b: ~}]}")]).unwrap().program;
    let parsed = parsed.predictor().unwrap();
    assert_eq!(parsed.python_path.as_deref(), Some("lib"));
    assert_eq!(serde_json::Value::from(parsed.config.clone()), serde_json::json!({"a": [1, {"b": null}]}));
}

#[test]
fn paths() {
    for (path, expected) in [
        ("m.onnx", ""),
        ("a/b/m.onnx", ""),
        ("./m", ""),
        ("'a b.onnx'", ""),
        ("/m.onnx", "invalid_value"),
        ("~/m.onnx", "invalid_value"),
        ("../m.onnx", "invalid_value"),
        ("a/../../m.onnx", "invalid_value"),
        ("a/..", "invalid_value"),
        ("s3://bucket/m.onnx", "invalid_value"),
        ("'C:\\m.onnx'", "invalid_value"),
        ("'a\\b'", "invalid_value"),
        ("'C:/m.onnx'", "invalid_value"),
        ("''", "invalid_value"),
        ("./", "invalid_value"),
        (r#""a\0b""#, "invalid_value"),
        ("predictor.py", "conflicting_fields"),
    ] {
        let predictor = format!("predictor: {{type: onnx, path: {path}}}");
        let expected = if expected.is_empty() { String::new() } else { format!("[0].predictor.path {expected}") };
        assert_eq!(api(&[&predictor]).err().unwrap_or_default(), expected, "{path}");
    }
    let python = api(&["predictor: {type: python, path: m.onnx}"]).unwrap_err();
    assert_eq!(python, "[0].predictor.path conflicting_fields");
    assert_eq!(predictor(&mut api(&["predictor: {type: onnx, path: ./a//m.onnx}"]).unwrap()).path, "a/m.onnx");
}

#[test]
fn compute() {
    for (cpu, millis) in [
        ("1", Some(1000)),
        ("0.5", Some(500)),
        ("500m", Some(500)),
        ("'2'", Some(2000)),
        ("'0.125'", Some(125)),
        ("20m", Some(20)),
        ("1.0", Some(1000)),
        ("19m", None),
        ("0", None),
        ("-1", None),
        ("0.0005", None),
        ("1.5m", None),
        ("+5m", None),
        ("1 core", None),
        ("''", None),
        ("m", None),
        ("99999999999", None),
        (".inf", None),
        ("1e3", Some(1_000_000)),
    ] {
        let found = api(&[ONNX, &format!("compute: {{cpu: {cpu}}}")]).ok().map(|api| api.compute.cpu_millis);
        assert_eq!(found, millis, "{cpu}");
    }
    for (mem, bytes) in [
        ("20Mi", Some(20 << 20)),
        ("512Mi", Some(512 << 20)),
        ("1Gi", Some(1 << 30)),
        ("1.5Gi", Some(3 << 29)),
        ("1G", Some(1_000_000_000)),
        ("100000K", Some(100_000_000)),
        ("41943040", Some(40 << 20)),
        ("1Ti", Some(1 << 40)),
        ("19Mi", None),
        ("20971519", None),
        ("1", None),
        ("1 Gi", None),
        ("1GB", None),
        ("1gi", None),
        ("-1Gi", None),
        ("Mi", None),
        ("99999999999999Ti", None),
        ("1.Gi", None),
    ] {
        let found = api(&[ONNX, &format!("compute: {{mem: {mem}}}")]).ok().map(|api| api.compute.mem_bytes.unwrap());
        assert_eq!(found, bytes, "{mem}");
    }
    assert_eq!(api(&[ONNX, "compute: {mem: null}"]).unwrap().compute.mem_bytes, None);
}

#[test]
fn endpoints() {
    let long = |n: usize| format!("/{}", "a".repeat(n - 1));
    for (endpoint, expected) in [
        ("/a", Ok("/a")),
        ("/a/", Ok("/a")),
        ("/v1.2/A_b-c", Ok("/v1.2/A_b-c")),
        ("/a/.hidden", Ok("/a/.hidden")),
        (&long(1000), Ok(long(1000).as_str())),
        (&long(1001), Err("out_of_range")),
        ("/", Err("invalid_value")),
        ("a", Err("invalid_value")),
        ("''", Err("invalid_value")),
        ("//a", Err("invalid_value")),
        ("/a//b", Err("invalid_value")),
        ("/a//", Err("invalid_value")),
        ("/./a", Err("invalid_value")),
        ("/a/..", Err("invalid_value")),
        ("/a/./b", Err("invalid_value")),
        ("/.cortex", Err("invalid_value")),
        ("/metrics", Err("invalid_value")),
        ("/metrics/", Err("invalid_value")),
        ("/healthz", Err("invalid_value")),
        ("/metrics/mine", Ok("/metrics/mine")),
        ("'/a?b'", Err("invalid_value")),
        ("/a%20b", Err("invalid_value")),
        ("/é", Err("invalid_value")),
    ] {
        let found = api(&[ONNX, &format!("networking: {{endpoint: {endpoint}}}")]).map(|api| api.networking.endpoint);
        let expected = expected.map(str::to_owned).map_err(|kind| format!("[0].networking.endpoint {kind}"));
        assert_eq!(found, expected, "{endpoint}");
    }
}

#[test]
fn replicas_and_updates() {
    table(
        &[ONNX],
        &[
            ("autoscaling: {min_replicas: 3}", ""),
            ("autoscaling: {max_replicas: 1}", ""),
            ("autoscaling: {min_replicas: 3, max_replicas: 3}", ""),
            ("autoscaling: {min_replicas: 0}", "autoscaling.min_replicas not_supported_yet"),
            ("autoscaling: {min_replicas: 0, max_replicas: 5}", "autoscaling.min_replicas not_supported_yet"),
            ("autoscaling: {min_replicas: -1}", "autoscaling.min_replicas out_of_range"),
            ("autoscaling: {min_replicas: 10001}", "autoscaling.min_replicas out_of_range"),
            ("autoscaling: {max_replicas: 2}", "autoscaling.max_replicas not_supported_yet"),
            ("autoscaling: {min_replicas: 2, max_replicas: 1}", "autoscaling.max_replicas conflicting_fields"),
            ("autoscaling: {max_replica_concurrency: 30000}", ""),
            ("autoscaling: {max_replica_concurrency: 0}", "autoscaling.max_replica_concurrency out_of_range"),
            ("autoscaling: {max_replica_concurrency: 30001}", "autoscaling.max_replica_concurrency out_of_range"),
            ("update_strategy: {max_surge: 1, max_unavailable: 0}", ""),
            ("update_strategy: {max_surge: 100%, max_unavailable: '2'}", ""),
            ("update_strategy: {max_surge: 0%, max_unavailable: 0}", "update_strategy conflicting_fields"),
            ("update_strategy: {max_surge: 101%}", "update_strategy.max_surge out_of_range"),
            ("update_strategy: {max_surge: -1}", "update_strategy.max_surge invalid_value"),
            ("update_strategy: {max_surge: 1.5}", "update_strategy.max_surge invalid_value"),
            ("update_strategy: {max_unavailable: a few}", "update_strategy.max_unavailable invalid_value"),
            ("update_strategy: {max_unavailable: true}", "update_strategy.max_unavailable wrong_type"),
        ],
    );
    assert_eq!(api(&[ONNX, "autoscaling: {min_replicas: 3}"]).unwrap().autoscaling.max_replicas, 3);
}

#[test]
fn updates_can_always_move() {
    use Share::{Count, Percent};
    for (max_surge, max_unavailable, wanted, surge, unavailable) in [
        (Percent(25), Percent(25), 1, 1, 0),
        (Percent(25), Percent(25), 4, 1, 1),
        (Percent(25), Percent(25), 10, 3, 2),
        (Count(0), Percent(25), 1, 1, 0),
        (Count(0), Percent(25), 4, 0, 1),
        (Count(0), Count(1), 1, 0, 1),
        (Count(2), Count(0), 1, 2, 0),
        (Percent(100), Percent(100), u32::MAX, u32::MAX, u32::MAX),
        (Percent(25), Percent(25), 0, 1, 0),
    ] {
        let strategy = UpdateStrategy { max_surge, max_unavailable };
        assert_eq!(
            (strategy.surge(wanted), strategy.unavailable(wanted)),
            (surge, unavailable),
            "{strategy:?} {wanted}"
        );
    }
}

#[test]
fn the_wire_answers_to_the_same_rules() {
    let good = api(&[PYTHON, "compute: {mem: 1Gi}"]).unwrap();
    good.check().unwrap();
    let broken: [(&str, Damage); 26] = [
        ("name: ", |a| a.name = "A".into()),
        ("predictor.path: ", |a| predictor(a).path = "../x".into()),
        ("predictor.path: ", |a| predictor(a).path = "./x".into()),
        ("predictor.path: ", |a| predictor(a).path = "x.onnx".into()),
        ("predictor.path: ", |a| predictor(a).path = String::new()),
        ("predictor.python_path: ", |a| predictor(a).python_path = Some("/x".into())),
        ("predictor.env.CORTEX_X: ", |a| drop(predictor(a).env.insert("CORTEX_X".into(), String::new()))),
        ("predictor.env.X: ", |a| drop(predictor(a).env.insert("X".into(), "\0".into()))),
        ("predictor.processes_per_replica: ", |a| predictor(a).processes_per_replica = 101),
        ("predictor.threads_per_process: ", |a| predictor(a).threads_per_process = 0),
        ("predictor.request_timeout: ", |a| predictor(a).request_timeout = Some(0)),
        ("predictor.server_side_batching.max_batch_size: ", |a| {
            let batching = ServerSideBatching { max_batch_size: 1, batch_interval_millis: 1 };
            predictor(a).server_side_batching = Some(batching);
        }),
        ("predictor.server_side_batching.batch_interval: ", |a| {
            let batching = ServerSideBatching { max_batch_size: 2, batch_interval_millis: 0 };
            predictor(a).server_side_batching = Some(batching);
        }),
        ("autoscaling.max_replica_concurrency: ", |a| a.autoscaling.max_replica_concurrency = Some(30_001)),
        ("compute.cpu: ", |a| a.compute.cpu_millis = 19),
        ("compute.mem: ", |a| a.compute.mem_bytes = Some(1)),
        ("networking.endpoint: ", |a| a.networking.endpoint = "/a/".into()),
        ("networking.endpoint: ", |a| a.networking.endpoint = "/.x".into()),
        ("networking.timeout: ", |a| a.networking.timeout = Some(0)),
        ("networking.max_in_flight: ", |a| a.networking.max_in_flight = Some(100_001)),
        ("networking.max_queue_length: ", |a| {
            (a.networking.max_in_flight, a.networking.max_queue_length) = (Some(1), Some(100_001));
        }),
        ("networking.max_queue_length: ", |a| a.networking.max_queue_length = Some(1)),
        ("autoscaling.min_replicas: ", |a| a.autoscaling.min_replicas = 0),
        ("autoscaling.max_replicas: ", |a| a.autoscaling.max_replicas = 2),
        ("update_strategy.max_surge: ", |a| a.update_strategy.max_surge = Share::Percent(101)),
        ("update_strategy: ", |a| {
            a.update_strategy = UpdateStrategy { max_surge: Share::Count(0), max_unavailable: Share::Percent(0) };
        }),
    ];
    for (path, damage) in broken {
        let mut api = good.clone();
        damage(&mut api);
        let message = api.check().unwrap_err();
        assert!(message.starts_with(path), "{message}");
    }
    let mut onnx = api(&[ONNX]).unwrap();
    predictor(&mut onnx).python_path = Some("lib".to_owned());
    assert!(onnx.check().unwrap_err().starts_with("predictor.python_path: "));
}

#[test]
fn limits_of_the_gateway() {
    let limits = |fields: &str| {
        let networking = api(&[ONNX, &format!("networking: {{{fields}}}")])?.networking;
        Ok((networking.timeout, networking.max_in_flight, networking.max_queue_length))
    };
    for (fields, expected) in [
        ("", Ok((None, None, None))),
        ("timeout: 1", Ok((Some(1), None, None))),
        ("timeout: 3600, max_in_flight: 1, max_queue_length: 0", Ok((Some(3600), Some(1), Some(0)))),
        ("max_in_flight: 100000, max_queue_length: 100000", Ok((None, Some(100_000), Some(100_000)))),
        ("timeout: 0", Err("timeout out_of_range")),
        ("timeout: 3601", Err("timeout out_of_range")),
        ("timeout: 1.5", Err("timeout wrong_type")),
        ("max_in_flight: 0", Err("max_in_flight out_of_range")),
        ("max_in_flight: 1, max_queue_length: -1", Err("max_queue_length out_of_range")),
        ("max_queue_length: 5", Err("max_queue_length conflicting_fields")),
    ] {
        let expected = expected.map_err(|problem| format!("[0].networking.{problem}"));
        assert_eq!(limits(fields), expected, "{fields}");
    }
}

#[test]
fn hashes_change_with_what_they_stand_for() {
    let api = api(&[PYTHON]).unwrap();
    let hashes = |api: &Api, bundle: &str| (api.replica_hash(bundle), api.spec_hash(bundle));
    let before = hashes(&api, "b");
    insta::assert_snapshot!(format!("{} {}", before.0, before.1), @"58afda9c2b5a72d0268a9bca381d4621 3c7c967b33993f90ed3388063fdfda9a");
    let both: [Damage; 8] = [
        |a| predictor(a).request_timeout = Some(300),
        |a| {
            let batching = ServerSideBatching { max_batch_size: 2, batch_interval_millis: 1 };
            predictor(a).server_side_batching = Some(batching);
        },
        |a| a.autoscaling.max_replica_concurrency = Some(1024),
        |a| a.name.push('x'),
        |a| predictor(a).path.push('x'),
        |a| drop(predictor(a).config.insert("k".into(), 1.into())),
        |a| drop(predictor(a).env.insert("K".into(), "v".into())),
        |a| a.compute.cpu_millis += 1,
    ];
    for change in both {
        let mut changed = api.clone();
        change(&mut changed);
        let after = hashes(&changed, "b");
        assert!(after.0 != before.0 && after.1 != before.1, "{changed:?}");
    }
    let spec_only: [Damage; 4] = [
        |a| a.networking.endpoint.push('x'),
        |a| a.networking.timeout = Some(1),
        |a| a.autoscaling.max_replicas = 7,
        |a| a.update_strategy.max_surge = Share::Count(1),
    ];
    for change in spec_only {
        let mut changed = api.clone();
        change(&mut changed);
        let after = hashes(&changed, "b");
        assert!(after.0 == before.0 && after.1 != before.1, "{changed:?}");
    }
    let other_bundle = hashes(&api, "c");
    assert!(other_bundle.0 != before.0 && other_bundle.1 != before.1);
    assert!(before.0.len() == 32 && before.0.bytes().all(|b| b.is_ascii_hexdigit()));
}

const OWN: &str = "container: {command: [serve, '--port={port}']}";

#[test]
fn own_servers() {
    let mut plain = api(&[OWN]).unwrap();
    let want = Container {
        command: vec!["serve".to_owned(), "--port={port}".to_owned()],
        image: None,
        port: 8080,
        env: std::collections::BTreeMap::new(),
        readiness_path: None,
        max_concurrency: 1024,
    };
    assert_eq!(*container(&mut plain), want);
    let own = |field: &str| format!("container: {{command: [serve], {field}}}");
    table(
        &[],
        &[
            (&own("image: 'registry.example:5000/a/b@sha256:0'"), ""),
            (&own("image: 'a b'"), "container.image invalid_value"),
            (&own("port: 0"), "container.port out_of_range"),
            (&own("port: 65536"), "container.port out_of_range"),
            (&own("env: {A: b}"), ""),
            (&own("env: {PORT: '1'}"), "container.env.PORT conflicting_fields"),
            (&own("env: {CORTEX_PORT: '1'}"), "container.env.CORTEX_PORT invalid_value"),
            (&own("readiness_path: /up?deep=1"), ""),
            (&own("readiness_path: up"), "container.readiness_path invalid_value"),
            (&own("readiness_path: '/a b'"), "container.readiness_path invalid_value"),
            (&own("max_concurrency: 30000"), ""),
            (&own("max_concurrency: 0"), "container.max_concurrency out_of_range"),
            (&own("max_concurrency: 30001"), "container.max_concurrency out_of_range"),
            (&own("args: [a]"), "container.args not_supported_yet"),
            (&own("max_queue_length: 5"), "container.max_queue_length not_supported_yet"),
            (&own("tyop: 1"), "container.tyop unknown_field"),
            ("container: {port: 1}", "container required_field"),
            ("container: {command: []}", "container.command invalid_value"),
            ("container: {command: ['']}", "container.command invalid_value"),
            ("container: {command: serve}", "container.command wrong_type"),
            (r#"container: {command: ["a\0"]}"#, "container.command invalid_value"),
            ("container: text", "container wrong_type"),
        ],
    );
    assert_eq!(api(&[OWN, PYTHON]).unwrap_err(), "[0].container conflicting_fields");
}

#[test]
fn own_servers_on_the_wire() {
    let good = api(&[OWN]).unwrap();
    let json = serde_json::to_value(&good).unwrap();
    assert!(json.get("predictor").is_none() && json["container"]["command"][0] == "serve", "{json}");
    assert_eq!(serde_json::from_value::<Api>(json.clone()).unwrap(), good);
    let mut unknown = json.clone();
    unknown["surprise"] = 1.into();
    assert!(serde_json::from_value::<Api>(unknown).unwrap_err().to_string().contains("surprise"));
    let mut neither = json;
    neither.as_object_mut().unwrap().remove("container");
    assert!(serde_json::from_value::<Api>(neither).is_err());
    let broken: [(&str, Damage); 5] = [
        ("container.command: ", |a| container(a).command.clear()),
        ("container.port: ", |a| container(a).port = 0),
        ("container.env.PORT: ", |a| drop(container(a).env.insert("PORT".into(), "1".into()))),
        ("container.readiness_path: ", |a| container(a).readiness_path = Some("x".into())),
        ("container.max_concurrency: ", |a| container(a).max_concurrency = 0),
    ];
    for (path, damage) in broken {
        let mut api = good.clone();
        damage(&mut api);
        let message = api.check().unwrap_err();
        assert!(message.starts_with(path), "{message}");
    }
    let mut other = good.clone();
    container(&mut other).port = 1;
    assert_ne!(good.replica_hash("b"), other.replica_hash("b"));
}
