//! What of a message's head passes, and what is added.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncWriteExt as _;

use crate::{
    ground::{Ground, get, iris, key, soon},
    origin::{Origin, read_head, text},
    raw::{self, Raw},
};

/// Answers with the headers it got.
async fn mirror() -> Origin {
    Origin::new("a", |request| async move {
        let fields = request.headers().iter();
        let all: BTreeMap<_, _> = fields.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let mut response = Response::new(text(serde_json::to_string(&all).unwrap()));
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("x-request-id", "theirs"),
            ("x-own", "kept"),
        ] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
    .await
}

#[tokio::test]
async fn only_what_is_about_the_message_passes() {
    let origin = mirror().await;
    let ground = Ground::start(iris(&[&origin])).await;
    for protocol in ["h2", "http/1.1"] {
        let client = ground.speaking(protocol);
        let mut request = get(&client, &ground.url("/iris")).header("x-request-id", "mine-1").header("x-own", "kept");
        for (name, value) in [("x-forwarded-for", "10.9.9.9"), ("x-forwarded-port", "1"), ("forwarded", "for=10.9.9.9")]
        {
            request = request.header(name, value);
        }
        if protocol == "http/1.1" {
            request = request.header("connection", "x-hop").header("x-hop", "1").header("upgrade", "websocket");
        }
        let response = soon("an answer", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        let host = format!("localhost:{}", ground.address.port());
        let headers = response.headers().clone();
        let mut seen: BTreeMap<String, String> = response.json().await.unwrap();
        seen.remove("accept");
        let wanted = [
            ("host", host.as_str()),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", &host),
            ("x-forwarded-proto", "https"),
            ("x-own", "kept"),
            ("x-request-id", "mine-1"),
        ];
        assert_eq!(seen, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), "{protocol}");
        assert_eq!(headers["x-request-id"], "mine-1");
        assert_eq!(headers["x-own"], "kept");
        for gone in ["x-hop", "keep-alive", "connection"] {
            assert!(!headers.contains_key(gone), "{gone} passed");
        }
    }
}

#[tokio::test]
async fn a_request_has_an_id_whatever_the_client_says() {
    let origin = mirror().await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    for bad in ["", "a b", "<script>", &"x".repeat(129)] {
        let request = get(&client, &ground.url("/iris")).header("x-request-id", bad);
        let response = soon("an answer", request.send()).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        let seen: BTreeMap<String, String> = response.json().await.unwrap();
        assert_eq!(seen["x-request-id"], id);
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let origin = Origin::new("a", |request| async move {
        let sum = request.into_body().collect().await.unwrap().trailers().map(|trailers| trailers["x-sum"].clone());
        let sum = sum.unwrap_or_else(|| "none".parse().unwrap());
        let trailers = http::HeaderMap::from_iter([("x-sum".parse().unwrap(), sum)]);
        let frames = [Frame::data(Bytes::from("data")), Frame::trailers(trailers)];
        let body = BodyExt::boxed(StreamBody::new(stream::iter(frames.map(Ok))));
        Response::builder().header("trailer", "x-sum").body(body).unwrap()
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let head = format!(
        "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n",
        key(1)
    );
    let body = "4\r\ndata\r\n0\r\nx-sum: 42\r\n\r\n";
    let mut raw = Raw::connect(&ground).await;
    raw.write(&format!("{head}te: trailers\r\nconnection: te\r\n\r\n{body}")).await;
    let answer = raw.read_until("\r\n0\r\nx-sum: 42\r\n\r\n").await;
    assert!(answer.contains("\r\n4\r\ndata"), "{answer}");
    // Who does not ask for trailers gets none.
    let answer = raw::exchange(&ground, &head, body).await;
    assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_when_the_replica_takes_the_body() {
    let origin = Origin::new("a", |request| async move {
        assert!(!request.headers().contains_key("expect"));
        Response::new(request.into_body().map_err(std::io::Error::other).boxed())
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let head = |key: &str| {
        format!(
            "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nexpect: 100-continue\r\n\
             content-length: 4\r\nconnection: close\r\n\r\n"
        )
    };
    let mut raw = Raw::connect(&ground).await;
    raw.write(&head(&key(1))).await;
    assert_eq!(raw.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.write("data").await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("data"), "{answer}");

    let mut raw = Raw::connect(&ground).await;
    raw.write(&head(&key(2))).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 401 "), "a body that is refused is not asked for");
}

#[tokio::test]
async fn an_old_replica_and_an_old_client_understand_each_other() {
    let origin = Origin::raw("a", |mut stream| async move {
        assert!(read_head(&mut stream).await.starts_with("GET / HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end").await.unwrap();
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let answer = raw::exchange(&ground, &format!("GET /iris HTTP/1.0\r\nx-api-key: {}\r\n", key(1)), "").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nto the end"), "{answer}");
    for _ in 0..3 {
        let client = ground.client();
        let response = soon("an answer", get(&client, &ground.url("/iris")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "to the end");
    }
    assert_eq!(origin.seen.connections(), 4);
}
