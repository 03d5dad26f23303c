//! The examples, on all of their real input, against what ONNX Runtime says in Python.

use std::process::Command;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use testkit::{Answer, Cluster, Https, Version, eventually, interpreter, project::repository, raw};

const IN_FLIGHT: usize = 32;
/// Of all images, for those who want to see some of them run together: chance may have it otherwise once.
const ROUNDS: usize = 5;
/// Requests of each round that keep the model busy.
const LARGE: usize = 8;
const TOLERANCE: f64 = 1e-4;

pub struct Expected {
    accuracy: f64,
    labels: Vec<i64>,
    scores: Vec<Vec<f64>>,
}

/// Pixels and true label of every image.
fn images() -> Vec<(Vec<i64>, i64)> {
    let text = std::fs::read_to_string(repository("examples/digits/digits.csv")).expect("it is in the repository");
    let image = |line: &str| {
        let mut numbers: Vec<i64> = line.split(',').map(|number| number.parse().expect("a number")).collect();
        let label = numbers.pop().expect("the label comes last");
        (numbers, label)
    };
    text.lines().map(image).collect()
}

pub fn expected() -> Expected {
    let script = repository("tests/python/expected_scores.py");
    let output = Command::new(interpreter()).arg(script).output().expect("the interpreter runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut value: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    Expected {
        accuracy: value["accuracy"].as_f64().expect("a number"),
        labels: serde_json::from_value(value["labels"].take()).expect("labels"),
        scores: serde_json::from_value(value["scores"].take()).expect("scores"),
    }
}

/// Sends every image in a request of its own, and then all in one.
pub async fn all_images(client: &Https, path: &str) -> Vec<(i64, Vec<f64>)> {
    let images = images();
    assert_eq!(images.len(), 1797);
    let one = async |pixels: &[i64]| {
        let answer = client.predict(path, &json!({ "pixels": [pixels] })).await;
        rows(&answer).pop().expect("one image, one row")
    };
    let singly: Vec<_> = stream::iter(&images).map(|(pixels, _)| one(pixels)).buffered(IN_FLIGHT).collect().await;

    let batch: Vec<_> = images.iter().map(|(pixels, _)| pixels).collect();
    let together = rows(&client.predict(path, &json!({ "pixels": batch })).await);
    assert_eq!(together.len(), singly.len());
    for (row, (alone, batched)) in singly.iter().zip(&together).enumerate() {
        assert_eq!(alone.0, batched.0, "image {row} alone and among all");
        assert!(distance(&alone.1, &batched.1) < TOLERANCE, "image {row}: {alone:?} alone, {batched:?} among all");
    }
    singly
}

fn rows(answer: &Value) -> Vec<(i64, Vec<f64>)> {
    let labels: Vec<i64> = serde_json::from_value(answer["label"].clone()).expect("labels");
    let scores: Vec<Vec<f64>> = serde_json::from_value(answer["scores"].clone()).expect("scores");
    assert_eq!(labels.len(), scores.len());
    labels.into_iter().zip(scores).collect()
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
}

pub fn agree(found: &[(i64, Vec<f64>)], expected: &Expected) {
    for (row, (label, scores)) in found.iter().enumerate() {
        assert_eq!(*label, expected.labels[row], "the label of image {row}");
        let apart = distance(scores, &expected.scores[row]);
        assert!(apart < TOLERANCE, "image {row} is {apart} apart: {scores:?}, expected {:?}", expected.scores[row]);
    }
    let right = found.iter().zip(images()).filter(|((label, _), (_, truth))| label == truth).count();
    let accuracy = right as f64 / found.len() as f64;
    assert!((accuracy - expected.accuracy).abs() < 1e-9, "accuracy {accuracy}, expected {}", expected.accuracy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onnx_model_answers_like_onnxruntime() {
    let cluster = Cluster::up();
    cluster.deploy(repository("examples/digits/cortex.yaml").to_str().expect("UTF-8"));
    let found = all_images(&cluster.client_of(Version::Http1), "/digits").await;
    agree(&found, &expected());
}

/// Keeps the model busy for a while: who comes meanwhile has to wait, and whoever finds it idle goes alone.
async fn large(cluster: &Cluster) {
    const ROWS: usize = 32 * 1024;
    let pixels = vec![0; ROWS * 64 * size_of::<f32>()];
    let parameters = json!({ "binary_data_size": pixels.len() });
    let input = json!({ "name": "pixels", "datatype": "FP32", "shape": [ROWS, 64], "parameters": parameters });
    let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string();
    let url = format!("{}/digits/v2/models/digits/infer", cluster.api_endpoint);
    let request = raw(&cluster.ca, Version::Http1).post(url).bearer_auth(&cluster.key);
    let request = request.header("inference-header-content-length", head.len());
    let answer = Answer::of(request.body([head.as_bytes(), &pixels].concat())).await.expect("an answer");
    assert_eq!(answer.status, 200, "{:?}", answer.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_requests_answer_like_each_of_them() {
    let cluster = Cluster::up();
    let model = std::fs::read(repository("examples/digits/model.onnx")).expect("it is in the repository");
    cluster.cortex.write("digits/model.onnx", model);
    let batching = "server_side_batching: {max_batch_size: 16, batch_interval: 5ms}";
    let yaml =
        format!("- name: digits\n  kind: RealtimeAPI\n  predictor: {{type: onnx, path: model.onnx, {batching}}}\n");
    cluster.cortex.write("digits/cortex.yaml", yaml);
    cluster.deploy("digits/cortex.yaml");
    let (client, expected) = (cluster.client(), expected());
    let (mut requests, mut runs) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let busy = async {
            for _ in 0..LARGE {
                large(&cluster).await;
            }
        };
        let (found, ()) = tokio::join!(all_images(&client, "/digits"), busy);
        agree(&found, &expected);
        // One for each image, one for all, and the large ones.
        requests += (1797 + 1 + LARGE) as f64;
        runs = eventually("all requests are counted", async || {
            let page = cluster.run(&["metrics", "--raw"]).ok().stdout;
            let samples = telemetry::Samples::parse(&page).expect("a page");
            let of = |what: &str| samples.sum(&format!("cortex_replica_batch_size_{what}"), &[("api", "digits")]);
            if of("sum") == requests { Ok(of("count")) } else { Err(format!("{} of {requests}", of("sum"))) }
        })
        .await;
        if runs < requests {
            break;
        }
    }
    assert!(runs < requests, "{requests} requests, {IN_FLIGHT} at a time, in {runs} runs: none was run with another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_predictor_answers_like_onnxruntime() {
    let cluster = Cluster::up();
    cluster.deploy(repository("examples/digits-python/cortex.yaml").to_str().expect("UTF-8"));
    let found = all_images(&cluster.client(), "/digits-python").await;
    agree(&found, &expected());
}

#[test]
fn the_sample_is_read_as_an_eight() {
    let cluster = Cluster::up();
    cluster.deploy(repository("examples/digits/cortex.yaml").to_str().expect("UTF-8"));
    let sample = repository("examples/digits/sample.json");
    let answer = cluster.run(&["predict", "digits", sample.to_str().expect("UTF-8")]).ok().json();
    assert_eq!(answer["label"], json!([8]));
}
