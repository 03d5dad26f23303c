//! What a replica tells the cluster of itself.

use std::collections::BTreeSet;

use http_body_util::Full;
use telemetry::{Samples, catalogue::replica as families};

use crate::ground::{Ground, Running, in_time};

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
async fn who_waits_for_a_worker_is_queued_and_not_in_flight() {
    let ground = Ground::python(
        r#"
import os, time
class PythonPredictor:
    def predict(self, payload):
        while not os.path.exists(os.environ["GROUND"] + "/go"):
            time.sleep(0.002)
"#,
    );
    let running = ground.ready().await;
    let load = async || {
        let samples = Samples::parse(&page(&running).await).unwrap();
        [families::IN_FLIGHT.name, families::QUEUED.name].map(|name| samples.sum(name, &[]))
    };
    let posts: Vec<_> = (0..3).map(|_| running.posting("1")).collect();
    in_time("one is in flight and two wait", async { while load().await != [1.0, 2.0] {} }).await;
    ground.write("go", "");
    for post in posts {
        post.await.unwrap().ok();
    }
    in_time("nobody is left", async { while load().await != [0.0, 0.0] {} }).await;
    let samples = Samples::parse(&page(&running).await).unwrap();
    let sum = |family: &str, what: &str| samples.sum(&format!("{family}_{what}"), &[]);
    let (queue, predict) = (families::QUEUE_TIME.name, families::PREDICT_TIME.name);
    assert_eq!([sum(queue, "count"), sum(predict, "count")], [3.0, 3.0]);
    // Two of three waited while the first was at work; had that been called work, there would be as much of it again.
    assert!(sum(queue, "sum") > sum(predict, "sum"), "{} {}", sum(queue, "sum"), sum(predict, "sum"));
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
