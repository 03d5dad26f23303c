//! Requests that go on in the background while the test does something to the cluster.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{Answer, Https, eventually};

/// A running load. [`Load::stop`] tells what came of it.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    finished: AtomicU64,
    begin: Mutex<Option<Instant>>,
    tally: Mutex<Tally>,
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Bodies of answers with status 200, and how many there were of each.
    pub answers: BTreeMap<String, u64>,
    /// Everything else: status or error, and when.
    pub failures: Vec<String>,
    /// Statuses of the failures; 0 if no response came.
    pub statuses: BTreeMap<u16, u64>,
    /// The last body with status 200.
    pub last: String,
}

impl Load {
    /// Keeps `in_flight` requests in flight, spread over the clients, each sent `pace` after the last one's answer.
    pub fn start(clients: &[Https], path: &str, body: &Value, in_flight: usize, pace: Duration) -> Self {
        let shared = Arc::<Shared>::default();
        *lock(&shared.begin) = Some(Instant::now());
        let mut workers = JoinSet::new();
        for client in clients.iter().cycle().take(in_flight) {
            let (client, shared) = (client.clone(), Arc::clone(&shared));
            let (path, body) = (path.to_owned(), body.clone());
            workers.spawn(async move {
                while !shared.stop.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    let outcome = client.try_post(&path, &body).await;
                    shared.note(begin, outcome);
                    tokio::time::sleep(pace).await;
                }
            });
        }
        Self { shared, workers }
    }

    /// A few requests at a time, gentle enough to run beside other tests.
    pub fn gentle(client: &Https, path: &str, body: &Value) -> Self {
        Self::start(std::slice::from_ref(client), path, body, 4, Duration::from_millis(10))
    }

    pub fn finished(&self) -> u64 {
        self.shared.finished.load(Ordering::Relaxed)
    }

    /// Waits until that many requests more have been answered, one way or another.
    pub async fn more(&self, count: u64) {
        let goal = self.finished() + count;
        eventually("the load goes on", async || match self.finished() {
            finished if finished >= goal => Ok(()),
            finished => Err(format!("{finished} of {goal} requests")),
        })
        .await;
    }

    pub fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }

    /// Ends the load; every request begun is waited for.
    pub async fn stop(mut self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("a worker does not panic");
        }
        self.tally()
    }
}

impl Shared {
    fn note(&self, begin: Instant, outcome: Result<Answer, String>) {
        let since = |time: Instant| lock(&self.begin).map_or(0.0, |begin| time.duration_since(begin).as_secs_f64());
        let mut tally = lock(&self.tally);
        match outcome {
            Ok(answer) if answer.status == 200 => {
                tally.last = String::from_utf8_lossy(&answer.body).into_owned();
                let body = tally.last.clone();
                *tally.answers.entry(body).or_default() += 1;
            }
            other => {
                let (status, what) = match &other {
                    Ok(answer) => {
                        (answer.status, format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
                    }
                    Err(error) => (0, error.clone()),
                };
                *tally.statuses.entry(status).or_default() += 1;
                tally.failures.push(format!("{:.3} s to {:.3} s: {what}", since(begin), since(Instant::now())));
            }
        }
        drop(tally);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tally {
    /// Asserts that every request was answered with 200, and that there were some.
    #[track_caller]
    pub fn flawless(&self) {
        assert!(self.failures.is_empty(), "{} of {} requests failed: {:#?}", self.failures.len(), self.total(), {
            &self.failures[..self.failures.len().min(10)]
        });
        assert!(self.total() > 0, "there was no request");
    }

    pub fn total(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failures.len() as u64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
