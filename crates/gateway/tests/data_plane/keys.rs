//! What each key opens, how long, and what is remembered of its use.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::{
    api_keys::{ApiKeyKind, KEY_USAGE_KEY, KeyUsage},
    routes::{FormerHash, KEYS_KEY, KeyHash, Keys, ROUTES_KEY, Routes},
};
use gateway::Timeouts;
use identity::sha256_hex;
use serde_json::Value;
use state::LocalState;

use crate::{
    ground::{Ground, answer, eventually, get, iris, key, keys, refusal, route, soon, timeouts, write},
    origin::Origin,
    store::Flaky,
};

fn hash(seed: u8) -> KeyHash {
    keys(&[seed]).keys.remove(0)
}

/// Everything that an answer tells, but for what is different every time.
async fn told(request: reqwest::RequestBuilder) -> (u16, Vec<(String, String)>, Value) {
    let response = soon("an answer", request.send()).await.unwrap();
    let status = response.status().as_u16();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    headers.sort();
    let mut body: Value = response.json().await.unwrap();
    body.as_object_mut().unwrap().remove("request_id").unwrap();
    (status, headers, body)
}

#[tokio::test]
async fn an_api_that_a_key_does_not_open_is_not_there_for_it() {
    let origin = Origin::named("a").await;
    let routes = Routes {
        apis: vec![route("iris", "/iris", &[&origin]), route("rose", "/rose", &[&origin])],
        ..Routes::default()
    };
    let ground = Ground::start(routes).await;
    let scoped = KeyHash { apis: Some(vec!["iris".to_owned()]), ..hash(2) };
    let monitor = KeyHash { kind: ApiKeyKind::Monitor, ..hash(3) };
    let admin = KeyHash { kind: ApiKeyKind::Admin, ..hash(4) };
    write(&*ground.state, KEYS_KEY, &Keys { keys: vec![hash(1), scoped, monitor, admin] }).await;
    let client = ground.client();
    let call = |path: &str, seed| client.post(ground.url(path)).bearer_auth(key(seed)).body("{}");
    eventually("the new keys", || async { answer(call("/iris", 4)).await.0 == 200 }).await;
    let statuses = async |path| {
        let mut all = Vec::new();
        for seed in [1, 2, 3, 4, 9] {
            all.push(answer(call(path, seed)).await.0);
        }
        all
    };
    assert_eq!(statuses("/iris").await, [200, 200, 404, 200, 401]);
    assert_eq!(statuses("/rose").await, [200, 404, 404, 200, 401]);
    assert_eq!(statuses("/nobody").await, [404, 404, 404, 404, 401]);
    let (seen, counted) = (origin.seen.requests(), ground.counts().attempts);
    for (path, seed) in [("/rose", 2), ("/rose", 3), ("/iris", 3)] {
        assert_eq!(told(call(path, seed)).await, told(call("/nobody", 1)).await, "{path} {seed}");
    }
    assert_eq!((origin.seen.requests(), ground.counts().attempts), (seen, counted));
    // Either of two good keys may be the one that opens.
    let both = call("/rose", 2).header("x-api-key", key(1));
    assert_eq!(answer(both).await.0, 200);
}

#[tokio::test]
async fn a_value_ends_by_the_gateways_own_clock() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let end = SystemTime::now() + Duration::from_millis(1500);
    let rotated =
        KeyHash { former: vec![FormerHash { sha256: sha256_hex(&key(2)), expires_at: end.into() }], ..hash(1) };
    let ending = KeyHash { expires_at: Some(end.into()), ..hash(3) };
    let ended = KeyHash { expires_at: Some((SystemTime::now() - Duration::from_secs(1)).into()), ..hash(4) };
    write(&*ground.state, KEYS_KEY, &Keys { keys: vec![rotated, ending, ended] }).await;
    let client = ground.client();
    let call = |seed| client.get(ground.url("/iris")).bearer_auth(key(seed));
    let status = |seed| {
        let request = call(seed);
        async move { answer(request).await.0 }
    };
    eventually("the new keys", || async { status(3).await == 200 }).await;
    assert_eq!([status(1).await, status(2).await, status(4).await], [200, 200, 401]);
    eventually("the end", || async { status(2).await == 401 && status(3).await == 401 }).await;
    assert!(SystemTime::now() >= end, "not before its time");
    assert_eq!(status(1).await, 200);
    assert_eq!(told(call(3)).await, told(call(9)).await, "what has ended is told from what never was by nobody");
}

