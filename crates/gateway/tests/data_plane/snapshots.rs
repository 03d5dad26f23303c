//! Changes of what is served, and a store that fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::routes::{KEYS_KEY, ROUTES_KEY};
use bytes::Bytes;
use gateway::Timeouts;
use http::Response;
use state::{Expect, LocalState, WriteId};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Semaphore};

use crate::{
    ground::{Ground, answer, eventually, get, iris, keys, post, refusal, soon, timeouts, write},
    origin::{Origin, text},
    store::Flaky,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_change_under_load_and_no_request_fails() {
    let mut present = Origin::named("0").await;
    let ground = Arc::new(Ground::start(iris(&[&present])).await);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let (ground, over, done) = (Arc::clone(&ground), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                let client = ground.speaking(if number % 2 == 0 { "h2" } else { "http/1.1" });
                let url = ground.url("/iris");
                while !over.load(Ordering::SeqCst) {
                    let request = if number % 3 == 0 { get(&client, &url) } else { post(&client, &url).body("{}") };
                    let (status, body) = answer(request).await;
                    assert_eq!(status, 200, "{body}");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for generation in 1..=10 {
        let before = done.load(Ordering::SeqCst);
        eventually("some load", || async { done.load(Ordering::SeqCst) > before + 200 }).await;
        let next = Origin::named(&generation.to_string()).await;
        ground.publish(iris(&[&next])).await;
        let old = std::mem::replace(&mut present, next);
        old.drain().await;
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        soon("the last answer", client).await.unwrap();
    }
    let counts = ground.counts();
    assert_eq!([counts.failed, counts.refused, counts.abandoned], [0, 0, 0], "{counts:?}");
}

#[tokio::test]
async fn a_replica_that_left_is_let_go_at_once_and_its_last_request_finishes() {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let old = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        Origin::new("old", move |request| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                if request.uri().path() == "/wait" {
                    arrived.add_permits(1);
                    release.acquire().await.unwrap().forget();
                }
                Response::new(text("old"))
            }
        })
        .await
    };
    let new = Origin::named("new").await;
    let ground = Ground::start(iris(&[&old])).await;
    let client = ground.client();
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(answer(get(&client, &ground.url("/iris/wait"))))).collect();
    soon("two requests", arrived.acquire_many(2)).await.unwrap().forget();
    assert_eq!(answer(get(&client, &ground.url("/iris"))).await.1, "old");
    assert_eq!(old.seen.open(), 3);
    ground.publish(iris(&[&new])).await;
    eventually("the idle connection is closed", || async { old.seen.open() == 2 }).await;
    assert_eq!(answer(get(&client, &ground.url("/iris"))).await.1, "new");
    release.add_permits(2);
    for request in waiting {
        assert_eq!(soon("an answer", request).await.unwrap(), (200, "old".to_owned()));
    }
    old.seen.closed().await;
    assert_eq!(old.seen.requests(), 3);
}

#[tokio::test]
async fn connections_to_replicas_that_stay_survive_a_change() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let ground = Ground::start(iris(&[&a])).await;
    let client = ground.client();
    for replicas in [&[&a, &b][..], &[&b, &a], &[&a]] {
        assert_eq!(answer(get(&client, &ground.url("/iris"))).await.0, 200);
        ground.publish(iris(replicas)).await;
        ground.publish_keys(&[1]).await;
        eventually("an answer from everybody who should", || async {
            let (_, name) = answer(get(&client, &ground.url("/iris"))).await;
            name == replicas[0].id
        })
        .await;
    }
    assert_eq!(a.seen.connections(), 1);
}

async fn flaky(directory: &TempDir) -> Flaky {
    Flaky::new(LocalState::open(&directory.path().join("state")).await.unwrap())
}

/// Looks at the store often, since a store that is switched off does not say so by itself.
fn watchful() -> Timeouts {
    Timeouts { recheck: Duration::from_millis(20), ..timeouts() }
}

