//! `GET /metrics`: who may see it, and whether it says what happened.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    api_keys::ApiKeyKind,
    routes::{KEYS_KEY, KeyHash, Keys, ROUTES_KEY, Routes},
};
use http::Response;
use state::LocalState;
use telemetry::{Kind, Samples, catalogue::gateway as families};
use tokio::sync::Semaphore;

use crate::{
    ground::{Ground, answer, eventually, get, iris, key, keys, post, route, soon, timeouts, write},
    origin::{Body, Origin, text},
};

const ADMIN: u8 = 8;
const MONITOR: u8 = 9;

/// Besides [`key(1)`](key), one of each other kind.
async fn ground(routes: Routes) -> Ground {
    let directory = tempfile::tempdir().unwrap();
    let state = LocalState::open(&directory.path().join("state")).await.unwrap();
    let kind = |kind, seed| KeyHash { kind, ..keys(&[seed]).keys.remove(0) };
    let all = [keys(&[1]).keys, vec![kind(ApiKeyKind::Admin, ADMIN), kind(ApiKeyKind::Monitor, MONITOR)]].concat();
    write(&state, KEYS_KEY, &Keys { keys: all }).await;
    write(&state, ROUTES_KEY, &routes).await;
    Ground::start_on(directory, Arc::new(state), timeouts()).await
}

async fn scrape(ground: &Ground, seed: u8) -> (u16, String) {
    answer(ground.client().get(ground.url("/metrics")).bearer_auth(key(seed))).await
}

async fn samples(ground: &Ground) -> Samples {
    let (status, page) = scrape(ground, MONITOR).await;
    assert_eq!(status, 200, "{page}");
    Samples::parse(&page).unwrap()
}

fn sum(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> u64 {
    samples.sum(name, labels) as u64
}

#[tokio::test]
async fn the_page_is_for_keys_that_may_look_at_the_gateway() {
    let origin = Origin::named("a").await;
    let ground = ground(iris(&[&origin])).await;
    assert_eq!(scrape(&ground, ADMIN).await.0, 200);
    assert_eq!(scrape(&ground, 1).await.0, 404);
    assert_eq!(scrape(&ground, 7).await.0, 401);
    assert_eq!(answer(ground.client().get(ground.url("/metrics"))).await.0, 401);
    let response = ground.client().get(ground.url("/metrics")).bearer_auth(key(MONITOR)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], telemetry::CONTENT_TYPE);
    assert_eq!(answer(ground.client().post(ground.url("/metrics")).bearer_auth(key(MONITOR))).await.0, 404);
    assert_eq!(origin.seen.requests(), 0);
    let before = ground.counts().requests;
    assert_eq!(scrape(&ground, MONITOR).await.0, 200);
    assert_eq!(ground.counts().requests, before, "looks are not counted");
}

#[tokio::test]
async fn an_api_at_the_root_keeps_its_own_page_for_its_own_callers() {
    let origin = Origin::named("a").await;
    let ground = ground(Routes { apis: vec![route("root", "/", &[&origin])], ..Routes::default() }).await;
    assert_eq!(answer(get(&ground.client(), &ground.url("/metrics"))).await, (200, "a".to_owned()));
    assert!(scrape(&ground, MONITOR).await.1.contains("cortex_gateway_info"));
}

#[tokio::test]
async fn every_request_is_where_it_belongs() {
    let broken = |_| async {
        let mut response: Response<Body> = Response::new(text("no"));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    };
    let (good, bad) = (Origin::named("good").await, Origin::new("bad", broken).await);
    let apis = vec![route("iris", "/iris", &[&good]), route("rose", "/rose", &[&bad]), route("empty", "/empty", &[])];
    let ground = ground(Routes { apis, ..Routes::default() }).await;
    let client = ground.client();
    for _ in 0..3 {
        assert_eq!(answer(post(&client, &ground.url("/iris")).body("four")).await.0, 200);
    }
    assert_eq!(answer(post(&client, &ground.url("/rose"))).await.0, 500);
    assert_eq!(answer(get(&client, &ground.url("/empty"))).await.0, 503);
    assert_eq!(answer(get(&client, &ground.url("/nobody"))).await.0, 404);
    assert_eq!(answer(client.get(ground.url("/iris")).bearer_auth(key(7))).await.0, 401);
    eventually("all are recorded", || async { ground.counts().in_flight == 0 }).await;
    let samples = samples(&ground).await;
    let requests = "cortex_gateway_requests_total";
    for (labels, count) in [
        ([("api", "iris"), ("version", "v1"), ("code", "200")], 3),
        ([("api", "rose"), ("version", "v1"), ("code", "500")], 1),
        ([("api", "empty"), ("version", ""), ("code", "503")], 1),
        ([("api", ""), ("version", ""), ("code", "404")], 1),
        ([("api", ""), ("version", ""), ("code", "401")], 1),
    ] {
        assert_eq!(sum(&samples, requests, &labels), count, "{labels:?}");
    }
    assert_eq!(sum(&samples, requests, &[]), ground.counts().requests);
    let errors = "cortex_gateway_errors_total";
    for (labels, count) in [
        ([("api", "empty"), ("kind", "api_not_ready"), ("cause", "gateway")], 1),
        ([("api", ""), ("kind", "api_not_found"), ("cause", "client")], 1),
        ([("api", ""), ("kind", "unauthenticated"), ("cause", "client")], 1),
    ] {
        assert_eq!(sum(&samples, errors, &labels), count, "{labels:?}");
    }
    assert_eq!(sum(&samples, errors, &[]), 3, "what a replica answers is no error of the gateway's");
    let of_iris = [("api", "iris")];
    assert_eq!(sum(&samples, "cortex_gateway_request_duration_seconds_count", &of_iris), 3);
    assert_eq!(sum(&samples, "cortex_gateway_received_bytes_total", &of_iris), 12);
    assert_eq!(sum(&samples, "cortex_gateway_sent_bytes_total", &of_iris), 12);
    assert_eq!(sum(&samples, "cortex_gateway_attempts_total", &of_iris), 3);
    let phases = "cortex_gateway_request_phase_duration_seconds_count";
    for (phase, count) in [("wait", 3), ("connect", 1), ("head", 3), ("body", 3)] {
        assert_eq!(sum(&samples, phases, &[("api", "iris"), ("phase", phase)]), count, "{phase}");
    }
    assert_eq!(sum(&samples, "cortex_gateway_replicas", &[]), 2);
    assert!(samples.sum("cortex_gateway_certificate_expiry_timestamp_seconds", &[]) > 1.7e9);
}

