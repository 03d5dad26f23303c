//! How many requests of one API are let through, who waits, and for how long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::routes::{Limits, Routes};
use futures_util::stream;
use gateway::Timeouts;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    ground::{Ground, answer, eventually, get, iris, post, refusal, soon, timeouts},
    origin::{Origin, text},
};

fn limited(origin: &Origin, max_in_flight: u32, max_queue_length: u32) -> Routes {
    let mut routes = iris(&[origin]);
    routes.apis[0].limits =
        Limits { max_in_flight: Some(max_in_flight), max_queue_length: Some(max_queue_length), ..Limits::default() };
    routes
}

/// A replica that says its path when it may.
struct Slow {
    origin: Origin,
    arrived: Arc<Semaphore>,
    release: Arc<Semaphore>,
}

impl Slow {
    async fn new() -> Self {
        let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let shared = (Arc::clone(&arrived), Arc::clone(&release));
        let origin = Origin::new("a", move |request| {
            let (arrived, release) = shared.clone();
            async move {
                arrived.add_permits(1);
                release.acquire().await.unwrap().forget();
                Response::new(text(request.uri().path().to_owned()))
            }
        })
        .await;
        Self { origin, arrived, release }
    }

    async fn arrival(&self) {
        soon("a request", self.arrived.acquire()).await.unwrap().forget();
    }
}

fn send(request: reqwest::RequestBuilder) -> JoinHandle<(u16, String)> {
    tokio::spawn(answer(request))
}

/// Waits until the gateway has so many requests.
async fn holds(ground: &Ground, requests: u64) {
    eventually("the requests have come", || async { ground.counts().in_flight == requests }).await;
}

#[tokio::test]
async fn those_above_the_limit_wait_in_order_and_the_rest_is_refused() {
    let slow = Slow::new().await;
    let ground = Ground::start(limited(&slow.origin, 1, 2)).await;
    let client = ground.client();
    let mut waiting = Vec::new();
    for (number, path) in ["/first", "/second", "/third"].into_iter().enumerate() {
        waiting.push(send(post(&client, &ground.url(&format!("/iris{path}"))).body("{}")));
        holds(&ground, number as u64 + 1).await;
    }
    slow.arrival().await;
    for protocol in ["h2", "http/1.1"] {
        let request = post(&ground.speaking(protocol), &ground.url("/iris")).body("{}");
        assert_eq!(refusal(request).await, (503, "overloaded".to_owned()));
    }
    for (request, path) in waiting.into_iter().zip(["/first", "/second", "/third"]) {
        assert_eq!(slow.origin.seen.open(), 1);
        slow.release.add_permits(1);
        assert_eq!(soon("its answer", request).await.unwrap(), (200, path.to_owned()));
    }
    assert_eq!(slow.origin.seen.requests(), 3);
}

#[tokio::test]
async fn who_goes_away_waits_no_longer() {
    let slow = Slow::new().await;
    let ground = Ground::start(limited(&slow.origin, 1, 1)).await;
    let client = ground.client();
    let first = send(get(&client, &ground.url("/iris/first")));
    slow.arrival().await;
    for protocol in ["h2", "http/1.1"] {
        let impatient = ground.speaking(protocol);
        let request = send(post(&impatient, &ground.url("/iris/gone")).body("x".repeat(10_000)));
        holds(&ground, 2).await;
        assert_eq!(refusal(get(&client, &ground.url("/iris"))).await.1, "overloaded");
        request.abort();
        drop(impatient);
        holds(&ground, 1).await;
    }
    let second = send(get(&client, &ground.url("/iris/second")));
    holds(&ground, 2).await;
    slow.release.add_permits(2);
    assert_eq!(soon("an answer", first).await.unwrap().1, "/first");
    assert_eq!(soon("an answer", second).await.unwrap().1, "/second");
    assert_eq!(slow.origin.seen.requests(), 2, "the replica never saw the others");
}

