//! Replicas that fail get no requests until they answer again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Response, StatusCode};

use crate::{
    ground::{Ground, answer, eventually, get, iris, post},
    origin::{Origin, text},
};

/// A replica whose worker dies with every request, as long as it is told so.
async fn sick(id: &str, status: StatusCode, sick: &Arc<AtomicBool>) -> Origin {
    let (name, sick) = (id.to_owned(), Arc::clone(sick));
    Origin::new(id, move |_| {
        let (name, sick) = (name.clone(), sick.load(Ordering::SeqCst));
        async move {
            let mut response = Response::new(text(name));
            if sick {
                *response.status_mut() = status;
            }
            response
        }
    })
    .await
}

/// How many of so many requests were answered with 200.
async fn good(ground: &Ground, count: usize) -> usize {
    let (client, mut good) = (ground.client(), 0);
    for _ in 0..count {
        good += usize::from(answer(post(&client, &ground.url("/iris")).body("{}")).await.0 == 200);
    }
    good
}

#[tokio::test]
async fn one_that_fails_its_requests_is_left_alone_until_it_answers_again() {
    let is_sick = Arc::new(AtomicBool::new(true));
    let (well, ill) = (Origin::named("well").await, sick("ill", StatusCode::BAD_GATEWAY, &is_sick).await);
    let ground = Ground::start(iris(&[&well, &ill])).await;
    eventually("it is out", || async { good(&ground, 20).await == 20 }).await;
    assert!(ill.seen.requests() < 15, "{} requests were wasted", ill.seen.requests());
    is_sick.store(false, Ordering::SeqCst);
    let client = ground.client();
    eventually("it is back", || async { answer(get(&client, &ground.url("/iris"))).await.1 == "ill" }).await;
}

#[tokio::test]
async fn not_more_than_half_of_them_are_left_alone() {
    let is_sick = Arc::new(AtomicBool::new(true));
    let ids = ["a", "b", "c", "d"];
    let mut ill = Vec::new();
    for id in ids {
        ill.push(sick(id, StatusCode::BAD_GATEWAY, &is_sick).await);
    }
    let ground = Ground::start(iris(&ill.iter().collect::<Vec<_>>())).await;
    assert_eq!(good(&ground, 100).await, 0);
    let before: Vec<_> = ill.iter().map(|origin| origin.seen.requests()).collect();
    assert_eq!(good(&ground, 30).await, 0);
    let busy = ill.iter().zip(before).filter(|(origin, before)| origin.seen.requests() >= before + 5).count();
    assert_eq!(busy, 2, "two of four are enough for what may be the requests' fault");
}

#[tokio::test]
async fn one_that_has_enough_to_do_is_not_ill() {
    let is_sick = Arc::new(AtomicBool::new(true));
    let (well, busy) = (Origin::named("well").await, sick("busy", StatusCode::SERVICE_UNAVAILABLE, &is_sick).await);
    let ground = Ground::start(iris(&[&well, &busy])).await;
    good(&ground, 60).await;
    assert!(busy.seen.requests() > 15, "it got {} of 60", busy.seen.requests());
}

#[tokio::test]
async fn one_that_listens_again_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let address = transport::Address::Unix(directory.path().join("b.sock"));
    let named = |name: &'static str| move |_| async move { Response::new(text(name)) };
    let a = Origin::named("a").await;
    let mut b = Origin::at(address.clone(), "b", named("b")).await;
    b.kill().await;
    let ground = Ground::start(iris(&[&a, &b])).await;
    assert_eq!(good(&ground, 30).await, 30);
    let tried = ground.counts().retries;
    assert!(tried <= 1, "after the first refusal no request meets it, but {tried} did");
    let _b = Origin::at(address, "b", named("b")).await;
    let client = ground.client();
    eventually("it is back", || async { answer(get(&client, &ground.url("/iris"))).await.1 == "b" }).await;
}
