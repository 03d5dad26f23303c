//! Clients that take more than their share, or as long as they like.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use transport::Limits;

use crate::ground::{PATIENCE, Running, SHORT, ended, get, soon};

/// The whole answer to these bytes, on a connection of their own.
async fn exchange(server: &Running, bytes: &[u8]) -> String {
    let mut stream = server.tls(&["http/1.1"]).await;
    // The server may have heard enough before the end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn one_client_cannot_take_every_place() {
    let server = Running::start(Limits { per_client: 3, ..Limits::default() }).await;
    let mut greedy = Vec::new();
    for _ in 0..3 {
        greedy.push(server.tls(&[]).await);
    }
    for _ in 0..50 {
        ended(TcpStream::connect(server.address).await.unwrap()).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let other = socket.connect(server.address).await.unwrap();
    let mut other = server.handshake(other, &[]).await;
    other.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("an answer to another client", other.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");

    greedy.truncate(1);
    let (client, url) = (server.client(), server.url("/"));
    let begun = Instant::now();
    while get(&client, &url).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "there is a place again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn headers_that_trickle_are_not_waited_for() {
    let server = Running::start(Limits { headers: SHORT, ..Limits::default() }).await;
    let mut slow = server.tls(&["http/1.1"]).await;
    let begun = Instant::now();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    // Never quiet for as long as the limit, and never done.
    while slow.write_all(b"x: y\r\n").await.is_ok() && slow.flush().await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it is still listened to");
        tokio::time::sleep(SHORT / 10).await;
    }
    ended(slow).await;
    assert_eq!(soon("an answer to another", get(&server.client(), &server.url("/"))).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_head_has_a_size_and_a_number_of_fields() {
    let server = Running::start(Limits { header_bytes: 16 * 1024, ..Limits::default() }).await;
    let many = |count| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let request = |path: &str, fields: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n")
    };
    for (what, request, status) in [
        ("98 fields more", request("/", &many(98)), 200),
        ("99 fields more", request("/", &many(99)), 431),
        ("10,000 fields", request("/", &many(10_000)), 431),
        ("a field of 15 KiB", request("/", &format!("x: {}\r\n", "y".repeat(15 * 1024))), 200),
        ("a field of 17 KiB", request("/", &format!("x: {}\r\n", "y".repeat(17 * 1024))), 431),
        ("a field of 1 MiB", request("/", &format!("x: {}\r\n", "y".repeat(1024 * 1024))), 431),
        ("a name of 64 KiB and more", request("/", &format!("{}: y\r\n", "x".repeat(70_000))), 431),
        ("a path of 15 KiB", request(&format!("/{}", "p".repeat(15 * 1024)), ""), 200),
        ("a path of 1 MiB", request(&format!("/{}", "p".repeat(1024 * 1024)), ""), 431),
    ] {
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(answer.contains(r#"{"kind":"headers_too_large","#), status == 431 && !answer.is_empty(), "{what}");
        // A reset may overtake a refusal of what is still being sent.
        let lost = answer.is_empty() && request.len() > 64 * 1024;
        assert!(lost || answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
}
