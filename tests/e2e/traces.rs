//! One request, seen by a collector of traces.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{Answer, Cluster, Config, Cortex, Role, Version, eventually, project, raw};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Tells the header by which it would call somebody else.
const TELLS: &str = "class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        return [headers.get('traceparent')]
";

const CLIENTS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Takes OTLP over HTTP, in JSON. Gone when it is dropped.
pub struct Collector {
    port: u16,
    spans: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let spans = Arc::<Mutex<Vec<Value>>>::default();
        let taken = Arc::clone(&spans);
        let task = tokio::spawn(async move {
            // They end with it.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("it is bound");
                connections.spawn(serve(stream, Arc::clone(&taken)));
            }
        });
        Self { port, spans, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Of whom there are spans.
    pub fn services(&self) -> BTreeSet<String> {
        let spans = self.spans.lock().expect("nobody panics");
        spans.iter().map(|span| span["service"].as_str().expect("text").to_owned()).collect()
    }

    /// Spans of that trace, each with the service that it is of, once there are so many.
    async fn trace(&self, id: &str, count: usize) -> Vec<Value> {
        eventually("the spans are there", async || {
            let spans = self.spans.lock().expect("nobody panics").clone();
            let mine: Vec<_> = spans.iter().filter(|span| span["traceId"] == id).cloned().collect();
            if mine.len() >= count { Ok(mine) } else { Err(format!("{spans:#?}")) }
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Requests of one connection.
async fn serve(stream: TcpStream, spans: Arc<Mutex<Vec<Value>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line, mut first) = (0, String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            if lower.is_empty() {
                break;
            }
        }
        assert!(first.starts_with("POST /v1/traces "), "{first}");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a whole body");
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        for resource in told["resourceSpans"].as_array().expect("a list") {
            let attributes = resource["resource"]["attributes"].as_array().expect("a list");
            let service = attributes.iter().find(|attribute| attribute["key"] == "service.name").expect("a name");
            for span in resource["scopeSpans"][0]["spans"].as_array().expect("a list") {
                let mut span = span.clone();
                span["service"] = service["value"]["stringValue"].clone();
                spans.lock().expect("nobody panics").push(span);
            }
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.expect("it is read");
    }
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut mine = spans.iter().filter(|span| span["name"] == name);
    let span = mine.next().unwrap_or_else(|| panic!("no span {name}: {spans:#?}"));
    assert!(mine.next().is_none(), "two spans {name}: {spans:#?}");
    span
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("a list");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {span:#}"))["value"];
    value.get("stringValue").or(value.get("intValue")).expect("text or a number")
}

fn times(span: &Value) -> (u128, u128) {
    let time = |name: &str| span[name].as_str().expect("text").parse().expect("nanoseconds");
    (time("startTimeUnixNano"), time("endTimeUnixNano"))
}

async fn call(cluster: &Cluster, parent: Option<&str>) -> Answer {
    let client = raw(&cluster.ca, Version::Http2);
    let mut request = client.post(format!("{}/tells", cluster.api_endpoint)).bearer_auth(&cluster.key);
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    Answer::of(request.header("content-type", "application/json").body("1")).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_one_trace_and_a_collector_that_is_gone_holds_up_nobody() {
    let collector = Collector::start(0).await;
    let environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())];
    let cluster = Cluster::up_as(&Cortex::new(), Config { environment, ..Config::default() });
    cluster.deploy(&project::python(&cluster.cortex, "tells", TELLS, ""));

    let answer = call(&cluster, Some(CLIENTS)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let spans = collector.trace(SAMPLED, 4).await;
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let [gateway, replica, queue, predict] = ["gateway", "replica", "queue", "predict"].map(|name| named(&spans, name));
    assert_eq!(gateway["parentSpanId"], "00f067aa0ba902b7");
    for (child, parent) in [(replica, gateway), (queue, replica), (predict, replica)] {
        assert_eq!(child["parentSpanId"], parent["spanId"], "{spans:#?}");
        let ((begun, ended), (from, until)) = (times(child), times(parent));
        assert!(begun <= ended && from <= begun, "{spans:#?}");
        // The gateway's ends when the client has all of the answer.
        assert!(ended <= until, "{spans:#?}");
    }
    assert_eq!((&gateway["service"], &replica["service"]), (&json!("cortex-gateway"), &json!("cortex-replica")));
    assert_eq!((&gateway["kind"], &predict["kind"]), (&json!(2), &json!(1)));
    assert_eq!(attribute(gateway, "cortex.api"), "tells");
    assert_eq!(attribute(gateway, "http.response.status_code"), "200");
    let id = answer.headers["x-request-id"].to_str().expect("ASCII");
    assert!([gateway, replica].iter().all(|span| attribute(span, "cortex.request_id") == id), "{spans:#?}");
    // What the predictor calls is a part of its span.
    let told = format!("00-{SAMPLED}-{}-01", predict["spanId"].as_str().expect("text"));
    assert_eq!(answer.json(), json!([told]));
    // The log line and the trace find each other.
    let log = cluster.cortex.read(&cluster.directory.join("run/gateway.log"));
    let line = log.lines().find(|line| line.contains(id) && line.contains("\"message\":\"request\"")).expect("a line");
    assert!(line.contains(&format!("\"trace_id\":\"{SAMPLED}\"")), "{line}");

    // A client that does not want to be traced is not, and one that says nothing begins a trace.
    let unsampled = CLIENTS.replace(SAMPLED, "11111111111111111111111111111111").replace("-01", "-00");
    assert_eq!(call(&cluster, Some(&unsampled)).await.json(), json!([unsampled]));
    let fresh = call(&cluster, None).await.json();
    let fresh = fresh[0].as_str().expect("a context").split('-').nth(1).expect("an id").to_owned();
    let spans = collector.trace(&fresh, 4).await;
    assert!(named(&spans, "gateway").get("parentSpanId").is_none(), "{spans:#?}");
    let all = collector.spans.lock().expect("nobody panics").clone();
    assert!(all.iter().all(|span| span["traceId"] != "11111111111111111111111111111111"), "{all:#?}");

    let port = collector.port;
    drop(collector);
    for _ in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(30), call(&cluster, Some(CLIENTS))).await;
        assert_eq!(answer.expect("nobody waits for the collector").status, 200);
    }
    eventually("the lost spans are counted", async || {
        let page = cluster.run(&["metrics", "--raw"]).ok().stdout;
        let samples = telemetry::Samples::parse(&page).expect("a page");
        let dropped = samples.sum("cortex_spans_total", &[("outcome", "dropped"), ("process", "gateway")]);
        if dropped >= 20.0 { Ok(()) } else { Err(format!("{dropped}")) }
    })
    .await;
    // And when it is back, it gets what comes then.
    let collector = Collector::start(port).await;
    let again = call(&cluster, None).await.json();
    let again = again[0].as_str().expect("a context").split('-').nth(1).expect("an id").to_owned();
    assert_eq!(collector.trace(&again, 4).await.len(), 4);
}

/// The trace that a request without one begins; `None` if it is not traced.
async fn fresh(cluster: &Cluster) -> Option<String> {
    let told = call(cluster, None).await.json();
    told[0].as_str().map(|context| context.split('-').nth(1).expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_file_says_is_done_and_another_word_while_the_cluster_runs() {
    let (first, second) = (Collector::start(0).await, Collector::start(0).await);
    let field = |collector: &Collector| format!("telemetry: {{otlp_endpoint: '{}'}}\n", collector.endpoint());
    let cluster = Cluster::up_as(&Cortex::new(), Config { fields: field(&first), ..Config::default() });
    cluster.deploy(&project::python(&cluster.cortex, "tells", TELLS, ""));
    let id = fresh(&cluster).await.expect("it is traced");
    assert_eq!(first.trace(&id, 4).await.len(), 4);
    let processes = || {
        let roles = [Role::Node, Role::Operator, Role::Gateway].map(|role| cluster.pid(role));
        (roles, cluster.replicas())
    };
    let before = processes();

    let file = cluster.cortex.working_directory().join(&cluster.config);
    let with = cluster.cortex.read(&file);
    cluster.cortex.write(&cluster.config, with.replace(&field(&first), &field(&second)));
    cluster.up_again().ok().prints("is up again");
    cluster.up_again().ok().prints("was up already");
    eventually("both send there", async || {
        fresh(&cluster).await.expect("it is traced");
        let services = second.services();
        let both = ["cortex-gateway", "cortex-replica"].iter().all(|name| services.contains(*name));
        if both { Ok(()) } else { Err(format!("{services:?}")) }
    })
    .await;

    cluster.cortex.write(&cluster.config, with.replace(&field(&first), ""));
    cluster.up_again().ok().prints("is up again");
    eventually("nothing is traced", async || match fresh(&cluster).await {
        None => Ok(()),
        Some(id) => Err(id),
    })
    .await;
    assert_eq!(processes(), before, "no process was started again");
}
