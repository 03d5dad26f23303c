//! What the log says.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use state::LocalState;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    ground::{Ground, answer, eventually, get, iris, key, post, timeouts},
    origin::Origin,
    store::Flaky,
};

/// Keeps the events of this thread, which is all of a single-threaded test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Events of the gateway with that message.
    fn events(&self, message: &str) -> Vec<Value> {
        let all = self.text();
        let events = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn every_request_is_one_event_and_no_secret_is_in_it() {
    let (log, _guard) = Log::begin();
    let origin = Origin::named("r-1").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    let request = post(&client, &ground.url("/iris/x?secret=query")).header("x-request-id", "one").body("four");
    assert_eq!(answer(request).await.0, 200);
    assert_eq!(answer(get(&client, &ground.url("/rose"))).await.0, 404);
    assert_eq!(answer(client.get(ground.url("/iris")).bearer_auth(key(7))).await.0, 401);
    assert_eq!(answer(client.get(ground.url("/healthz"))).await.0, 200);
    eventually("three events", || async { log.events("request").len() == 3 }).await;
    let [good, no_api, no_key] = &log.events("request")[..] else { panic!("{}", log.text()) };
    for (field, value) in [
        ("level", Value::from("INFO")),
        ("request_id", "one".into()),
        ("peer", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("api", "iris".into()),
        ("version", "v1".into()),
        ("replica", "r-1".into()),
        ("status", 200.into()),
        ("attempts", 1.into()),
        ("bytes_in", 4.into()),
        ("bytes_out", 3.into()),
    ] {
        assert_eq!(good[field], value, "{field}");
    }
    assert!(good["duration_ms"].as_f64().unwrap() > 0.0 && good.get("error").is_none(), "{good}");
    assert_eq!([&no_api["error"], &no_api["status"]], [&Value::from("api_not_found"), &404.into()]);
    assert_eq!([&no_key["error"], &no_key["status"]], [&Value::from("unauthenticated"), &401.into()]);
    for secret in [key(1), key(7), "secret=query".to_owned(), identity::sha256_hex(&key(1))] {
        assert!(!log.text().contains(&secret), "{secret}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_reported_when_it_begins_and_when_it_ends() {
    let (log, _guard) = Log::begin();
    let directory = tempfile::tempdir().unwrap();
    let store = Flaky::new(LocalState::open(&directory.path().join("state")).await.unwrap());
    let often = gateway::Timeouts { recheck: Duration::from_millis(10), ..timeouts() };
    let _ground = Ground::start_on(directory, Arc::new(store.clone()), often).await;
    for round in 1..=2 {
        let before = store.refused();
        store.break_down();
        eventually("several attempts", || async { store.refused() >= before + 3 }).await;
        store.recover();
        eventually("the recovery", || async { log.events("routes and keys can be read again").len() == round }).await;
        assert_eq!(log.events("routes and keys cannot be read").len(), round);
    }
}
