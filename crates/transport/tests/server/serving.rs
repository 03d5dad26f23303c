//! Serving, waiting, stopping.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;

use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tokio_rustls::client::TlsStream;
use transport::{Address, Authority, Incoming, Limits, Listener, Peer, Server, client_config};

use crate::ground::{PATIENCE, Running, SHORT, ended, get, soon};

#[tokio::test]
async fn a_client_that_pins_the_authority_is_served_by_http_1_and_2_and_another_is_not() {
    let server = Running::start(Limits::default()).await;
    let client = server.client();
    let response = soon("h2", client.get(server.url("/")).send()).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let url = format!("https://{}/", server.address);
    assert_eq!(soon("by IP address", get(&client, &url)).await.unwrap(), "ok");

    let mut plain = server.tls(&[]).await;
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("h1", plain.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");

    let other = Authority::generate("other", OffsetDateTime::now_utc()).unwrap();
    let client_of_other = crate::ground::client(other.certificate_pem());
    let error = soon("refusal", get(&client_of_other, &server.url("/"))).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn a_stalled_handshake_holds_up_nobody_and_is_ended() {
    let server = Running::start(Limits { handshake: SHORT, ..Limits::default() }).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        stalled.push(stream);
    }
    assert_eq!(soon("an answer", get(&server.client(), &server.url("/"))).await.unwrap(), "ok");
    for stream in stalled {
        ended(stream).await;
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_after_the_handshake_loses_its_connection() {
    let server = Running::start(Limits { handshake: PATIENCE, headers: SHORT, ..Limits::default() }).await;
    ended(server.tls(&["http/1.1"]).await).await;
    let mut slow = server.tls(&[]).await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    ended(slow).await;

    let server = Running::start(Limits { handshake: SHORT, headers: PATIENCE, ..Limits::default() }).await;
    let mut slow = server.tls(&["h2"]).await;
    slow.write_all(b"PRI * HTTP/2.0").await.unwrap();
    ended(slow).await;
    // One that has begun is not subject to it.
    let client = server.client();
    let url = server.url("/wait");
    let mut answer = std::pin::pin!(get(&client, &url));
    assert!(tokio::time::timeout(SHORT * 2, &mut answer).await.is_err(), "nobody has released it");
    server.release.add_permits(1);
    assert_eq!(soon("an answer", answer).await.unwrap(), "ok");
}

#[tokio::test]
async fn stopping_finishes_what_has_begun_and_takes_nothing_new() {
    let server = Running::start(Limits { drain: PATIENCE, ..Limits::default() }).await;
    let client = server.client();
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (client, url) = (client.clone(), server.url("/wait"));
            tokio::spawn(async move { get(&client, &url).await })
        })
        .collect();
    soon("fifty requests", server.waiting.acquire_many(50)).await.unwrap().forget();
    server.stop.send(()).unwrap();
    soon("the listener's end", async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!server.task.is_finished(), "there are requests to finish");
    server.release.add_permits(50);
    for request in requests {
        assert_eq!(soon("an answer", request).await.unwrap().unwrap(), "ok");
    }
    soon("the end", server.task).await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_within_the_drain_limit_is_ended() {
    for alpn in ["http/1.1", "h2"] {
        let server = Running::start(Limits { drain: SHORT, ..Limits::default() }).await;
        let request = {
            let mut config = client_config(&server.ca).unwrap();
            config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
            let client = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
            let url = server.url("/wait");
            tokio::spawn(async move { get(&client, &url).await })
        };
        soon("the request", server.waiting.acquire()).await.unwrap().forget();
        server.stop.send(()).unwrap();
        soon("the end", server.task).await.unwrap();
        assert!(soon("the client's error", request).await.unwrap().is_err(), "{alpn}");
    }
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_connections() {
    let server = Running::start(Limits::default()).await;
    let stream = server.tls(&["http/1.1"]).await;
    server.task.abort();
    ended(stream).await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_only() {
    let server = Running::start(Limits::default()).await;
    let certificate = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut old = server.tls(&[]).await;
    let same = server.tls(&[]).await;
    assert_eq!(certificate(&old), certificate(&same));
    server.tls.renew().unwrap();
    let new = server.tls(&[]).await;
    assert_ne!(certificate(&old), certificate(&new));
    old.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("an answer on the old connection", old.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_by_the_clock_on_the_wall_and_no_connection_is_cut() {
    let server = Running::start(Limits::default()).await;
    let certificate = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut old = server.tls(&[]).await;
    let days = Arc::new(AtomicI64::new(59));
    let tls = server.tls.clone();
    let keeping = {
        let days = Arc::clone(&days);
        let clock = move || OffsetDateTime::now_utc() + time::Duration::days(days.load(Ordering::SeqCst));
        tokio::spawn(async move { tls.keep_renewed_by(clock, SHORT / 10).await })
    };
    tokio::time::sleep(SHORT).await;
    assert_eq!(certificate(&server.tls(&[]).await), certificate(&old), "it is good for 31 days");
    // Not verified: the next one is from the future.
    let address = server.address.to_string();
    let first = transport::presented(&address, "localhost").await.unwrap();
    // As when a machine has slept.
    days.store(61, Ordering::SeqCst);
    let renewed = async {
        while transport::presented(&address, "localhost").await.unwrap()[0] == first[0] {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    soon("another certificate", renewed).await;
    old.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("an answer on the old connection", old.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
    keeping.abort();
}

#[tokio::test]
async fn connections_above_the_limit_wait_their_turn() {
    let server = Running::start(Limits { connections: 1, ..Limits::default() }).await;
    let first = server.tls(&[]).await;
    let client = server.client();
    let url = server.url("/");
    let mut second = std::pin::pin!(get(&client, &url));
    assert!(tokio::time::timeout(SHORT, &mut second).await.is_err(), "there is no place for a second");
    drop(first);
    assert_eq!(soon("its turn", second).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_socket_file_serves_plain_http() {
    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(directory.path().join("s.sock"));
    let listener = Listener::bind(&address).await.unwrap();
    let server = Server { listener, tls: None, limits: Limits::default() };
    let handler = |_: Request<Incoming>, peer: Peer| async move { Response::new(peer.to_string()) };
    let (stop, stopped) = oneshot::channel::<Infallible>();
    let task = tokio::spawn(server.run(handler, async { drop(stopped.await) }));
    let stream = TokioIo::new(address.connect().await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().uri("/").header("host", "x").body(Empty::<Bytes>::new()).unwrap();
    let response = soon("an answer", sender.send_request(request)).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "local");
    drop(stop);
    soon("the end", task).await.unwrap();
    soon("the end of the idle connection", connection).await.unwrap().unwrap();
}
