//! Workers that hang or leak, batches, and requests that were handed over too early.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use spec::realtime::ServerSideBatching;
use telemetry::{Samples, catalogue::replica as families};

use crate::{
    ground::{Ground, in_time, log, until, until_exists},
    metrics::page,
};

/// `"hang"` never ends, `"leak"` takes 200 MiB, anything else is answered with the process id.
const UNRULY: &str = r#"
import os, threading

GROUND = os.environ["GROUND"]
kept = []

class PythonPredictor:
    def predict(self, payload):
        if payload == "hang":
            open(f"{GROUND}/hangs", "w").close()
            threading.Event().wait()
        if payload == "leak":
            kept.append(bytearray(os.urandom(1)) * (200 << 20))
        return os.getpid()
"#;

fn unruly() -> Ground {
    let mut ground = Ground::python(UNRULY);
    ground.limits.watch = Duration::from_millis(20);
    ground
}

#[tokio::test]
async fn a_worker_that_hangs_is_replaced_and_says_where_it_was() {
    let mut ground = unruly();
    ground.limits.request = Duration::from_millis(300);
    let running = ground.ready().await;
    let first = running.post("1").await.ok();
    let message = running.post(r#""hang""#).await.refused(504, "predictor_timeout");
    assert!(message.contains("`predictor.request_timeout`"), "{message}");
    assert_ne!(running.post("1").await.ok(), first);
    running.stopped().await.unwrap();
    let log = log();
    assert!(log.contains("this request is at work for more than") && log.contains("in predict"), "{log}");
}

#[tokio::test]
async fn a_worker_busy_for_nobody_is_replaced() {
    let mut ground = unruly();
    ground.limits.abandoned = Duration::from_millis(100);
    let running = ground.ready().await;
    let first = running.post("1").await.ok();
    let gone = running.posting(r#""hang""#);
    until_exists(&ground.path("hangs")).await;
    gone.abort();
    assert_ne!(running.post("1").await.ok(), first);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_leaks_is_replaced_before_the_kernel_kills_it() {
    let mut ground = unruly();
    ground.spec.mem_bytes = Some(150 << 20);
    let running = ground.ready().await;
    let first = running.post(r#""leak""#).await.ok();
    until("it is replaced", || log().contains("a new worker process is ready").then_some(())).await;
    assert_ne!(running.post("1").await.ok(), first);
    running.stopped().await.unwrap();
    assert!(log().contains("has grown to its share of `compute.mem`"));
}

#[tokio::test]
async fn what_a_dead_worker_had_not_begun_goes_to_the_next() {
    let mut ground = Ground::python(
        r#"
import os, time
GROUND = os.environ["GROUND"]
class PythonPredictor:
    def predict(self, payload):
        if payload == "wait":
            open(f"{GROUND}/arrived", "w").close()
            while not os.path.exists(f"{GROUND}/go"):
                time.sleep(0.002)
        return os.getpid()
"#,
    );
    ground.limits.watch = Duration::from_millis(20);
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    // Until it counts as quick, and gets requests ahead.
    let mut pid = json!(null);
    for _ in 0..200 {
        pid = connection.post("/", "1").await.ok();
    }
    let held = running.posting(r#""wait""#);
    until_exists(&ground.path("arrived")).await;
    let ahead: Vec<_> = (0..4).map(|_| running.posting("1")).collect();
    // They have reached the replica when one more connection has been answered.
    let mut other = running.connect().await;
    let about = other.send(http::Request::get("/").body(http_body_util::Full::default()).unwrap()).await;
    assert_eq!(about.status, 200);
    let process = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    held.await.unwrap().refused(502, "predictor_died");
    for post in ahead {
        assert_ne!(post.await.unwrap().ok(), pid);
    }
    drop((connection, other));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn batches_form_while_the_worker_is_busy() {
    let mut ground = Ground::python(
        r#"
import os, time
GROUND = os.environ["GROUND"]
class PythonPredictor:
    def predict(self, payload, headers):
        if payload == ["wait"]:
            open(f"{GROUND}/arrived", "w").close()
            while not os.path.exists(f"{GROUND}/go"):
                time.sleep(0.002)
        return [ValueError("odd one") if p == 3 else [p, len(payload), h["x-request-id"]] for p, h in zip(payload, headers)]
"#,
    );
    ground.predictor().server_side_batching =
        Some(ServerSideBatching { max_batch_size: 4, batch_interval_millis: 60_000 });
    let running = ground.ready().await;
    let first = running.posting(r#""wait""#);
    until_exists(&ground.path("arrived")).await;
    let posts: Vec<_> = (0..4).map(|number| running.posting(&number.to_string())).collect();
    let broken = running.posting("{");
    let samples = || async { Samples::parse(&page(&running).await).unwrap() };
    let arrived = async { while samples().await.sum(families::QUEUED.name, &[]) < 5.0 {} };
    in_time("all have arrived", arrived).await;
    assert_eq!(samples().await.sum(families::IN_FLIGHT.name, &[]), 1.0);
    ground.write("go", "");
    assert_eq!(first.await.unwrap().ok(), json!(["wait", 1, "r1"]));
    broken.await.unwrap().refused(400, "bad_request");
    let mut largest = 0;
    for (number, post) in posts.into_iter().enumerate() {
        let answer = post.await.unwrap();
        if number == 3 {
            answer.refused(500, "predictor_raised");
        } else {
            let [value, size, id] = <[_; 3]>::try_from(answer.ok().as_array().unwrap().clone()).unwrap();
            assert_eq!((value, id), (json!(number), json!("r1")));
            largest = largest.max(size.as_u64().unwrap());
        }
    }
    // The first alone, then four of the five that came meanwhile, of which the predictor may have seen all or all but one.
    assert!((3..=4).contains(&largest), "{largest}");
    let samples = samples().await;
    let of = |what: &str| samples.sum(&format!("{}_{what}", families::BATCH.name), &[]);
    assert_eq!((of("count"), of("sum")), (3.0, 6.0));
    running.stopped().await.unwrap();
}