#[tokio::test]
async fn numbers_survive_new_routes_and_series_of_what_left_are_gone() {
    let origin = Origin::named("a").await;
    let ground = ground(iris(&[&origin])).await;
    let client = ground.client();
    assert_eq!(answer(get(&client, &ground.url("/iris"))).await.0, 200);
    let (other, rose) = (Origin::named("b").await, Origin::named("c").await);
    let apis = vec![route("iris", "/iris", &[&other]), route("rose", "/rose", &[&rose])];
    ground.publish(Routes { apis, ..Routes::default() }).await;
    eventually("the new routes", || async { answer(get(&client, &ground.url("/rose"))).await.0 == 200 }).await;
    assert_eq!(answer(get(&client, &ground.url("/iris"))).await.1, "b");
    eventually("all are recorded", || async { ground.counts().in_flight == 0 }).await;
    let ok = [("api", "iris"), ("code", "200")];
    assert_eq!(sum(&samples(&ground).await, "cortex_gateway_requests_total", &ok), 2);
    let before = ground.counts();
    ground.publish(Routes { apis: vec![route("rose", "/rose", &[&rose])], ..Routes::default() }).await;
    eventually("the series are gone", || async { !scrape(&ground, MONITOR).await.1.contains("api=\"iris\"") }).await;
    assert_eq!(ground.counts(), before, "what was counted in all does not go");
}

#[tokio::test]
async fn who_waits_for_a_place_is_counted_and_how_long() {
    let release = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&release);
    let origin = Origin::new("a", move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Response::new(text("done".to_owned()))
        }
    })
    .await;
    let mut routes = iris(&[&origin]);
    routes.apis[0].limits.max_in_flight = Some(1);
    let ground = ground(routes).await;
    let requests = [(), ()].map(|()| tokio::spawn(answer(get(&ground.client(), &ground.url("/iris")))));
    let waiting = async || sum(&samples(&ground).await, "cortex_gateway_requests_queued", &[("api", "iris")]);
    eventually("one waits", || async { waiting().await == 1 }).await;
    release.add_permits(2);
    for request in requests {
        assert_eq!(soon("its answer", request).await.unwrap().0, 200);
    }
    let page = samples(&ground).await;
    assert_eq!(sum(&page, "cortex_gateway_requests_queued", &[]), 0);
    assert_eq!(sum(&page, "cortex_gateway_queue_duration_seconds_count", &[("api", "iris")]), 1);
}

#[tokio::test]
async fn the_page_has_all_families_of_the_catalogue_and_no_others() {
    let origin = Origin::named("a").await;
    let ground = ground(iris(&[&origin])).await;
    let page = scrape(&ground, MONITOR).await.1;
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let served: BTreeSet<(&str, &str)> = types.collect();
    let all = families::ALL.iter().chain(telemetry::catalogue::process::ALL).chain(telemetry::catalogue::trace::ALL);
    let wanted: BTreeSet<_> = all.map(|family| (family.name, family.kind.name())).collect();
    assert_eq!(served, wanted);
    assert!(families::ALL.iter().any(|family| family.kind == Kind::Histogram));
}

#[tokio::test]
async fn clients_cannot_ask_replicas_as_the_cluster_does() {
    let mirror = |request: http::Request<hyper::body::Incoming>| async move {
        Response::new(text(format!("{}", request.headers().contains_key(telemetry::SCRAPE_HEADER))))
    };
    let origin = Origin::new("a", mirror).await;
    let ground = ground(iris(&[&origin])).await;
    let request = get(&ground.client(), &ground.url("/iris/metrics")).header(telemetry::SCRAPE_HEADER, "1");
    let response = soon("an answer", request.send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "false");
}
