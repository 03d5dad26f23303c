//! Answers that come piece by piece, and callers who leave in the middle.

use http_body_util::BodyExt as _;
use serde_json::json;

use crate::ground::{Ground, log, until, until_exists};

/// Streams as many numbers as it is asked for, writing `made` for each; fails at `null`; ends with a file `closed`.
const COUNT: &str = r#"
import itertools, os

GROUND = os.environ["GROUND"]

class PythonPredictor:
    def predict(self, payload):
        if payload == "none":
            return "plain"
        return self.count(payload)

    def count(self, payload):
        try:
            for number in range(payload["to"]) if payload["to"] else itertools.count():
                if number == payload.get("fail"):
                    raise ValueError("midway")
                with open(f"{GROUND}/made", "w") as made:
                    made.write(str(number))
                yield {"n": number}
        finally:
            open(f"{GROUND}/closed", "w").close()
"#;

fn python(threads: u32) -> Ground {
    let mut ground = Ground::python(COUNT);
    ground.predictor().threads_per_process = threads;
    ground
}

#[tokio::test]
async fn pieces_come_in_order_and_the_connection_is_kept() {
    for threads in [1, 2] {
        let ground = python(threads);
        let running = ground.ready().await;
        let mut connection = running.connect().await;
        for to in [1, 200] {
            let answer = connection.post("/", &json!({ "to": to }).to_string()).await;
            let want: String = (0..to).map(|n| format!("{{\"n\":{n}}}\n")).collect();
            assert_eq!((answer.status, &answer.body[..]), (200, want.as_bytes()));
            assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        }
        assert_eq!(&connection.post("/", "\"none\"").await.body[..], b"plain");
        drop(connection);
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_raised_midway_cuts_the_stream() {
    let ground = python(1);
    let running = ground.ready().await;
    let failed = running.post(r#"{"to": 3, "fail": 0}"#).await;
    failed.refused(500, "predictor_raised");
    let answer = running.connect().await.begin(r#"{"to": 3, "fail": 2}"#).await;
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.expect_err("the caller can tell that it is not whole");
    assert_eq!(running.post("\"none\"").await.status, 200);
    running.stopped().await.unwrap();
    assert!(log().contains("ValueError: midway"));
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_the_predictor_up_and_one_who_leaves_ends_it() {
    for threads in [1, 2] {
        let ground = python(threads);
        let running = ground.ready().await;
        let mut connection = running.connect().await;
        let answer = connection.begin(r#"{"to": null}"#).await;
        // Sockets and hyper buffer some; a predictor that is held up stops counting.
        let made = || std::fs::read_to_string(ground.path("made")).unwrap_or_default();
        let mut seen = String::new();
        let mut same = 0;
        until("it is held up", || {
            same = if made() == seen { same + 1 } else { 0 };
            seen = made();
            (same > 100).then_some(())
        })
        .await;
        assert!(!ground.path("closed").exists());
        drop((answer, connection));
        until_exists(&ground.path("closed")).await;
        assert_eq!(running.post("\"none\"").await.status, 200);
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn an_async_predictor_is_cancelled_when_its_caller_leaves() {
    let mut ground = Ground::python(
        r#"
import asyncio, os
GROUND = os.environ["GROUND"]
class PythonPredictor:
    async def predict(self, payload):
        if payload == "wait":
            try:
                open(f"{GROUND}/arrived", "w").close()
                await asyncio.Event().wait()
            finally:
                open(f"{GROUND}/cancelled", "w").close()
        return payload
"#,
    );
    ground.predictor().threads_per_process = 2;
    let running = ground.ready().await;
    let gone = running.posting("\"wait\"");
    until_exists(&ground.path("arrived")).await;
    gone.abort();
    until_exists(&ground.path("cancelled")).await;
    let (first, second) = (running.posting("1"), running.posting("2"));
    assert_eq!((first.await.unwrap().ok(), second.await.unwrap().ok()), (json!(1), json!(2)));
    running.stopped().await.unwrap();
}
