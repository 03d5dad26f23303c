//! ONNX models, in the real runtime.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    ground::{Ground, Running},
    model::{self, Dim},
};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits");

async fn digits() -> (Ground, Running) {
    let ground = Ground::onnx(&fs::read(Path::new(EXAMPLE).join("model.onnx")).unwrap());
    let running = ground.ready().await;
    (ground, running)
}

#[tokio::test]
async fn reads_real_handwriting() {
    let (_ground, running) = digits().await;
    let rows = fs::read_to_string(Path::new(EXAMPLE).join("digits.csv")).unwrap();
    let rows: Vec<Vec<i64>> =
        rows.lines().filter_map(|line| line.split(',').map(|cell| cell.trim().parse().ok()).collect()).collect();
    assert_eq!(rows.len(), 1797);
    let pixels: Vec<_> = rows.iter().map(|row| &row[..64]).collect();
    let answer = running.post(&json!({ "pixels": pixels }).to_string()).await.ok();
    let labels = answer["label"].as_array().unwrap();
    let right = rows.iter().zip(labels).filter(|(row, label)| row[64] == label.as_i64().unwrap()).count();
    assert!(right > 1700, "{right} of 1797");
    let scores = answer["scores"].as_array().unwrap();
    assert!(scores.len() == 1797 && scores.iter().all(|row| row.as_array().unwrap().len() == 10));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn says_what_it_takes_and_what_is_wrong() {
    let (_ground, running) = digits().await;
    let get = http::Request::get("/").body(http_body_util::Full::default()).unwrap();
    let about = running.connect().await.send(get).await.ok();
    assert_eq!(about["inputs"], json!([{"name": "pixels", "type": "float32", "shape": ["batch", 64]}]));
    assert_eq!(about["outputs"][1], json!({"name": "scores", "type": "float32", "shape": ["batch", 10]}));

    let one = json!(vec![0; 64]);
    let wrapped = running.post(&json!([one]).to_string()).await.ok();
    assert_eq!(wrapped["label"].as_array().unwrap().len(), 1, "a bare list is taken too");
    let message = running.post(&json!({ "pixels": one }).to_string()).await.refused(400, "bad_request");
    assert_eq!(message, "input `pixels` wants [batch, 64], got [64]: wrap one sample in a list");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn many_callers_get_their_own_answers() {
    let mut ground = Ground::onnx(&model::identity(model::INT64, &[Dim::Free("n")]));
    ground.predictor().processes_per_replica = 3;
    let running = ground.ready().await;
    let posts: Vec<_> = (0..60).map(|index| (index, running.posting(&format!("[{index}]")))).collect();
    for (index, post) in posts {
        assert_eq!(post.await.unwrap().ok(), json!({ "y": [index] }));
    }
    running.stopped().await.unwrap();
}

/// `TensorProto.DataType`, a list of two, and what comes back if not the same.
fn every_type() -> Vec<(u64, Value)> {
    vec![
        (1, json!([0.1, -1e-30])),
        (2, json!([0, 255])),
        (3, json!([-128, 127])),
        (4, json!([0, 65535])),
        (5, json!([-32768, 32767])),
        (6, json!([i32::MIN, i32::MAX])),
        (7, json!([i64::MIN, i64::MAX])),
        (8, json!(["é\n", ""])),
        (9, json!([true, false])),
        (10, json!([0.5, -65504.0])),
        (11, json!([0.1, -1e-300])),
        (12, json!([0, u32::MAX])),
        (13, json!([0, u64::MAX])),
    ]
}

#[tokio::test]
async fn every_type_goes_through_unchanged() {
    for (element, values) in every_type() {
        let ground = Ground::onnx(&model::identity(element, &[Dim::Free("n"), Dim::Size(2)]));
        let running = ground.ready().await;
        let body = json!({ "x": [values] }).to_string();
        assert_eq!(running.post(&body).await.body, json!({ "y": [values] }).to_string(), "type {element}");
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn scalars_and_empty_batches() {
    let ground = Ground::onnx(&model::identity(model::FLOAT, &[]));
    let running = ground.ready().await;
    assert_eq!(running.post(r#"{"x": 1.5}"#).await.ok(), json!({ "y": 1.5 }));
    running.stopped().await.unwrap();

    for element in [model::FLOAT, model::STRING] {
        let ground = Ground::onnx(&model::identity(element, &[Dim::Free("n")]));
        let running = ground.ready().await;
        assert_eq!(running.post("[]").await.ok(), json!({ "y": [] }));
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_written() {
    let ground = Ground::onnx(&model::zeros());
    let running = ground.ready().await;
    assert_eq!(running.post("[2, 1]").await.ok(), json!({ "y": [[0], [0]] }));
    let message = running.post("[8000, 8000]").await.refused(500, "bad_response");
    assert!(message.starts_with("the answer has 64000000 elements; the limit is "), "{message}");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn lists_of_maps_become_lists_of_objects() {
    for (text, want) in [(false, json!([{"10": 0.25, "20": 0.75}])), (true, json!([{"no": 0.25, "yes": 0.75}]))] {
        let ground = Ground::onnx(&model::zip_map(text));
        let running = ground.ready().await;
        assert_eq!(running.post("[[0.25, 0.75]]").await.ok(), json!({ "y": want }));
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn models_that_cannot_be_served_say_why() {
    let message = Ground::onnx(b"not a model").failure().await;
    assert!(message.starts_with("model.onnx cannot be loaded by ONNX Runtime: "), "{message}");
    let message = Ground::onnx(&model::sequence()).failure().await;
    assert!(message.starts_with("model.onnx cannot be served: its output `y` is a Sequence"), "{message}");

    let mut ground = Ground::onnx(&[]);
    fs::remove_file(ground.path("project/model.onnx")).unwrap();
    assert_eq!(ground.failure().await, "model.onnx is not in the project: check `predictor.path` in cortex.yaml");
    ground.write("project/model.onnx", "");
    ground.spec.onnxruntime = Some("/nowhere/lib.so".into());
    let message = ground.failure().await;
    assert_eq!(message, "the ONNX Runtime library /nowhere/lib.so does not exist: correct `onnxruntime_library`");
}
