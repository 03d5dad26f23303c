//! What traces and logs tell of a request.

use std::future::pending;

use api::replica::Phase;
use http_body_util::Full;
use serde_json::Value;
use telemetry::{Samples, Settings, TRACEPARENT, Tracer, catalogue::trace as families};

use crate::{
    ground::{Ground, in_time, log, until, until_exists},
    metrics, model,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(body: &str) -> http::Request<Full<bytes::Bytes>> {
    let request = http::Request::post("/").header("x-request-id", "r1").header("content-type", "application/json");
    let request = request.header(TRACEPARENT, format!("00-{TRACE}-00f067aa0ba902b7-01"));
    request.body(Full::from(body.to_owned())).unwrap()
}

/// The fields of all lines in the log that say this.
fn lines(text: &str) -> Vec<Value> {
    let log = log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|mut line| line["fields"].take()).filter(|fields| fields["message"].to_string().contains(text)).collect()
}

#[tokio::test]
async fn lines_about_a_request_name_its_trace() {
    let source = r#"
class PythonPredictor:
    def predict(self, payload):
        print("printed for", payload)
        raise ValueError("raised for it")
"#;
    let ground = Ground::python(source);
    let running = ground.ready().await;
    running.connect().await.send(traced("\"a trace\"")).await.refused(500, "predictor_raised");
    running.post("\"nobody\"").await.refused(500, "predictor_raised");
    running.stopped().await.unwrap();
    for (text, trace) in [("printed for a trace", Some(TRACE)), ("printed for nobody", None)] {
        let found = lines(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0]["trace_id"].as_str(), &found[0]["request_id"]), (trace, &"r1".into()));
    }
    let raised: Vec<_> =
        lines("raised for it").iter().map(|line| line["trace_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(raised, [Some(TRACE.to_owned()), None]);
}

#[tokio::test]
async fn a_model_that_fails_names_the_trace_too() {
    let ground = Ground::onnx(&model::squares());
    let running = ground.ready().await;
    running.connect().await.send(traced("[[[7, 8]]]")).await.refused(500, "predictor_raised");
    running.stopped().await.unwrap();
    assert!(lines("the model failed").iter().any(|line| line["trace_id"] == TRACE));
}

/// Spans that nobody takes are counted as dropped.
#[tokio::test]
async fn a_request_whose_caller_has_gone_has_all_its_spans() {
    let source = r#"
import os, time
GROUND = os.environ["GROUND"]
class PythonPredictor:
    def predict(self, payload):
        open(f"{GROUND}/arrived", "w").close()
        while not os.path.exists(f"{GROUND}/go"):
            time.sleep(0.002)
"#;
    // For the client of the collector.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ground = Ground::python(source);
    let settings = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://127.0.0.1:1".to_owned());
    let tracer = Tracer::start(Settings::read(settings, "test").unwrap()).unwrap();
    let replica = tokio::spawn(replica::run(ground.spec.clone(), pending(), tracer));
    until("it is ready", || ground.status().filter(|status| status.phase == Phase::Ready)).await;
    let running = ground.beside();
    let mut connection = running.connect().await;
    let gone = tokio::spawn(async move { connection.send(traced("1")).await });
    until_exists(&ground.path("arrived")).await;
    gone.abort();
    let spans = || async {
        Samples::parse(&metrics::page(&running).await).unwrap().sum(families::SPANS.name, &[("outcome", "dropped")])
    };
    // The replica's own, the wait for a turn, and the predictor's work.
    in_time("all spans have ended", async { while spans().await < 3.0 {} }).await;
    assert_eq!(spans().await, 3.0);
    ground.write("go", "");
    replica.abort();
}
