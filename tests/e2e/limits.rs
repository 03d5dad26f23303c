//! Limits as a `cortex.yaml` sets them: what callers get, and that another limit starts no process again.

use std::fs;

use serde_json::{Value, json};
use testkit::{Answer, Cluster, Https, Replica, Role, Version, eventually, project};
use tokio::task::JoinHandle;

use crate::gate::{self, Gate};

/// Holds each request until the test lets it go.
const HOLDS: &str = r#"
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        reach(f"{payload}-arrived")
        wait(f"{payload}-may-go")
        return {"payload": payload, "pid": os.getpid()}
"#;

fn write(cluster: &Cluster, gate: &Gate, name: &str, networking: &str) -> String {
    let more = format!("    threads_per_process: 8\n{}  networking: {{{networking}}}\n", gate.env());
    project::python(&cluster.cortex, name, &format!("{}{HOLDS}", gate::PYTHON), &more)
}

/// Sends a request until one is let through to the predictor, which holds it.
async fn held(client: &Https, gate: &Gate, endpoint: &str, payload: &str) -> JoinHandle<Answer> {
    let (path, arrived) = (format!("/{endpoint}"), format!("{payload}-arrived"));
    eventually("the request is let through", async || {
        let (client, path, payload) = (client.clone(), path.clone(), json!(payload));
        let mut request = tokio::spawn(async move { client.post(&path, &payload).await });
        tokio::select! {
            () = gate.reached(&arrived) => Ok(request),
            answer = &mut request => Err(format!("{answer:?}")),
        }
    })
    .await
}

async fn answered(gate: &Gate, request: JoinHandle<Answer>, payload: &str) -> Value {
    gate.open(&format!("{payload}-may-go"));
    let answer = request.await.expect("no panic");
    assert_eq!((answer.status, &answer.json()["payload"]), (200, &json!(payload)), "{answer:?}");
    answer.json()["pid"].clone()
}

fn refused(answer: &Answer, status: u16, kind: &str, why: &str) {
    let body = answer.json();
    assert_eq!((answer.status, &body["kind"]), (status, &json!(kind)), "{answer:?}");
    assert!(body["message"].as_str().is_some_and(|message| message.contains(why)), "{why}: {body}");
    assert_eq!(body["request_id"], answer.headers["x-request-id"].to_str().expect("ASCII"));
}

/// Twice in the place that the API has no more of.
async fn overloaded(cluster: &Cluster, gate: &Gate, payload: &str) {
    for version in [Version::Http1, Version::Http2] {
        let answer = cluster.client_of(version).post("/held", &json!(payload)).await;
        refused(&answer, 503, "overloaded", "0 requests of this API wait at the gateway, which is as many as may");
        let after = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        assert!(after.is_some_and(|seconds| seconds > 0), "{answer:?}");
    }
    assert!(!gate.is_reached(&format!("{payload}-arrived")), "no replica has seen what is refused");
}

/// Seconds that the replica of an API was told to take for its last requests, at most.
fn drain(cluster: &Cluster, api: &str) -> u64 {
    let replicas = fs::read_dir(cluster.directory.join("r")).expect("there are replicas");
    let specs = replicas.flatten().filter_map(|replica| fs::read(replica.path().join("spec.json")).ok());
    let mut specs = specs.map(|spec| serde_json::from_slice::<Value>(&spec).expect("JSON"));
    let spec = specs.find(|spec| spec["api"] == api).expect("it has a replica");
    spec["drain_timeout"]["secs"].as_u64().expect("a number")
}

fn processes(cluster: &Cluster) -> ([u32; 3], Vec<Replica>) {
    ([Role::Node, Role::Operator, Role::Gateway].map(|role| cluster.pid(role)), cluster.replicas())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_requests_in_flight_are_held_to_and_can_be_raised() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    let file = write(&cluster, &gate, "held", "max_in_flight: 1, max_queue_length: 0");
    cluster.deploy(&file);
    cluster.settled("held", 1).await;
    let (client, before) = (cluster.client(), processes(&cluster));
    let first = held(&client, &gate, "held", "a").await;
    overloaded(&cluster, &gate, "b").await;

    write(&cluster, &gate, "held", "max_in_flight: 2, max_queue_length: 0");
    cluster.deploy(&file).says("updating held");
    let second = held(&client, &gate, "held", "b").await;
    overloaded(&cluster, &gate, "c").await;

    // Without a limit.
    write(&cluster, &gate, "held", "");
    cluster.deploy(&file).says("updating held");
    let third = held(&client, &gate, "held", "c").await;
    let mut workers = Vec::new();
    for (payload, request) in [("a", first), ("b", second), ("c", third)] {
        workers.push(answered(&gate, request, payload).await);
    }
    assert!(workers.iter().all(|pid| *pid == workers[0]), "{workers:?}");
    assert_eq!(processes(&cluster), before, "no process was started again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_time_are_each_apis_own_and_can_be_changed() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    let deploy = |api: &str, networking: &str| cluster.deploy(&write(&cluster, &gate, api, networking));
    deploy("hasty", "timeout: 1");
    deploy("patient", "");
    cluster.settled("hasty", 1).await;
    cluster.settled("patient", 1).await;
    let (client, before) = (cluster.client(), processes(&cluster));
    let late = async |version: Version, api: &str, payload: &str| {
        let answer = cluster.client_of(version).post(&format!("/{api}"), &json!(payload)).await;
        refused(&answer, 504, "deadline_exceeded", "did not answer within 1 s");
        gate.open(&format!("{payload}-may-go"));
    };
    // A replica that goes has as long for what it has begun, and some more.
    assert_eq!([drain(&cluster, "hasty"), drain(&cluster, "patient")], [1 + 10, 60 + 10]);
    // What outlasts the second that another one has.
    let long = held(&client, &gate, "patient", "a").await;
    late(Version::Http1, "hasty", "b").await;
    late(Version::Http2, "hasty", "c").await;
    answered(&gate, long, "a").await;

    deploy("patient", "timeout: 1");
    // Whoever answers there knows of both changes.
    deploy("hasty", "endpoint: /unhurried, timeout: 600");
    let long = held(&client, &gate, "unhurried", "d").await;
    late(Version::Http2, "patient", "e").await;
    answered(&gate, long, "d").await;
    // In time.
    let quick = held(&client, &gate, "patient", "f");
    gate.open("f-may-go");
    assert_eq!(quick.await.await.expect("no panic").status, 200);
    assert_eq!(processes(&cluster), before, "no process was started again");
}
