//! Updates and changes of size under load: a hundred requests in flight all the time, and none fails.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Cluster, Load, Tally, Version, eventually, project};

const IN_FLIGHT: usize = 100;

/// Takes 50 ms for an answer, and any number of requests at a time.
fn source(version: u32) -> String {
    format!(
        "import time\n\nclass PythonPredictor:\n    def __init__(self, config):\n        pass\n\n    \
         def predict(self, payload):\n        time.sleep(0.05)\n        return {{\"version\": {version}}}\n"
    )
}

fn write(cluster: &Cluster, version: u32, replicas: u32) -> String {
    let more = format!("    threads_per_process: {IN_FLIGHT}\n{}", project::replicas(replicas));
    project::python(&cluster.cortex, "busy", &source(version), &more)
}

/// Half over connections of their own, half on one shared.
fn load(cluster: &Cluster) -> Load {
    let clients = [Version::Http1, Version::Http2].map(|version| cluster.client_of(version));
    Load::start(&clients, "/busy", &json!({ "x": 1 }), IN_FLIGHT, Duration::ZERO)
}

fn versions(tally: &Tally) -> Vec<u64> {
    let version = |answer: &String| {
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        answer["version"].as_u64().expect("a version")
    };
    let mut versions: Vec<_> = tally.answers.keys().map(version).collect();
    versions.sort_unstable();
    versions
}

/// Waits until a version is the only one to answer.
async fn only(load: &Load, version: u32) {
    eventually("the newest version alone answers", async || {
        let before = load.tally();
        load.more(2 * IN_FLIGHT as u64).await;
        let after = load.tally();
        let grown: Vec<_> =
            after.answers.iter().filter(|(answer, count)| before.answers.get(*answer) != Some(*count)).collect();
        let newest = format!("{{\"version\":{version}}}");
        let only = grown.len() == 1 && grown[0].0.replace(' ', "") == newest;
        if only { Ok(()) } else { Err(format!("{grown:?} {:?}", after.failures)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_version_fails_no_request() {
    let cluster = Cluster::up();
    let file = write(&cluster, 1, 2);
    cluster.deploy(&file);
    let (load, client) = (load(&cluster), cluster.client());
    load.more(2 * IN_FLIGHT as u64).await;
    for version in 2..=4 {
        write(&cluster, version, 2);
        cluster.deploy(&file).says("updating busy");
        // Requests that begin after `deploy` has said `live` get to the new version and to no other.
        for _ in 0..10 {
            assert_eq!(client.predict("/busy", &json!(1)).await["version"], version);
        }
    }
    only(&load, 4).await;
    cluster.settled("busy", 2).await;
    let tally = load.stop().await;
    tally.flawless();
    assert_eq!(versions(&tally), [1, 2, 3, 4]);
    assert_eq!(tally.last.replace(' ', ""), "{\"version\":4}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_number_of_replicas_fails_no_request() {
    let cluster = Cluster::up();
    let file = write(&cluster, 1, 2);
    cluster.deploy(&file);
    let first = cluster.settled("busy", 2).await;
    let load = load(&cluster);
    load.more(2 * IN_FLIGHT as u64).await;
    for count in [4, 1, 2] {
        write(&cluster, 1, count);
        cluster.deploy(&file).says("updating busy");
        let replicas = cluster.settled("busy", count as usize).await;
        assert!(replicas.iter().any(|replica| first.contains(replica)), "one of the first is kept: {replicas:?}");
        load.more(IN_FLIGHT as u64).await;
    }
    load.stop().await.flawless();
}
