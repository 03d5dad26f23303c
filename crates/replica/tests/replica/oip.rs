//! The Open Inference Protocol over a real socket, with models in the real runtime.

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    ground::{Answer, Ground, Running},
    model::{self, Dim},
};

const INFER: &str = "/v2/models/digits/infer";

async fn get(running: &Running, path: &str) -> Answer {
    running.connect().await.send(http::Request::get(path).body(Full::default()).unwrap()).await
}

async fn infer(running: &Running, body: &Value) -> Answer {
    running.connect().await.post(INFER, &body.to_string()).await
}

/// A request with tensors behind its JSON.
async fn infer_bytes(running: &Running, json: &Value, tensors: &[u8], encoding: Option<&str>) -> Answer {
    let json = json.to_string();
    let mut request = http::Request::post(INFER).header("inference-header-content-length", json.len());
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let body = [json.as_bytes(), tensors].concat();
    running.connect().await.send(request.header("x-request-id", "r1").body(Full::from(body)).unwrap()).await
}

/// `TensorProto.DataType`, the protocol's word, two elements, and the same as bytes.
fn every_type() -> Vec<(u64, &'static str, Value, Vec<u8>)> {
    let text = [[2, 0, 0, 0].as_slice(), "é".as_bytes(), &[0, 0, 0, 0]].concat();
    vec![
        (1, "FP32", json!([0.1, -1e-30]), [0.1_f32.to_le_bytes(), (-1e-30_f32).to_le_bytes()].concat()),
        (2, "UINT8", json!([0, 255]), vec![0, 255]),
        (3, "INT8", json!([-128, 127]), vec![128, 127]),
        (4, "UINT16", json!([1, 65535]), vec![1, 0, 255, 255]),
        (5, "INT16", json!([-32768, 1]), vec![0, 128, 1, 0]),
        (6, "INT32", json!([i32::MIN, 1]), vec![0, 0, 0, 128, 1, 0, 0, 0]),
        (7, "INT64", json!([i64::MIN, 1]), [i64::MIN.to_le_bytes(), 1_i64.to_le_bytes()].concat()),
        (8, "BYTES", json!(["é", ""]), text),
        (9, "BOOL", json!([true, false]), vec![1, 0]),
        (10, "FP16", json!([0.5, -2.0]), vec![0, 0x38, 0, 0xc0]),
        (11, "FP64", json!([0.1, -1e-300]), [0.1_f64.to_le_bytes(), (-1e-300_f64).to_le_bytes()].concat()),
        (12, "UINT32", json!([1, u32::MAX]), vec![1, 0, 0, 0, 255, 255, 255, 255]),
        (13, "UINT64", json!([1, u64::MAX]), [1_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat()),
    ]
}

#[tokio::test]
async fn every_type_goes_through_as_json_and_as_bytes() {
    for (element, datatype, values, bytes) in every_type() {
        let ground = Ground::onnx(&model::identity(element, &[Dim::Free("n"), Dim::Size(2)]));
        let running = ground.ready().await;
        let model = get(&running, "/v2/models/digits").await.ok();
        assert_eq!(model["inputs"], json!([{ "name": "x", "datatype": datatype, "shape": [-1, 2] }]));
        let document = get(&running, "/openapi.json").await.ok();
        let said = &document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"];
        let input = &said["schema"]["properties"]["inputs"]["items"]["anyOf"][0]["properties"];
        assert_eq!(input["datatype"], json!({ "const": datatype }));
        let answer = infer(&running, &said["example"]).await.ok();
        assert_eq!(answer["outputs"][0]["shape"], json!([1, 2]), "the example is a good one: {said}");

        let text = json!({ "name": "x", "datatype": datatype, "shape": [1, 2], "data": values });
        let answer = infer(&running, &json!({ "id": "7", "inputs": [text] })).await.ok();
        let output = json!({ "name": "y", "datatype": datatype, "shape": [1, 2], "data": values });
        let want = json!({ "model_name": "digits", "model_version": "v1", "id": "7", "outputs": [output] });
        assert_eq!(answer, want);

        let size = bytes.len();
        let parameters = json!({ "binary_data_size": size });
        let raw = json!({ "name": "x", "datatype": datatype, "shape": [1, 2], "parameters": parameters });
        let request = json!({ "inputs": [raw], "parameters": { "binary_data_output": true } });
        let answer = infer_bytes(&running, &request, &bytes, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let json_length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(answer.body[json_length..], bytes, "{datatype}");
        let head: Value = serde_json::from_slice(&answer.body[..json_length]).unwrap();
        let output = json!({ "name": "y", "datatype": datatype, "shape": [1, 2], "parameters": parameters });
        assert_eq!(head["outputs"], json!([output]));
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn mistakes_are_told_in_the_protocols_form_and_ours() {
    let ground = Ground::onnx(&model::identity(model::FLOAT, &[Dim::Free("n"), Dim::Size(2)]));
    let running = ground.ready().await;
    let input = json!({ "name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 3] });
    let answer = infer(&running, &json!({ "inputs": [input] })).await;
    let message = answer.refused(400, "bad_request");
    assert_eq!((message.as_str(), &answer.json()["error"]), ("input `x` wants [n, 2], got [3]", &json!(message)));

    let elsewhere = running.connect().await.post("/v2/models/other/infer", "{}").await;
    let message = elsewhere.refused(404, "not_found");
    assert_eq!(message, "there is no model `other` here: its name is that of the API, `digits`");
    assert_eq!(get(&running, "/v2/models/digits/config").await.status, 404);
    assert_eq!(running.connect().await.post("/v2/health/live", "{}").await.status, 404);
    let plain = running.post("[[1]]").await;
    assert_eq!((plain.status, plain.json().get("error")), (400, None), "the plain form is as it was");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn compressed_bodies_are_taken_in_both_forms() {
    let ground = Ground::onnx(&model::identity(model::UINT8, &[Dim::Free("n")]));
    let running = ground.ready().await;
    let gzip = |body: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut writer, body).unwrap();
        writer.finish().unwrap()
    };
    let input = json!({ "name": "x", "datatype": "UINT8", "shape": [3], "parameters": { "binary_data_size": 3 } });
    let json = json!({ "inputs": [input] }).to_string();
    let request = |path: &str, body: Vec<u8>| {
        let request = http::Request::post(path).header("content-encoding", "gzip").header("x-request-id", "r1");
        request.header("inference-header-content-length", json.len()).body(Full::from(Bytes::from(body))).unwrap()
    };
    let body = gzip(&[json.as_bytes(), &[1, 2, 3]].concat());
    let answer = running.connect().await.send(request(INFER, body)).await.ok();
    assert_eq!(answer["outputs"][0]["data"], json!([1, 2, 3]));
    assert_eq!(running.connect().await.send(request("/", gzip(b"[1, 2]"))).await.ok(), json!({ "y": [1, 2] }));
    let answer = infer_bytes(&running, &json!({ "inputs": [] }), &[], Some("br")).await;
    assert!(answer.refused(400, "bad_request").ends_with("send it as it is, or with gzip or deflate"));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn ready_until_it_drains() {
    let mut ground = Ground::onnx(&model::identity(model::FLOAT, &[Dim::Free("n")]));
    ground.limits.grace = std::time::Duration::from_secs(60);
    let mut running = ground.ready().await;
    assert_eq!(get(&running, "/v2").await.ok()["extensions"], json!(["binary_tensor_data"]));
    assert_eq!(get(&running, "/v2/health/live").await.ok(), json!({ "live": true }));
    assert_eq!(get(&running, "/v2/health/ready").await.ok()["ready"], true);
    assert_eq!(get(&running, "/v2/models/digits/versions/v1/ready").await.ok()["name"], "digits");
    let mut open = running.connect().await;
    running.stop();
    let draining = || ground.status().filter(|status| status.phase == api::replica::Phase::Draining);
    crate::ground::until("it drains", draining).await;
    for path in ["/v2/health/ready", "/v2/models/digits/ready"] {
        assert_eq!((get(&running, path).await.status, get(&running, "/v2/health/live").await.status), (503, 200));
    }
    let answer = open.post("/", "[1]").await;
    assert_eq!(answer.ok(), json!({ "y": [1.0] }), "it still answers");
}
