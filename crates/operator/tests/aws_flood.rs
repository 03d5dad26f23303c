//! The operator's door under junk in numbers, and junk that no HTTP library would write. A program of its own, because its
//! memory is measured.

#[path = "../../identity/tests/sts/aws.rs"]
mod aws;
#[path = "aws/door.rs"]
#[expect(dead_code, reason = "shared")]
mod door;
#[path = "engine/mod.rs"]
#[expect(dead_code, reason = "shared")]
mod engine;
#[path = "aws/flood_bench.rs"]
mod flood_bench;
#[path = "aws/scripted_sts.rs"]
#[expect(dead_code, reason = "shared")]
mod scripted_sts;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{StatusCode, header};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use door::{Call, Door};

const PATIENCE: Duration = Duration::from_secs(20);
/// In one write, before the answers are read.
const BATCH: usize = 100;
const CONNECTIONS: usize = 4;
const REQUESTS: usize = 100_000;
/// What the process may have grown by, once it has seen a tenth of it all.
const GROWTH_KIB: u64 = 16 * 1024;

async fn connect(door: &Door) -> TlsStream<TcpStream> {
    let address = door.endpoint.trim_start_matches("https://");
    let config = transport::client_config(&door.ca).expect("a certificate");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await.expect("the operator listens");
    stream.set_nodelay(true).expect("TCP");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
}

/// Requests with credentials that are none, as bytes.
fn junk(door: &Door) -> Vec<String> {
    let good = door.signed(&door.sts.alice(), Call::info());
    let content = good.headers[Call::content_header()].to_str().expect("text").to_owned();
    let token = good.authorization();
    let json = r#"{"access_key_id":"AKIDEXAMPLE000000001","date":"20260131T235959Z"}"#;
    let credentials = [
        String::new(),
        "Cortex-V1".to_owned(),
        "Cortex-V1 ".to_owned() + &"A".repeat(9_000),
        token.replace("Cortex-V1", "Cortex-V2"),
        token[..token.len() - 7].to_owned(),
        format!("{token}="),
        token.replace('A', "*"),
        format!("Cortex-V1 {json}"),
        "Bearer ctxadm_0".to_owned(),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE000000001/20260131/us-east-1/sts/aws4_request".to_owned(),
    ];
    let request = |credential: &String| {
        format!(
            "GET /v1/info HTTP/1.1\r\nhost: localhost\r\nx-cortex-content-sha256: {content}\r\n\
             authorization: {credential}\r\n\r\n"
        )
    };
    credentials.iter().map(request).collect()
}

/// Sends so many of them; the number of answers that are 401. The answers to a batch are as long as those to the first one,
/// which are counted: an answer of another kind has another length.
async fn send(door: &Door, junk: &[String], count: usize) -> usize {
    let mut stream = connect(door).await;
    let batch: String = junk.iter().cycle().take(BATCH).cloned().collect();
    let mut first = String::new();
    let mut refused = 0;
    while refused < count {
        stream.write_all(batch.as_bytes()).await.expect("the operator reads");
        stream.flush().await.expect("the operator reads");
        if first.is_empty() {
            while first.matches(r#""request_id""#).count() < BATCH || !first.ends_with('}') {
                let mut buffer = [0; 4096];
                let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer");
                first += std::str::from_utf8(&buffer[..read.expect("an answer")]).expect("text");
            }
            assert_eq!(first.matches("HTTP/1.1 401 ").count(), BATCH, "{first}");
        } else {
            let mut answers = vec![0; first.len()];
            let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answers)).await.expect("answers");
            read.expect("answers");
            assert!(answers.starts_with(b"HTTP/1.1 401 ") && answers.ends_with(b"}"), "{answers:?}");
        }
        refused += BATCH;
    }
    refused
}

/// Resident memory of this process, which has the operator in it.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn row_26_a_hundred_thousand_malformed_tokens_never_reach_sts_and_leave_no_trace() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let junk = junk(&door);
    send(&door, &junk, REQUESTS / 10).await;
    let before = resident_kib();
    let over = AtomicBool::new(false);
    let flood = async {
        let each = (REQUESTS - REQUESTS / 10) / CONNECTIONS;
        let refused = futures_util::future::join_all((0..CONNECTIONS).map(|_| send(&door, &junk, each))).await;
        over.store(true, Ordering::SeqCst);
        refused.into_iter().sum::<usize>()
    };
    let good = async {
        let mut answered = 0;
        while !over.load(Ordering::SeqCst) {
            let call = door.signed(&alice, Call::info());
            let answer = tokio::time::timeout(PATIENCE, door.send(&call)).await.expect("the good caller is answered");
            assert_eq!(answer.status, StatusCode::OK);
            answered += 1;
        }
        answered
    };
    let (refused, answered) = tokio::join!(flood, good);
    assert_eq!(refused, REQUESTS - REQUESTS / 10);
    assert!(answered > 10, "{answered} good requests");
    assert_eq!(door.sts.asked(), answered, "only the good caller's requests");
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB more than before");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_or_has_two_readings_does_not_get_far() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let good = door.signed(&alice, Call::deploy());
    let (credential, content) = (good.authorization(), good.headers[Call::content_header()].to_str().expect("text"));
    let post = |fields: &str, body: &str| {
        format!(
            "POST /v1/deploy HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
             authorization: {credential}\r\nx-cortex-content-sha256: {content}\r\n{fields}\r\n\r\n{body}"
        )
    };
    let body = String::from_utf8(good.body.clone()).expect("JSON");
    let length = body.len();
    let chunks = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let cases = [
        ("two lengths", "400", post(&format!("content-length: {length}\r\ncontent-length: 1"), &body)),
        ("a blank before the colon", "400", post("transfer-encoding : chunked", &chunks)),
        ("a folded line", "400", post("x: y\r\n transfer-encoding: chunked", &chunks)),
        ("a NUL", "400", post("x: a\0b", "")),
        ("a last coding that is not chunked", "400", post("transfer-encoding: chunked, gzip", &chunks)),
        ("two codings", "400", post("transfer-encoding: gzip, chunked", &chunks)),
        ("chunked twice", "400", post("transfer-encoding: chunked\r\ntransfer-encoding: chunked", &chunks)),
        ("too many fields", "431", post(&"x: y\r\n".repeat(200), "")),
        ("a field too long", "431", post(&format!("x: {}", "y".repeat(100_000)), "")),
        ("a path too long", "4", format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "p".repeat(100_000))),
        // The last one whose credential is looked at: it is good once.
        ("no chunk", "400", post("transfer-encoding: chunked", "zz\r\n")),
        ("nothing at all", "400", "\0\0\0\0\r\n\r\n".to_owned()),
    ];
    for (what, status, request) in cases {
        let mut stream = connect(&door).await;
        // The operator may have heard enough before the end.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        let lost = answer.is_empty() && request.len() > 64 * 1024;
        assert!(lost || answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        let credential = credential.split(' ').next_back().expect("a token");
        assert!(!answer.contains(credential), "{what}: the credential is in the answer");
    }
    assert_eq!(door.apis().await, 0);
    // A compressed body is not unpacked: it is what was signed, and no JSON.
    let packed = Call::deploy().with(header::CONTENT_ENCODING, "gzip");
    let packed = Call { body: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0], ..packed };
    assert_eq!(door.refused("gzip", &door.signed(&alice, packed)).await.0, StatusCode::BAD_REQUEST);
    door.close().await;
}
