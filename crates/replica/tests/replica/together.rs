//! Requests of an ONNX model that are run together.

use std::{fs, path::Path};

use http_body_util::Full;
use serde_json::{Value, json};
use spec::realtime::ServerSideBatching;
use telemetry::Samples;

use crate::{
    ground::{Ground, Running, in_time, log},
    metrics::page,
    model::{self, Dim},
};

/// Batches that wait for nothing but the session.
fn batched(model: &[u8], most: u32) -> Ground {
    let mut ground = Ground::onnx(model);
    ground.predictor().server_side_batching =
        Some(ServerSideBatching { max_batch_size: most, batch_interval_millis: 60_000 });
    ground
}

/// How many batches there were, and how many requests they had.
async fn batches(running: &Running) -> (f64, f64) {
    let samples = Samples::parse(&page(running).await).unwrap();
    let of = |what: &str| samples.sum(&format!("cortex_replica_batch_size_{what}"), &[]);
    (of("count"), of("sum"))
}

/// A model that squares matrices, whose only session has one to square that takes a while.
async fn busy() -> (Ground, Running, tokio::task::JoinHandle<Value>) {
    let ground = batched(&model::squares(), 64);
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    let large = tokio::spawn(async move {
        const SIZE: usize = 1800;
        let bytes = vec![0; SIZE * SIZE * 4];
        let parameters = json!({ "binary_data_size": bytes.len(), "binary_data_output": true });
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [1, SIZE, SIZE], "parameters": parameters });
        let json = json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string();
        let request = http::Request::post("/v2/models/digits/infer");
        let request = request.header("inference-header-content-length", json.len());
        let answer = connection.send(request.body(Full::from([json.as_bytes(), &bytes].concat())).unwrap()).await;
        let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
        serde_json::from_slice(&answer.body[..length]).unwrap()
    });
    in_time("the session is busy", async { while batches(&running).await.0 < 1.0 {} }).await;
    (ground, running, large)
}

#[tokio::test]
async fn what_comes_while_the_session_is_busy_is_one_run() {
    let (_ground, running, large) = busy().await;
    let posts: Vec<_> = (0..8_u8)
        .map(|number| (number, running.posting(&json!({ "x": [[[number, 1], [0, 1]]] }).to_string())))
        .collect();
    for (number, post) in posts {
        let number = f64::from(number);
        assert_eq!(post.await.unwrap().ok(), json!({ "y": [[[number * number, number + 1.0], [0.0, 1.0]]] }));
    }
    assert_eq!(large.await.unwrap()["outputs"][0]["shape"], json!([1, 1800, 1800]));
    let (runs, requests) = batches(&running).await;
    assert_eq!(requests, 9.0);
    assert!(runs < requests, "{runs} runs of {requests} requests");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn other_shapes_and_forms_share_what_they_can() {
    let (_ground, running, large) = busy().await;
    let plain: Vec<_> =
        (1..5).map(|size| (size, running.posting(&json!([vec![vec![1; size]; size]]).to_string()))).collect();
    let mut protocol = Vec::new();
    for (number, binary) in [(2.0_f32, false), (3.0, true), (4.0, false), (5.0, true)] {
        let mut connection = running.connect().await;
        let parameters = json!({ "binary_data_output": binary });
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [2, 1, 1], "data": [number, 1] });
        let body = json!({ "id": number.to_string(), "inputs": [input], "parameters": parameters }).to_string();
        let post = tokio::spawn(async move { connection.post("/v2/models/digits/infer", &body).await });
        protocol.push((number, binary, post));
    }
    let refused = running.posting("[[[1, 2]]]");
    let unreadable = running.posting("{");
    for (size, post) in plain {
        assert_eq!(post.await.unwrap().ok(), json!({ "y": [vec![vec![size as f64; size]; size]] }));
    }
    for (number, binary, post) in protocol {
        let answer = post.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let squares = [number * number, 1.0];
        let json_length = match binary {
            false => answer.body.len(),
            true => answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap(),
        };
        let head: Value = serde_json::from_slice(&answer.body[..json_length]).unwrap();
        let output = &head["outputs"][0];
        assert_eq!((&head["id"], &output["shape"]), (&json!(number.to_string()), &json!([2, 1, 1])));
        if binary {
            assert_eq!(answer.body[json_length..], squares.map(f32::to_le_bytes).concat());
        } else {
            assert_eq!(output["data"], json!(squares));
        }
    }
    refused.await.unwrap().refused(500, "predictor_raised");
    unreadable.await.unwrap().refused(400, "bad_request");
    large.await.unwrap();
    running.stopped().await.unwrap();
}

