//! What is sent again, and what is not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Response;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use crate::{
    ground::{Ground, answer, eventually, get, iris, post, refusal, soon},
    origin::{Origin, read_head, text},
};

#[tokio::test]
async fn a_replica_that_died_while_nobody_looked_costs_no_request() {
    for _ in 0..10 {
        let (a, mut b) = (Origin::named("a").await, Origin::named("b").await);
        let ground = Ground::start(iris(&[&a, &b])).await;
        let client = ground.client();
        let url = ground.url("/iris");
        let many = || (0..20).map(|_| answer(post(&client, &url).body("{}")));
        futures_util::future::join_all(many()).await;
        assert!(b.seen.open() > 0, "there are idle connections to lose");
        b.kill().await;
        for (status, body) in futures_util::future::join_all(many()).await {
            assert_eq!((status, &*body), (200, "a"));
        }
    }
}

#[tokio::test]
async fn a_replica_that_refuses_is_passed_over() {
    let (a, gone) = (Origin::named("a").await, Origin::absent("gone").await);
    let ground = Ground::start(iris(&[&gone, &a])).await;
    let client = ground.client();
    for _ in 0..50 {
        assert_eq!(answer(post(&client, &ground.url("/iris")).body("{}")).await, (200, "a".to_owned()));
    }
    assert!(ground.counts().retries < 10, "it is tried now and then only: {:?}", ground.counts());
}

#[tokio::test]
async fn if_all_refuse_the_client_may_try_again() {
    let origins = [Origin::absent("a").await, Origin::absent("b").await];
    let ground = Ground::start(iris(&origins.each_ref())).await;
    let client = ground.client();
    let request = post(&client, &ground.url("/iris")).body("{}");
    assert_eq!(refusal(request).await, (503, "replica_unreachable".to_owned()));
    assert_eq!(ground.counts().attempts, 2);
}

/// Takes a request, or a part of one, and hangs up.
async fn quitter(id: &str) -> Origin {
    Origin::raw(id, |mut stream| async move {
        let head = read_head(&mut stream).await;
        if head.starts_with("POST") {
            stream.read_u8().await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_post_that_may_have_arrived_is_not_sent_again() {
    let origins = [quitter("a").await, quitter("b").await];
    let ground = Ground::start(iris(&origins.each_ref())).await;
    for (number, protocol) in ["h2", "http/1.1"].into_iter().enumerate() {
        let client = ground.speaking(protocol);
        // Half of it is sent and the rest never comes.
        let half = stream::iter([Bytes::from("half")]).chain(stream::pending()).map(Ok::<_, std::io::Error>);
        let request = post(&client, &ground.url("/iris")).body(reqwest::Body::wrap_stream(half));
        assert_eq!(refusal(request).await, (502, "replica_lost".to_owned()));
        let total: usize = origins.iter().map(|origin| origin.seen.requests()).sum();
        assert_eq!(total, number + 1);
    }
}

#[tokio::test]
async fn a_get_is_sent_again_but_not_to_everybody() {
    let (good, bad) = (Origin::named("good").await, quitter("bad").await);
    let ground = Ground::start(iris(&[&good, &bad])).await;
    let client = ground.client();
    for _ in 0..30 {
        assert_eq!(answer(get(&client, &ground.url("/iris"))).await, (200, "good".to_owned()));
    }
    assert!(bad.seen.requests() > 0);

    let mut bad = Vec::new();
    for id in ["a", "b", "c", "d", "e"] {
        bad.push(quitter(id).await);
    }
    ground.publish(iris(&bad.iter().collect::<Vec<_>>())).await;
    eventually("the new routes", || async { answer(get(&client, &ground.url("/iris"))).await.0 == 502 }).await;
    let before = ground.counts().attempts;
    assert_eq!(refusal(get(&client, &ground.url("/iris"))).await, (502, "replica_lost".to_owned()));
    assert_eq!(ground.counts().attempts - before, 3);
}

#[tokio::test]
async fn what_is_not_http_is_not_passed_on() {
    for reply in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"] {
        let origin = Origin::raw("a", move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
            // Until the gateway hangs up.
            stream.read_to_end(&mut Vec::new()).await.ok();
        })
        .await;
        let ground = Ground::start(iris(&[&origin])).await;
        let client = ground.client();
        assert_eq!(refusal(get(&client, &ground.url("/iris"))).await, (502, "bad_reply".to_owned()), "{reply:?}");
        assert_eq!(origin.seen.requests(), 1);
        origin.seen.closed().await;
    }
}

#[tokio::test]
async fn a_connection_serves_again_unless_the_replica_says_close() {
    let origin = Origin::new("a", |request| async move {
        let mut response = Response::new(text("ok"));
        if request.uri().path() == "/close" {
            response.headers_mut().insert("connection", "close".parse().unwrap());
        }
        response
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    for (path, connections) in [("/", 1), ("/", 1), ("/close", 1), ("/close", 2), ("/close", 3), ("/", 4), ("/", 4)] {
        assert_eq!(answer(get(&client, &ground.url(&format!("/iris{path}")))).await.0, 200);
        assert_eq!(origin.seen.connections(), connections);
    }
    assert_eq!(ground.counts().retries, 0, "no closed connection was tried");
}

#[tokio::test]
async fn a_connection_with_half_a_request_in_it_is_not_used_again() {
    // Answers at once, keeps the connection, and would take what follows for a request.
    let origin = Origin::raw("a", |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    for connections in 1..=3 {
        let half = stream::iter([Bytes::from("half")]).chain(stream::pending()).map(Ok::<_, std::io::Error>);
        let request = post(&client, &ground.url("/iris")).body(reqwest::Body::wrap_stream(half));
        let response = soon("the answer", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        origin.seen.closed().await;
        assert_eq!(origin.seen.connections(), connections);
    }
}

#[tokio::test]
async fn a_request_that_waits_on_a_lost_replica_goes_to_one_that_came_later() {
    let (hang_up, calls) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let old = {
        let (hang_up, calls) = (Arc::clone(&hang_up), Arc::clone(&calls));
        Origin::raw("old", move |mut stream| {
            let (hang_up, calls) = (Arc::clone(&hang_up), Arc::clone(&calls));
            async move {
                read_head(&mut stream).await;
                calls.fetch_add(1, Ordering::SeqCst);
                hang_up.notified().await;
            }
        })
        .await
    };
    let new = Origin::named("new").await;
    let ground = Ground::start(iris(&[&old])).await;
    let client = ground.client();
    let waiting = tokio::spawn(answer(get(&client, &ground.url("/iris"))));
    eventually("the request", || async { calls.load(Ordering::SeqCst) == 1 }).await;
    ground.publish(iris(&[&new])).await;
    eventually("the new routes", || async { new.seen.requests() > 0 || answer_is_new(&ground).await }).await;
    hang_up.notify_waiters();
    assert_eq!(soon("the answer", waiting).await.unwrap(), (200, "new".to_owned()));
}

/// Asks with a deadline, since the old replica never answers.
async fn answer_is_new(ground: &Ground) -> bool {
    let client = ground.client();
    let request = get(&client, &ground.url("/iris")).timeout(std::time::Duration::from_millis(50));
    match request.send().await {
        Ok(response) => response.text().await.is_ok_and(|text| text == "new"),
        Err(_) => false,
    }
}
