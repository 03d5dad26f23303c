//! The Open Inference Protocol, spoken by NVIDIA's own client through gateway and TLS.

use std::process::Command;

use testkit::{Cluster, interpreter, project::repository};

#[path = "../../crates/replica/tests/replica/model.rs"]
#[expect(dead_code, reason = "the replica's tests need more models")]
mod model;

#[test]
fn tritonclient_finds_what_it_expects() {
    let cluster = Cluster::up();
    cluster.deploy(repository("examples/digits/cortex.yaml").to_str().expect("UTF-8"));
    cluster.cortex.write("words/model.onnx", model::identity(model::STRING, &[model::Dim::Free("n")]));
    let words = "- name: words\n  kind: RealtimeAPI\n  predictor: {type: onnx, path: model.onnx}\n";
    cluster.cortex.write("words/cortex.yaml", words);
    cluster.deploy("words/cortex.yaml");
    let ca = cluster.cortex.write("cluster.pem", &cluster.ca);
    let address = cluster.api_endpoint.strip_prefix("https://").expect("an HTTPS address");
    let mut client = Command::new(interpreter());
    client.arg(repository("tests/python/triton.py")).args([address, &ca.display().to_string(), &cluster.key]);
    let output = client.output().expect("the interpreter runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