#[tokio::test]
async fn the_last_snapshot_is_served_through_a_failure_and_a_restart() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let directory = tempfile::tempdir().unwrap();
    let store = flaky(&directory).await;
    write(&store, KEYS_KEY, &keys(&[1])).await;
    write(&store, ROUTES_KEY, &iris(&[&a])).await;
    let mut ground = Ground::start_on(directory, Arc::new(store.clone()), watchful()).await;
    let name = async |ground: &Ground| answer(get(&ground.client(), &ground.url("/iris"))).await;
    assert_eq!(name(&ground).await, (200, "a".to_owned()));

    store.break_down();
    eventually("the gateway notices", || async { store.refused() > 0 }).await;
    assert_eq!(name(&ground).await, (200, "a".to_owned()));

    ground.stop();
    soon("the end", &mut ground.task).await.unwrap();
    let ground = Ground::start_on(ground.directory, Arc::new(store.clone()), watchful()).await;
    assert_eq!(answer(ground.client().get(ground.url("/healthz"))).await.0, 200);
    assert_eq!(name(&ground).await, (200, "a".to_owned()));
    assert_eq!(refusal(ground.client().get(ground.url("/iris"))).await.0, 401);

    store.recover();
    ground.publish(iris(&[&b])).await;
    eventually("the new routes", || async { name(&ground).await == (200, "b".to_owned()) }).await;
}

#[tokio::test]
async fn with_neither_store_nor_disk_it_says_so_until_there_is_one() {
    let origin = Origin::named("a").await;
    let directory = tempfile::tempdir().unwrap();
    let store = flaky(&directory).await;
    write(&store, KEYS_KEY, &keys(&[1])).await;
    write(&store, ROUTES_KEY, &iris(&[&origin])).await;
    store.break_down();
    let ground = Ground::start_on(directory, Arc::new(store.clone()), watchful()).await;
    let client = ground.client();
    assert_eq!(refusal(get(&client, &ground.url("/iris"))).await, (503, "gateway_starting".to_owned()));
    let health = answer(client.get(ground.url("/healthz"))).await;
    assert_eq!(health, (503, r#"{"status":"starting"}"#.to_owned()));
    store.recover();
    eventually("the routes", || async { answer(get(&client, &ground.url("/iris"))).await.0 == 200 }).await;
}

#[tokio::test]
async fn a_damaged_document_changes_nothing_and_holds_up_nothing() {
    let origin = Origin::named("a").await;
    let ground = Ground::start_with(iris(&[&origin]), watchful()).await;
    let client = ground.client();
    let rubbish = Bytes::from("{\"apis\": 7}");
    ground.state.put(ROUTES_KEY, rubbish, &Expect::Anything, &WriteId::new()).await.unwrap();
    ground.publish_keys(&[2]).await;
    eventually("the new key", || async { answer(get(&client, &ground.url("/iris"))).await.0 == 401 }).await;
    let request = client.get(ground.url("/iris")).bearer_auth(crate::ground::key(2));
    assert_eq!(answer(request).await, (200, "a".to_owned()));
    // A document that is gone has not been written yet, as far as a gateway can know.
    ground.state.delete(ROUTES_KEY, &Expect::Anything).await.unwrap();
    ground.publish_keys(&[1, 2]).await;
    eventually("the old key again", || async { answer(get(&client, &ground.url("/iris"))).await.0 == 200 }).await;
}

#[tokio::test]
async fn stopping_finishes_the_requests_that_have_begun() {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let origin = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        Origin::new("a", move |_| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                arrived.add_permits(1);
                release.acquire().await.unwrap().forget();
                Response::new(text("done"))
            }
        })
        .await
    };
    let mut ground = Ground::start(iris(&[&origin])).await;
    let mut waiting = Vec::new();
    for protocol in ["h2", "http/1.1"] {
        let client = ground.speaking(protocol);
        waiting.extend((0..10).map(|_| tokio::spawn(answer(get(&client, &ground.url("/iris"))))));
    }
    soon("twenty requests", arrived.acquire_many(20)).await.unwrap().forget();
    ground.stop();
    eventually("no new connections", || async { TcpStream::connect(ground.address).await.is_err() }).await;
    release.add_permits(20);
    for request in waiting {
        assert_eq!(soon("an answer", request).await.unwrap(), (200, "done".to_owned()));
    }
    soon("the end", ground.task).await.unwrap();
    origin.seen.closed().await;
}

#[tokio::test]
async fn health_says_which_routes_are_served() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let version = async || {
        let document = ground.state.get(ROUTES_KEY).await.unwrap().unwrap();
        document.version.0
    };
    let served = || async {
        let (status, body) = answer(ground.client().get(ground.url("/healthz"))).await;
        assert_eq!(status, 200);
        serde_json::from_str::<api::wire::GatewayHealth>(&body).unwrap().routes_version
    };
    let first = version().await;
    eventually("the first routes", || async { served().await.as_ref() == Some(&first) }).await;
    ground.publish(iris(&[])).await;
    let second = version().await;
    assert_ne!(first, second);
    eventually("the second routes", || async { served().await.as_ref() == Some(&second) }).await;
}