/// One caller's mistake that only the run finds.
#[tokio::test]
async fn one_bad_caller_hurts_nobody_else() {
    let ground = Ground::onnx(&model::lookup());
    let alone = ground.ready().await;
    let want = alone.post("[7]").await;
    assert!(want.status >= 400, "{want:?}");
    alone.stopped().await.unwrap();

    let mut ground = batched(&model::lookup(), 16);
    ground.predictor().server_side_batching = Some(ServerSideBatching { max_batch_size: 16, batch_interval_millis: 1 });
    let running = ground.ready().await;
    let shared = || async {
        let posts: Vec<_> =
            (0..32).map(|index| running.posting(if index % 8 == 7 { "[7]" } else { "[1, 0]" })).collect();
        for (index, post) in posts.into_iter().enumerate() {
            let answer = post.await.unwrap();
            if index % 8 == 7 {
                assert_eq!((answer.status, &answer.body), (want.status, &want.body));
            } else {
                assert_eq!(answer.ok(), json!({ "y": [71, 70] }));
            }
        }
    };
    let tried = async {
        while !log().contains("requests that were put together are run one by one") {
            shared().await;
        }
    };
    in_time("a bad one was among others", tried).await;
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn results_are_those_of_single_runs() {
    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits");
    let model = fs::read(Path::new(EXAMPLE).join("model.onnx")).unwrap();
    let bodies: Vec<_> = (0..24)
        .map(|number| {
            let row: Vec<_> = (0..64).map(|index| (index * 7 + number * 5) % 17).collect();
            json!({ "pixels": vec![row; 1 + number % 3] }).to_string()
        })
        .collect();
    let mut answers = Vec::new();
    let (alone, together) = (Ground::onnx(&model), batched(&model, 8));
    for ground in [&alone, &together] {
        let running = ground.ready().await;
        let about = running.connect().await.send(http::Request::get("/").body(Full::default()).unwrap()).await.ok();
        let metadata = http::Request::get("/v2/models/digits").body(Full::default()).unwrap();
        let metadata = running.connect().await.send(metadata).await.ok();
        let posts: Vec<_> = bodies.iter().map(|body| running.posting(body)).collect();
        let mut all = Vec::new();
        for post in posts {
            all.push(post.await.unwrap().ok());
        }
        running.stopped().await.unwrap();
        answers.push((about, metadata, all));
    }
    let [(about, metadata, alone), together] = answers.try_into().unwrap();
    assert_eq!((&about, &metadata), (&together.0, &together.1));
    for (one, other) in alone.iter().zip(&together.2) {
        assert_eq!(one["label"], other["label"]);
        assert!(close(&one["scores"], &other["scores"]), "{one} {other}");
    }
}

/// Sums of many rows may be added in another order.
fn close(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| close(one, other))
        }
        _ => (one.as_f64().unwrap() - other.as_f64().unwrap()).abs() < 1e-5,
    }
}

#[tokio::test]
async fn texts_and_lists_of_maps_are_told_apart_too() {
    for (model, body, want) in [
        (model::identity(model::STRING, &[Dim::Free("n")]), json!(["a", "é"]), json!({ "y": ["a", "é"] })),
        (model::zip_map(true), json!([[0.25, 0.75]]), json!({ "y": [{ "no": 0.25, "yes": 0.75 }] })),
        (model::identity(model::FLOAT, &[Dim::Free("n")]), json!([]), json!({ "y": [] })),
    ] {
        let ground = batched(&model, 16);
        let running = ground.ready().await;
        let posts: Vec<_> = (0..12).map(|_| running.posting(&body.to_string())).collect();
        for post in posts {
            assert_eq!(post.await.unwrap().ok(), want);
        }
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn models_without_rows_are_refused() {
    for (model, why) in [
        (model::identity(model::FLOAT, &[Dim::Size(1), Dim::Size(4)]), "that of its input `x` [1, 4] is fixed"),
        (model::identity(model::FLOAT, &[]), "its input `x` has none"),
        (model::transposed(), "its output `y` does not have a row for each row of its inputs"),
    ] {
        let message = batched(&model, 2).failure().await;
        let text =
            "model.onnx cannot be served: `server_side_batching` puts requests together along a free first dimension";
        assert_eq!(message, format!("{text}, but {why}: export the model with one, or remove `server_side_batching`"));
        let ground = Ground::onnx(&model);
        let running = ground.ready().await;
        running.stopped().await.unwrap();
    }
}
