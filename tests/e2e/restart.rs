//! One gateway takes over from another, planned or not, and nobody is refused.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use testkit::{Cluster, Https, Load, Role, Version, eventually, process, project};

fn cluster() -> Cluster {
    let cluster = Cluster::up();
    let echo = project::python(&cluster.cortex, "echo", &project::echo("one"), "");
    cluster.deploy(&echo);
    cluster
}

/// A client with a new connection for every request.
fn newcomer(cluster: &Cluster, version: Version) -> Https {
    let address: SocketAddr =
        cluster.api_endpoint.replace("https://localhost", "127.0.0.1").parse().expect("an address");
    Https::at("localhost", address, &cluster.ca, &cluster.key, version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_replaced_fails_no_request() {
    let cluster = cluster();
    let both = [Version::Http1, Version::Http2];
    let clients = [both.map(|version| cluster.client_of(version)), both.map(|version| newcomer(&cluster, version))];
    let loads = clients.map(|clients| Load::start(&clients, "/echo", &json!("hello"), 6, Duration::from_millis(5)));
    let mut gateways = vec![cluster.pid(Role::Gateway)];
    for _ in 0..3 {
        let old = gateways[gateways.len() - 1];
        process::terminate(old);
        gateways.push(cluster.successor(Role::Gateway, old).await);
        for load in &loads {
            load.more(100).await;
        }
    }
    for load in loads {
        load.stop().await.flawless();
    }
    let last = gateways.pop().expect("there is one");
    eventually("the former ones have ended", async || {
        let left: Vec<_> = gateways.iter().filter(|pid| process::is_alive(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(cluster.pid(Role::Gateway), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_end_is_replaced_as_planned_and_not_as_if_it_had_crashed() {
    let cluster = Cluster::up();
    // Without a connection a gateway ends in an instant.
    for role in [Role::Gateway, Role::Gateway, Role::Gateway, Role::Gateway, Role::Operator] {
        let former = cluster.pid(role);
        process::terminate(former);
        cluster.successor(role, former).await;
        cluster.ready(role).await;
    }
    let log = cluster.cortex.read(&cluster.directory.join("run/node.log"));
    let said = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((said("starting the next one"), said("starting it again")), (5, 0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_refuses_nobody() {
    let cluster = cluster();
    for version in [Version::Http1, Version::Http2] {
        let gateway = cluster.pid(Role::Gateway);
        let client = newcomer(&cluster, version);
        cluster.kill(gateway).await;
        // Now there is none, and the request waits.
        assert_eq!(client.predict("/echo", &json!(1)).await["echo"], 1);
        assert_ne!(cluster.pid(Role::Gateway), gateway);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_drains_is_waited_for() {
    let cluster = cluster();
    let gateway = cluster.pid(Role::Gateway);
    let (client, path) = (cluster.client_of(Version::Http1), "/echo");
    assert_eq!(client.predict(path, &json!(1)).await["echo"], 1);
    process::terminate(gateway);
    cluster.down().ok();
    cluster.no_process_left().await;
    assert!(!process::is_alive(gateway));
}
