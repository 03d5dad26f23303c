//! Clients that mean harm, at the real operator and gateway: they are refused, the memory stays, and others are served.

use std::time::{Duration, Instant};

use testkit::{Cluster, Role, Version, bare, process::resident_kib, raw};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: Duration = Duration::from_secs(30);
/// What a process may have grown by, once it has seen some of everything.
const GROWTH_KIB: u64 = 24 * 1024;

/// Sends these bytes and reads to the end.
async fn answer(cluster: &Cluster, endpoint: &str, bytes: &[u8]) -> String {
    let mut stream = bare(endpoint, &cluster.ca, Version::Http1).await.expect("TLS");
    // The server may have heard enough before the end.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

fn bad_requests() -> Vec<(&'static str, String)> {
    let head = "POST /v1/deploy HTTP/1.1\r\nhost: localhost\r\n";
    vec![
        ("two lengths", format!("{head}content-length: 1\r\ncontent-length: 2\r\n\r\nab")),
        ("a blank before the colon", format!("{head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n")),
        ("a folded line", format!("{head}x: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a NUL", format!("{head}x: a\0b\r\n\r\n")),
        ("a coding that is none", format!("{head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("chunked twice", format!("{head}connection: close\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n")),
        ("too many fields", format!("{head}{}\r\n", "x: y\r\n".repeat(500))),
        ("a field too long", format!("{head}x: {}\r\n\r\n", "y".repeat(1_000_000))),
        ("a path too long", format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "p".repeat(1_000_000))),
        ("no HTTP", "\x16\x03\x01\x02\0\r\n\r\n".to_owned()),
    ]
}

async fn bad_round(cluster: &Cluster, endpoint: &str) {
    for (what, request) in bad_requests() {
        let answer = answer(cluster, endpoint, request.as_bytes()).await;
        // A reset may overtake the refusal of what is still being sent.
        let lost = answer.is_empty() && request.len() > 64 * 1024;
        let told = answer.starts_with("HTTP/1.1 4") && answer.contains(r#"{"kind":""#);
        assert!(lost || told, "{what} at {endpoint}: {answer}");
    }
}

async fn serves(cluster: &Cluster, endpoint: &str) {
    let client = raw(&cluster.ca, Version::Http2);
    let begun = Instant::now();
    let answer = client.get(format!("{endpoint}/healthz")).send().await.expect("an answer");
    assert!(answer.status().is_success() && begun.elapsed() < PATIENCE, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bad_requests_and_slow_clients_cost_little_and_hold_up_nobody() {
    let cluster = Cluster::up();
    for (role, endpoint) in [(Role::Operator, &cluster.operator_endpoint), (Role::Gateway, &cluster.api_endpoint)] {
        let pid = cluster.pid(role);
        for _ in 0..3 {
            bad_round(&cluster, endpoint).await;
        }
        // Who begins and does not go on: in TLS, in the head, in the body.
        let mut slow = Vec::new();
        for number in 0..150 {
            let mut stream = bare(endpoint, &cluster.ca, Version::Http1).await.expect("TLS");
            let begun = match number % 3 {
                0 => "G",
                1 => "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx:",
                _ => "POST /v1/deploy HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nx",
            };
            stream.write_all(begun.as_bytes()).await.expect("the server listens");
            stream.flush().await.expect("the server listens");
            slow.push(stream);
        }
        let before = resident_kib(pid);
        for _ in 0..20 {
            bad_round(&cluster, endpoint).await;
            serves(&cluster, endpoint).await;
        }
        let grown = resident_kib(pid).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{endpoint}: {grown} KiB more than before");
        assert_eq!(cluster.pid(role), pid, "it is the same process");
        drop(slow);
    }
}
