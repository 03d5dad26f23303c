//! What a replica tells the cluster of itself.

use std::collections::BTreeSet;

use http_body_util::Full;
use telemetry::{Samples, catalogue::replica as families};

use crate::ground::{Ground, Running};

const ODD: &str = r#"
import os

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if payload == "die":
            os._exit(3)
        return payload["n"]
"#;

pub async fn page(running: &Running) -> String {
    let request = http::Request::get("/metrics").header(telemetry::SCRAPE_HEADER, "1").body(Full::default()).unwrap();
    let answer = running.connect().await.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], telemetry::CONTENT_TYPE);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn requests_count_by_how_they_ended_and_workers_by_why_they_went() {
    let ground = Ground::python(ODD);
    let running = ground.ready().await;
    for body in [r#"{"n": 1}"#, r#"{"n": 2}"#, "{}", "\"die\"", "no json"] {
        running.post(body).await;
    }
    running.post(r#"{"n": 3}"#).await.ok();
    let text = page(&running).await;
    let samples = Samples::parse(&text).unwrap();
    let outcome = |outcome| samples.sum(families::REQUESTS.name, &[("outcome", outcome)]);
    assert_eq!([outcome("ok"), outcome("predictor_raised"), outcome("predictor_died")], [3.0, 1.0, 1.0], "{text}");
    assert_eq!(samples.sum(families::REQUESTS.name, &[]), 6.0);
    assert_eq!(samples.sum("cortex_replica_predict_duration_seconds_count", &[]), 6.0);
    assert_eq!(samples.sum("cortex_replica_queue_duration_seconds_count", &[]), 6.0);
    assert_eq!(samples.sum(families::REPLACED.name, &[("reason", "died")]), 1.0);
    assert_eq!(samples.sum(families::WORKERS.name, &[]), 1.0);
    assert_eq!(samples.sum(families::INFO.name, &[("api", "digits"), ("version", "v1"), ("type", "python")]), 1.0);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let served: BTreeSet<_> = types.filter(|(name, _)| name.starts_with("cortex_replica_")).collect();
    assert_eq!(served, families::ALL.iter().map(|family| (family.name, family.kind.name())).collect());
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn the_path_alone_is_the_apis_own() {
    let ground = Ground::python(ODD);
    let running = ground.ready().await;
    let request = http::Request::get("/metrics").header("x-request-id", "r1").body(Full::default()).unwrap();
    running.connect().await.send(request).await.refused(405, "method_not_allowed");
    running.stopped().await.unwrap();
}
