use crate::ground::Ground;
use std::time::Instant;

async fn measure(name: &str, ground: Ground, body: &str) {
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    let mut times = Vec::new();
    for _ in 0..3000 {
        let begun = Instant::now();
        assert_eq!(connection.post("/", body).await.status, 200);
        times.push(begun.elapsed());
    }
    times.sort();
    eprintln!("{name}: median {:?} p99 {:?}", times[1500], times[2970]);
    drop(connection);
    running.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn speed() {
    measure(
        "python echo",
        Ground::python("class PythonPredictor:\n  def predict(self, payload): return payload\n"),
        "[1,2,3]",
    )
    .await;
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits");
    measure(
        "digits",
        Ground::onnx(&std::fs::read(format!("{dir}/model.onnx")).unwrap()),
        &std::fs::read_to_string(format!("{dir}/sample.json")).unwrap(),
    )
    .await;
}