#[tokio::test]
async fn several_gateways_together_know_when_a_key_was_last_used() {
    let origin = Origin::named("a").await;
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let state = Arc::new(LocalState::open(&directories[0].path().join("state")).await.unwrap());
    write(&*state, KEYS_KEY, &keys(&[1, 2, 3])).await;
    write(&*state, ROUTES_KEY, &iris(&[&origin])).await;
    let often = Timeouts { usage: Duration::from_millis(120), ..timeouts() };
    let mut grounds = Vec::new();
    for directory in directories {
        grounds.push(Ground::start_on(directory, state.clone(), often).await);
    }
    let used = async || {
        let usage = state::read::<KeyUsage>(&*state, KEY_USAGE_KEY).await.unwrap();
        usage.map(|(usage, _)| usage.used).unwrap_or_default()
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (ground, seed) in grounds.iter().zip([1, 2]) {
        let request = ground.client().get(ground.url("/iris")).bearer_auth(key(seed));
        assert_eq!(answer(request).await.0, 200);
    }
    eventually("both uses", || async { used().await.len() == 2 }).await;
    let first = used().await;
    for seed in [1, 2] {
        let at = first[&hash(seed).sha256];
        assert!((now..=now + 30).contains(&at), "{at} is not about {now}");
    }
    // A refused request is no use, and a later use at another gateway is.
    let stranger = grounds[0].client().get(grounds[0].url("/iris")).bearer_auth(key(9));
    assert_eq!(answer(stranger).await.0, 401);
    eventually("a later second", || async {
        let later = grounds[1].client().get(grounds[1].url("/iris")).bearer_auth(key(1));
        answer(later).await.0 == 200 && used().await[&hash(1).sha256] > first[&hash(1).sha256]
    })
    .await;
    assert_eq!(used().await[&hash(2).sha256], first[&hash(2).sha256]);
    assert_eq!(used().await.len(), 2);
}

#[tokio::test]
async fn what_a_gateway_has_noted_is_written_when_it_ends() {
    let origin = Origin::named("a").await;
    let mut ground = Ground::start(iris(&[&origin])).await;
    assert_eq!(answer(get(&ground.client(), &ground.url("/iris"))).await.0, 200);
    ground.stop();
    soon("the end", &mut ground.task).await.unwrap();
    let usage = state::read::<KeyUsage>(&*ground.state, KEY_USAGE_KEY).await.unwrap();
    assert_eq!(usage.unwrap().0.used.len(), 1);
}

#[tokio::test]
async fn a_gateway_does_not_start_from_a_copy_that_is_older_than_a_day() {
    let origin = Origin::named("a").await;
    let directory = tempfile::tempdir().unwrap();
    let store = Flaky::new(LocalState::open(&directory.path().join("state")).await.unwrap());
    write(&store, KEYS_KEY, &keys(&[1])).await;
    write(&store, ROUTES_KEY, &iris(&[&origin])).await;
    let mut ground = Ground::start_on(directory, Arc::new(store.clone()), timeouts()).await;
    assert_eq!(answer(get(&ground.client(), &ground.url("/iris"))).await.0, 200);
    ground.stop();
    soon("the end", &mut ground.task).await.unwrap();
    store.break_down();
    let copy = std::fs::File::options().write(true).open(ground.directory.path().join("cache/snapshot.json")).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    copy.set_modified(SystemTime::now() - day - Duration::from_secs(60)).unwrap();
    let mut ground = Ground::start_on(ground.directory, Arc::new(store.clone()), timeouts()).await;
    let refused = async |ground: &Ground| refusal(get(&ground.client(), &ground.url("/iris"))).await;
    assert_eq!(refused(&ground).await, (503, "gateway_starting".to_owned()));
    ground.stop();
    soon("the end", &mut ground.task).await.unwrap();

    // Nor does it live on one.
    copy.set_modified(SystemTime::now() - day + Duration::from_secs(3)).unwrap();
    let ground = Ground::start_on(ground.directory, Arc::new(store.clone()), timeouts()).await;
    let status = || async { answer(get(&ground.client(), &ground.url("/iris"))).await.0 };
    assert_eq!(status().await, 200);
    eventually("the end of the copy", || async { status().await == 503 }).await;
    store.recover();
    eventually("the store's word", || async { status().await == 200 }).await;
}
