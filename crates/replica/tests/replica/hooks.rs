//! `post_predict`: what runs after the answer was sent.

use http_body_util::Full;
use serde_json::{Value, json};
use telemetry::{Samples, catalogue::replica as families};

use crate::{
    ground::{Ground, Running, in_time, log, until_exists},
    metrics::page,
};

/// Writes down what runs when. The hook of `NAME` ends when the file `NAME-may-end` is there.
const HOOK: &str = r#"
import json, os, threading
GROUND = os.environ["GROUND"]

def note(what):
    with open(f"{GROUND}/notes", "a") as notes:
        notes.write(what + "\n")

class PythonPredictor:
    def predict(self, payload):
        note(f"predict {payload}")
        if payload == "unlucky":
            raise ValueError("no answer")
        return {"to": payload, "pid": os.getpid()}

    def post_predict(self, response, payload, headers, query_params):
        note(f"hook {payload}")
        open(f"{GROUND}/{payload}-begun", "w").close()
        while not os.path.exists(f"{GROUND}/{payload}-may-end"):
            threading.Event().wait(0.002)
        if payload == "late":
            raise ValueError("the answer is out")
        with open(f"{GROUND}/{payload}", "w") as file:
            json.dump([response["to"], headers["x-request-id"], query_params], file)
        note(f"end {payload}")
"#;

fn hook(threads: u32) -> Ground {
    let mut ground = Ground::python(HOOK);
    ground.predictor().threads_per_process = threads;
    ground
}

/// Waits until the replica has so many requests, at work or waiting.
async fn has(running: &Running, requests: f64) {
    let has = async || {
        let samples = Samples::parse(&page(running).await).unwrap();
        samples.sum(families::IN_FLIGHT.name, &[]) + samples.sum(families::QUEUED.name, &[]) == requests
    };
    in_time("the requests are there", async { while !has().await {} }).await;
}

#[tokio::test]
async fn the_caller_does_not_wait_for_it_and_the_thread_does() {
    let ground = hook(1);
    let running = ground.ready().await;
    let request = http::Request::post("/?a=b").header("content-type", "application/json").header("x-request-id", "r7");
    let first = running.connect().await.send(request.body(Full::from("\"first\"")).unwrap()).await.ok();
    assert_eq!(first["to"], "first");
    until_exists(&ground.path("first-begun")).await;
    assert!(!ground.path("first").exists());

    has(&running, 0.0).await;
    ground.write("second-may-end", "");
    let second = running.posting("\"second\"");
    has(&running, 1.0).await;
    ground.write("first-may-end", "");
    assert_eq!(second.await.unwrap().ok(), json!({ "to": "second", "pid": first["pid"] }));
    until_exists(&ground.path("second")).await;
    let notes = std::fs::read_to_string(ground.path("notes")).unwrap();
    let want = ["predict first", "hook first", "end first", "predict second", "hook second"];
    assert_eq!(notes.lines().take(5).collect::<Vec<_>>(), want);
    let written: Value = serde_json::from_slice(&std::fs::read(ground.path("first")).unwrap()).unwrap();
    assert_eq!(written, json!(["first", "r7", { "a": "b" }]));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn another_thread_goes_on_meanwhile() {
    let ground = hook(2);
    let running = ground.ready().await;
    let first = running.post("\"first\"").await.ok();
    until_exists(&ground.path("first-begun")).await;
    ground.write("second-may-end", "");
    for _ in 0..3 {
        assert_eq!(running.post("\"second\"").await.ok()["pid"], first["pid"]);
    }
    assert!(!ground.path("first").exists());
    ground.write("first-may-end", "");
    until_exists(&ground.path("first")).await;
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn what_it_raises_is_in_the_log_and_the_worker_goes_on() {
    let ground = hook(1);
    let running = ground.ready().await;
    ground.write("late-may-end", "");
    let late = running.post("\"late\"").await.ok();
    assert_eq!(late["to"], "late");
    // Without an answer there is nothing to follow it.
    running.post("\"unlucky\"").await.refused(500, "predictor_raised");
    ground.write("next-may-end", "");
    let next = running.post("\"next\"").await.ok();
    assert_eq!(next["pid"], late["pid"], "it is the same worker");
    running.stopped().await.unwrap();
    let notes = std::fs::read_to_string(ground.path("notes")).unwrap();
    assert!(notes.contains("hook late\n") && !notes.contains("end late") && !notes.contains("hook unlucky"), "{notes}");
    let log = log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(r#""request_id":"r1""#)).collect();
    for wanted in ["post_predict raised:", "ValueError: the answer is out"] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {log}");
    }
}
