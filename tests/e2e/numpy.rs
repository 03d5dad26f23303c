//! What models really return: NumPy's own scalars and arrays, from the interpreter of a project that requires it.

use std::{fs, str};

use serde_json::{Value, json};
use testkit::{Cluster, Https, eventually, project};

const ANSWERS: &str = r#"
import numpy as np

ANSWERS = {
    "float": np.float32(1.5),
    "whole": {"a": np.int64(2), "most": np.uint64(2**64 - 1)},
    "truth": np.bool_(True),
    "row": np.arange(3),
    "rows": np.array([[0.5, 0.25], [-1, 0]], dtype=np.float32),
    "no rows": np.zeros((0, 4)),
    "no dimension": np.array(7, dtype=np.uint8),
    "inside": [{"scores": np.ones(2), "best": (np.int8(1), np.str_("iris"))}, None],
    "words": np.array(["a", "é"]),
    "key": {np.int64(3): np.float64(0.1)},
    "day": np.datetime64("2026-03-01"),
    "text": np.str_("iris"),
    "nan": np.array([1.0, np.nan]),
    "inside nan": {"scores": [np.array([[0.5], [-np.inf]])]},
    "complex": np.array([1j]),
}

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if payload == "stream":
            return (np.arange(n) for n in range(3))
        return ANSWERS[payload]
"#;

const BATCHES: &str = r#"
import numpy as np

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return np.asarray(payload, dtype=np.float32) * 2
"#;

/// With what the example requires, so that all tests share one environment.
fn deploy(cluster: &Cluster, name: &str, source: &str, more: &str) {
    let list = project::repository("examples/digits-python/requirements.txt");
    let list = fs::read(list).expect("it is in the repository");
    cluster.cortex.write(&format!("{name}/requirements.txt"), list);
    cluster.deploy(&project::python(&cluster.cortex, name, source, more));
}

async fn bad_response(cluster: &Cluster, client: &Https, payload: &str, why: &str) {
    let answer = client.post("/numpy", &json!(payload)).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["kind"]), (500, &json!("bad_response")), "{payload}: {body}");
    assert!(body["message"].as_str().is_some_and(|message| message.contains(why)), "{payload}: {why}: {body}");
    eventually("the log says why", async || {
        let logs = cluster.run(&["logs", "numpy", "-o", "json"]).ok();
        let mine = |line: &&str| line.contains(why) && line.contains(body["request_id"].as_str().unwrap_or("?"));
        if logs.stdout.lines().any(|line| mine(&line)) { Ok(()) } else { Err(logs.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_json_or_a_clear_error() {
    let cluster = Cluster::up();
    deploy(&cluster, "numpy", ANSWERS, "");
    let client = cluster.client();
    for (payload, want) in [
        ("float", json!(1.5)),
        ("whole", json!({ "a": 2, "most": u64::MAX })),
        ("truth", json!(true)),
        ("row", json!([0, 1, 2])),
        ("rows", json!([[0.5, 0.25], [-1.0, 0.0]])),
        ("no rows", json!([])),
        ("no dimension", json!(7)),
        ("inside", json!([{ "scores": [1.0, 1.0], "best": [1, "iris"] }, null])),
        ("words", json!(["a", "é"])),
        ("key", json!({ "3": 0.1 })),
        ("day", json!("2026-03-01")),
    ] {
        let answer = client.post("/numpy", &json!(payload)).await;
        assert_eq!((answer.status, answer.json()), (200, want), "{payload}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json", "{payload}");
    }
    // Alone, a text is text, whoever's type it has.
    let text = client.post("/numpy", &json!("text")).await;
    assert_eq!((text.status, &text.body[..]), (200, b"iris".as_slice()));
    let stream = client.post("/numpy", &json!("stream")).await;
    assert_eq!(str::from_utf8(&stream.body), Ok("[]\n[0]\n[0,1]\n"), "{stream:?}");

    bad_response(&cluster, &client, "nan", "NaN at $[1] of the answer").await;
    bad_response(&cluster, &client, "inside nan", "-Infinity at $.scores[0][1][0] of the answer").await;
    bad_response(&cluster, &client, "complex", "`complex` at $[0] of the answer").await;
    assert_eq!(client.predict("/numpy", &json!("float")).await, 1.5, "it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_is_an_answer_to_each_of_a_batch() {
    let cluster = Cluster::up();
    let batching = "    server_side_batching: {max_batch_size: 4, batch_interval: 5ms}\n";
    deploy(&cluster, "numpy", BATCHES, batching);
    let client = cluster.client();
    let requests: Vec<_> = (0..16)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.predict("/numpy", &json!([number, 0.25])).await })
        })
        .collect();
    let mut answers: Vec<Value> = Vec::new();
    for request in requests {
        answers.push(request.await.expect("no panic"));
    }
    let want: Vec<_> = (0..16).map(|number| json!([f64::from(2 * number), 0.5])).collect();
    assert_eq!(answers, want);
}
