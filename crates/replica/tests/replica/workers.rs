//! Worker processes: how many requests they take, and what happens when they die.

use api::replica::Phase;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::ground::{Ground, log, until, until_exists};

/// Writes a file for every request that has arrived, then waits until the file `go` exists.
const GATED: &str = r#"
import os, time

GROUND = os.environ["GROUND"]

class PythonPredictor:
    def __init__(self):
        if os.path.exists(f"{GROUND}/broken"):
            raise RuntimeError("the weights are gone")

    def predict(self, payload):
        if payload == "pid":
            return os.getpid()
        with open(f"{GROUND}/new-{payload}", "w") as file:
            file.write(str(os.getpid()))
        os.rename(f"{GROUND}/new-{payload}", f"{GROUND}/arrived-{payload}")
        while not os.path.exists(f"{GROUND}/go"):
            time.sleep(0.002)
        return payload
"#;

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn as_many_requests_at_once_as_processes_times_threads() {
    let mut ground = Ground::python(GATED);
    ground.predictor().processes_per_replica = 2;
    ground.predictor().threads_per_process = 2;
    let running = ground.ready().await;
    let posts: Vec<_> = (0..4).map(|index| running.posting(&index.to_string())).collect();
    let mut pids = Vec::new();
    for index in 0..4 {
        let path = ground.path(&format!("arrived-{index}"));
        until_exists(&path).await;
        pids.push(std::fs::read_to_string(path).unwrap());
    }
    pids.sort();
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3], "two in each process: {pids:?}");
    ground.write("go", "");
    for (index, post) in posts.into_iter().enumerate() {
        assert_eq!(post.await.unwrap().ok(), json!(index));
    }
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let mut ground = Ground::python(GATED);
    ground.spec.max_replica_concurrency = Some(2);
    let running = ground.ready().await;
    let mut posts: Vec<_> = (0..3).map(|index| running.posting(&index.to_string())).collect();
    // One is in flight and one waits, whichever they are; the third is answered while the gate is shut.
    let refused = until("one is refused", || posts.iter().position(tokio::task::JoinHandle::is_finished)).await;
    let answer = posts.swap_remove(refused).await.unwrap();
    answer.refused(503, "overloaded");
    assert_eq!(answer.headers["retry-after"], "1");
    ground.write("go", "");
    for post in posts {
        post.await.unwrap().ok();
    }
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_killed_worker_costs_its_request_only() {
    let ground = Ground::python(GATED);
    let running = ground.ready().await;
    let first = running.post(r#""pid""#).await.ok();
    let held = running.posting("1");
    until_exists(&ground.path("arrived-1")).await;
    let waiting = running.posting(r#""pid""#);
    kill(i32::try_from(first.as_i64().unwrap()).unwrap());
    let message = held.await.unwrap().refused(502, "predictor_died");
    assert_eq!(message, "the process that worked on this request ended before it answered");
    // The one that waited in the queue is answered by the next process.
    assert_ne!(waiting.await.unwrap().ok(), first);
    assert_eq!(ground.status().unwrap().phase, Phase::Ready);
    running.stopped().await.unwrap();
    assert!(log().contains("a worker process ended (signal: 9 (SIGKILL)) and is being replaced"));
}

#[tokio::test]
async fn a_predictor_that_ends_its_process_is_replaced_again_and_again() {
    let ground = Ground::python(
        "import os\nclass PythonPredictor:\n  def predict(self, payload): os._exit(3) if payload else None\n",
    );
    let running = ground.ready().await;
    for _ in 0..3 {
        running.post("true").await.refused(502, "predictor_died");
    }
    assert_eq!(running.post("false").await.ok(), json!(null));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_cannot_be_replaced_fails_the_replica() {
    let ground = Ground::python(GATED);
    let running = ground.ready().await;
    let pid = running.post(r#""pid""#).await.ok().as_i64().unwrap();
    ground.write("broken", "");
    kill(i32::try_from(pid).unwrap());
    running.ended().await.unwrap_err();
    let status = ground.status().unwrap();
    let want = "a worker process could not be replaced, 5 times in a row; the last time: \
                the predictor's __init__ raised RuntimeError: the weights are gone (predictor.py, line 9)";
    assert_eq!((status.phase, status.message.as_str()), (Phase::Failed, want));
}

#[tokio::test]
async fn what_another_worker_holds_is_answered_before_the_replica_fails() {
    let mut ground = Ground::python(GATED);
    ground.predictor().processes_per_replica = 2;
    let running = ground.ready().await;
    let held = running.posting("1");
    let path = ground.path("arrived-1");
    until_exists(&path).await;
    let busy: i64 = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let other = running.post(r#""pid""#).await.ok().as_i64().unwrap();
    assert_ne!(busy, other);
    ground.write("broken", "");
    kill(i32::try_from(other).unwrap());
    until("it is failed", || ground.status().filter(|status| status.phase == Phase::Failed)).await;
    ground.write("go", "");
    assert_eq!(held.await.unwrap().ok(), json!(1));
    running.ended().await.unwrap_err();
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place_when_the_work_is_done() {
    let ground = Ground::python(GATED);
    let running = ground.ready().await;
    let gone = running.posting("1");
    until_exists(&ground.path("arrived-1")).await;
    gone.abort();
    let next = running.posting("2");
    ground.write("go", "");
    assert_eq!(next.await.unwrap().ok(), json!(2));
    running.stopped().await.unwrap();
}
