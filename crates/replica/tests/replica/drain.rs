//! The rule that an update loses no request.

use std::time::Duration;

use api::replica::Phase;
use serde_json::json;

use crate::ground::{Ground, Running, until, until_exists};

const GATED: &str = r#"
import os, time

GROUND = os.environ["GROUND"]

class PythonPredictor:
    def predict(self, payload):
        if payload == "wait":
            open(f"{GROUND}/arrived", "w").close()
            while not os.path.exists(f"{GROUND}/go"):
                time.sleep(0.002)
        return payload
"#;

async fn draining(ground: &Ground, running: &mut Running) {
    running.stop();
    until("it drains", || ground.status().filter(|status| status.phase == Phase::Draining)).await;
}

#[tokio::test]
async fn requests_in_flight_are_answered() {
    let ground = Ground::python(GATED);
    let mut running = ground.ready().await;
    let held = running.posting(r#""wait""#);
    until_exists(&ground.path("arrived")).await;
    draining(&ground, &mut running).await;
    ground.write("go", "");
    let answer = held.await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, b"wait".as_slice()));
    assert!(answer.closes());
    running.ended().await.unwrap();
}

#[tokio::test]
async fn idle_connections_stay_and_new_ones_are_served() {
    let ground = Ground::python(GATED);
    let mut running = ground.ready().await;
    let (mut first, mut second) = (running.connect().await, running.connect().await);
    assert!(!first.post("/", "1").await.closes());
    draining(&ground, &mut running).await;

    // A gateway that does not know yet: an old connection, a new one.
    let mut third = running.connect().await;
    let answer = third.post("/", "3").await;
    assert!(answer.ok() == json!(3) && answer.closes());
    until("the answered connection is closed", || third.is_closed().then_some(())).await;
    // Nothing may happen to the others, however long one looks; this looks for several grace periods.
    let changed = until("a change", || (first.is_closed() || second.is_closed() || running.has_ended()).then_some(()));
    assert!(tokio::time::timeout(6 * ground.limits.grace, changed).await.is_err());
    let answer = first.post("/", "1").await;
    assert!(answer.ok() == json!(1) && answer.closes());
    let answer = second.post("/", "2").await;
    assert!(answer.ok() == json!(2) && answer.closes());
    running.ended().await.unwrap();
}

#[tokio::test]
async fn it_ends_when_idle_connections_are_closed_by_the_other_side() {
    let ground = Ground::python(GATED);
    let mut running = ground.ready().await;
    let idle = running.connect().await;
    draining(&ground, &mut running).await;
    drop(idle);
    running.ended().await.unwrap();
}

#[tokio::test]
async fn the_drain_timeout_cuts_what_is_left() {
    let mut ground = Ground::python(GATED);
    ground.spec.drain_timeout = Duration::from_millis(100);
    // The worker does not end by itself either: it is in the middle of a request.
    ground.limits.close = Duration::from_millis(100);
    let running = ground.ready().await;
    let idle = running.connect().await;
    let held = running.posting(r#""wait""#);
    until_exists(&ground.path("arrived")).await;
    running.stopped().await.unwrap();
    until("the idle connection is cut", || idle.is_closed().then_some(())).await;
    assert!(held.await.is_err(), "the connection broke");
}
