//! Other protocols over a connection that began as HTTP/1.1.

use std::time::Duration;

use api::routes::Limits as ApiLimits;
use gateway::Timeouts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    ground::{Ground, answer, eventually, get, iris, key, refusal, soon, timeouts},
    origin::{Origin, read_head},
    raw::Raw,
};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: shout\r\nx-own: 1\r\n\r\n";

/// Switches, says hello at once, then answers in capitals, and says goodbye when the client has ended.
async fn shouter() -> Origin {
    Origin::raw("a", |mut stream| async move {
        let head = read_head(&mut stream).await;
        if !head.contains("upgrade: shout\r\n") || !head.contains("connection: upgrade\r\n") {
            let refused = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len());
            stream.write_all(refused.as_bytes()).await.ok();
            return;
        }
        stream.write_all(format!("{SWITCHED}hello ").as_bytes()).await.unwrap();
        let mut word = [0; 64];
        loop {
            match stream.read(&mut word).await {
                Ok(0) => break,
                Ok(length) => stream.write_all(&word[..length].to_ascii_uppercase()).await.unwrap(),
                Err(_) => return,
            }
        }
        stream.write_all(b" goodbye").await.ok();
    })
    .await
}

async fn ask(ground: &Ground, more: &str) -> Raw {
    let mut raw = Raw::connect(ground).await;
    raw.write(&format!("GET /iris/x HTTP/1.1\r\nhost: localhost\r\n{more}\r\n")).await;
    raw
}

fn fields() -> String {
    format!("connection: Upgrade\r\nupgrade: shout\r\nx-api-key: {}\r\n", key(1))
}

#[tokio::test]
async fn bytes_pass_both_ways_until_both_sides_have_ended() {
    let origin = shouter().await;
    let ground = Ground::start(iris(&[&origin])).await;
    let mut raw = ask(&ground, &fields()).await;
    let head = raw.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    for field in ["upgrade: shout", "connection: upgrade", "x-own: 1", "x-request-id: "] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert_eq!(raw.read_until("hello ").await, "hello ");
    for word in ["one", "two"] {
        raw.write(word).await;
        assert_eq!(raw.read_until(&word.to_uppercase()).await, word.to_uppercase());
    }
    assert_eq!(ground.counts().in_flight, 1);
    raw.end().await;
    assert_eq!(raw.rest().await, " goodbye");
    origin.seen.closed().await;
    eventually("it is recorded", || async { ground.counts().in_flight == 0 }).await;
    let counts = ground.counts();
    assert_eq!([counts.bytes_in, counts.bytes_out], [6, 20]);
    assert_eq!([counts.failed, counts.refused, counts.abandoned], [0; 3], "{counts:?}");
}

#[tokio::test]
async fn without_a_key_nothing_is_switched() {
    let origin = shouter().await;
    let ground = Ground::start(iris(&[&origin])).await;
    for more in ["", "x-api-key: wrong\r\n"] {
        let mut raw = ask(&ground, &format!("connection: upgrade\r\nupgrade: shout\r\n{more}")).await;
        assert!(raw.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 401 "));
    }
    assert_eq!(origin.seen.connections(), 0);
}

#[tokio::test]
async fn a_replica_need_not_switch_and_is_never_asked_for_http2() {
    let origin = shouter().await;
    let ground = Ground::start(iris(&[&origin])).await;
    let key = key(1);
    for more in [
        format!(
            "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nx-api-key: {key}\r\n"
        ),
        format!("upgrade: shout\r\nx-api-key: {key}\r\n"),
        format!("connection: upgrade\r\nupgrade: shout\r\ncontent-length: 1\r\nx-api-key: {key}\r\n"),
    ] {
        let mut raw = ask(&ground, &more).await;
        if more.contains("content-length") {
            raw.write("x").await;
        }
        let head = raw.read_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let seen = raw.read_until("\r\n\r\n").await;
        assert!(!seen.contains("h2c") && !seen.contains("http2-settings") && !seen.contains("upgrade"), "{seen}");
    }
}

#[tokio::test]
async fn whoever_goes_away_takes_the_tunnel_along() {
    let origin = shouter().await;
    let ground = Ground::start(iris(&[&origin])).await;
    let mut raw = ask(&ground, &fields()).await;
    raw.read_until("hello ").await;
    drop(raw);
    origin.seen.closed().await;

    let mut origin = shouter().await;
    ground.publish_now(iris(&[&origin])).await;
    let mut raw = ask(&ground, &fields()).await;
    raw.read_until("hello ").await;
    origin.kill().await;
    assert_eq!(raw.rest().await, "");
    eventually("both are recorded", || async { ground.counts().in_flight == 0 }).await;
}

#[tokio::test]
async fn a_tunnel_has_a_place_of_its_api() {
    let origin = shouter().await;
    let mut routes = iris(&[&origin]);
    routes.apis[0].limits = ApiLimits { max_in_flight: Some(1), max_queue_length: Some(0), ..ApiLimits::default() };
    let ground = Ground::start(routes).await;
    let mut raw = ask(&ground, &fields()).await;
    raw.read_until("hello ").await;
    assert_eq!(refusal(get(&ground.client(), &ground.url("/iris"))).await.1, "overloaded");
    raw.end().await;
    raw.rest().await;
    eventually("a place", || async { answer(get(&ground.client(), &ground.url("/iris"))).await.0 == 200 }).await;
}

#[tokio::test]
async fn a_quiet_tunnel_is_closed_in_the_end() {
    let origin = shouter().await;
    let short = Timeouts { tunnel: Duration::from_millis(300), ..timeouts() };
    let ground = Ground::start_with(iris(&[&origin]), short).await;
    let mut raw = ask(&ground, &fields()).await;
    assert!(soon("the end", raw.read_until("hello ")).await.ends_with("hello "));
    assert_eq!(raw.rest().await, "");
    origin.seen.closed().await;
}

#[tokio::test]
async fn stopping_waits_for_a_tunnel_and_ends_it_at_the_limit() {
    let origin = shouter().await;
    let mut ground = Ground::start_within(iris(&[&origin]), Duration::from_millis(500)).await;
    let mut raw = ask(&ground, &fields()).await;
    raw.read_until("hello ").await;
    ground.stop();
    eventually("no new connections", || async { tokio::net::TcpStream::connect(ground.address).await.is_err() }).await;
    raw.write("still").await;
    assert_eq!(raw.read_until("STILL").await, "STILL");
    soon("the end", &mut ground.task).await.unwrap();
    assert_eq!(raw.rest().await, "");
    origin.seen.closed().await;
}