#[tokio::test]
async fn what_was_read_while_it_waited_arrives_whole() {
    let slow = Slow::new().await;
    let echo =
        Origin::new(
            "b",
            |request| async move { Response::new(request.into_body().map_err(std::io::Error::other).boxed()) },
        )
        .await;
    for protocol in ["h2", "http/1.1"] {
        let ground = Ground::start(limited(&slow.origin, 1, 9)).await;
        let client = ground.speaking(protocol);
        let first = send(get(&client, &ground.url("/iris")));
        slow.arrival().await;
        let bodies: Vec<String> = [0, 1, 5_000, 65_536, 3_000_000].map(|length| "0123456789".repeat(length)).into();
        let waiting: Vec<_> =
            bodies.iter().map(|body| send(post(&client, &ground.url("/iris")).body(body.clone()))).collect();
        holds(&ground, 6).await;
        ground.publish_now(limited(&echo, 1, 9)).await;
        first.abort();
        for (request, body) in waiting.into_iter().zip(bodies) {
            let (status, answer) = soon("an answer", request).await.unwrap();
            assert!(status == 200 && answer == body, "{protocol}: {status}, {} bytes of {}", answer.len(), body.len());
        }
    }
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    let origin =
        Origin::new("a", |_| async { Response::new(BodyExt::boxed(StreamBody::new(stream::pending()))) }).await;
    let short = Timeouts { response: Duration::from_millis(250), ..timeouts() };
    let ground = Ground::start_with(limited(&origin, 1, 9), short).await;
    let client = ground.client();
    // Its head is there, its body never ends.
    let first = soon("a head", get(&client, &ground.url("/iris")).send()).await.unwrap();
    for protocol in ["h2", "http/1.1"] {
        let request = post(&ground.speaking(protocol), &ground.url("/iris")).body("{}");
        assert_eq!(refusal(request).await, (503, "overloaded".to_owned()));
    }
    assert_eq!((first.status().as_u16(), origin.seen.requests()), (200, 1));
}

#[tokio::test]
async fn an_api_has_a_deadline_of_its_own() {
    let slow = Slow::new().await;
    let mut routes = iris(&[&slow.origin]);
    routes.apis[0].limits.timeout_s = Some(1);
    let ground = Ground::start(routes).await;
    assert_eq!(refusal(get(&ground.client(), &ground.url("/iris"))).await, (504, "deadline_exceeded".to_owned()));
}

#[tokio::test]
async fn new_routes_neither_forget_a_request_nor_hold_one_back() {
    let slow = Slow::new().await;
    let ground = Ground::start(limited(&slow.origin, 1, 0)).await;
    let client = ground.client();
    let first = send(get(&client, &ground.url("/iris/first")));
    slow.arrival().await;
    // Another document that changes nothing for this API but the length of its queue.
    ground.publish_now(limited(&slow.origin, 1, 1)).await;
    let second = send(get(&client, &ground.url("/iris/second")));
    holds(&ground, 2).await;
    assert_eq!(slow.origin.seen.requests(), 1, "the first still has its place");
    ground.publish(limited(&slow.origin, 2, 1)).await;
    slow.arrival().await;
    slow.release.add_permits(2);
    assert_eq!(soon("an answer", first).await.unwrap().1, "/first");
    assert_eq!(soon("an answer", second).await.unwrap().1, "/second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_there_are_never_more_than_the_limit_and_nobody_is_lost() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        Origin::new("a", move |_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Response::new(text("ok"))
            }
        })
        .await
    };
    let ground = Arc::new(Ground::start(limited(&origin, 4, 60)).await);
    let clients: Vec<_> = (0..60)
        .map(|number| {
            let ground = Arc::clone(&ground);
            tokio::spawn(async move {
                let client = ground.speaking(if number % 2 == 0 { "h2" } else { "http/1.1" });
                for _ in 0..20 {
                    let request = post(&client, &ground.url("/iris")).body("{}");
                    assert_eq!(answer(request).await.0, 200);
                }
            })
        })
        .collect();
    for client in clients {
        soon("the last answer", client).await.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?} at a time");
    assert_eq!(origin.seen.requests(), 1200);
}
