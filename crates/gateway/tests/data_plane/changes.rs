//! Everything that changes while the gateway serves changes at once under load, and no request fails.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use api::routes::Limits;

use crate::{
    ground::{Ground, answer, eventually, get, iris, post, route, soon},
    origin::Origin,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_routes_keys_limits_and_certificate() {
    let (one, other) = (Origin::named("one").await, Origin::named("other").await);
    let ground = Arc::new(Ground::start(iris(&[&one])).await);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let (ground, over, done) = (Arc::clone(&ground), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                let protocol = if number % 2 == 0 { "h2" } else { "http/1.1" };
                let (mut client, url) = (ground.speaking(protocol), ground.url("/iris"));
                while !over.load(Ordering::SeqCst) {
                    // Some stay on their connection, and some come anew every time.
                    if number % 4 < 2 {
                        client = ground.speaking(protocol);
                    }
                    let request = if number % 3 == 0 { get(&client, &url) } else { post(&client, &url).body("{}") };
                    let (status, body) = answer(request).await;
                    assert_eq!(status, 200, "{body}");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for number in 1..=20u32 {
        let before = done.load(Ordering::SeqCst);
        let mut routes = if number % 2 == 0 { iris(&[&one]) } else { iris(&[&one, &other]) };
        routes.apis[0].limits = Limits { max_in_flight: Some(number), ..Limits::default() };
        routes.apis.push(route("rose", &format!("/rose/{number}"), &[&other]));
        ground.publish(routes).await;
        ground.publish_keys(if number % 2 == 0 { &[1] } else { &[2, 1] }).await;
        ground.tls.renew().unwrap();
        eventually("some load", || async { done.load(Ordering::SeqCst) > before + 50 }).await;
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        soon("the last answer", client).await.unwrap();
    }
    let counts = ground.counts();
    assert_eq!([counts.failed, counts.refused, counts.abandoned], [0, 0, 0], "{counts:?}");
}
