//! The worker processes of a replica: who gets the next request, and what happens when one dies.
//!
//! A request goes to the live worker with the fewest requests in flight, at most `threads` each; while workers are
//! being replaced it waits for one rather than pile up behind the others. A worker that dies takes its requests with
//! it (they may have had effects, so they are not sent again) and is replaced, at once the first time and with a growing
//! pause when replacements keep dying. When a replacement cannot even start several times in a row the predictor is
//! beyond repair and the replica gives up, so that its owner sees why.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Map;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    StartFailure,
    worker::{Launch, Process, Worker},
};
use crate::{
    error::Error,
    exchange::{Reply, Request},
    predictor::{PredictError, Predictor},
};

/// A worker that lived this long did not die of how it was started.
const HEALTHY_LIFE: Duration = Duration::from_secs(10);
/// The longest pause before a replacement, in units of the shortest.
const LONGEST_PAUSE: u32 = 50;

/// How replacements are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replacing {
    /// The shortest pause.
    pub(super) backoff: Duration,
    /// Attempts in a row.
    pub(super) attempts: u32,
    /// How long workers may take to end when the pool closes.
    pub(super) close: Duration,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    supervisors: Mutex<JoinSet<()>>,
    failures: AsyncMutex<mpsc::UnboundedReceiver<Error>>,
    replacing: Replacing,
    processes: usize,
}

struct Shared {
    launch: Launch,
    /// One seat per process; empty while its worker is being replaced.
    seats: Mutex<Vec<Option<Arc<Worker>>>>,
    /// A worker has become able to take a request, or none ever will.
    freed: Notify,
    given_up: AtomicBool,
    closing: AtomicBool,
    failure: mpsc::UnboundedSender<Error>,
}

/// A worker and one of its threads, for the length of a request.
struct Seat {
    worker: Arc<Worker>,
    shared: Arc<Shared>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.worker.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.shared.freed.notify_one();
    }
}

impl Pool {
    /// Starts all workers at once; the first that does not get ready fails the whole.
    pub(super) async fn start(launch: Launch, processes: usize, replacing: Replacing) -> Result<Self, StartFailure> {
        let (failure, failures) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            launch,
            seats: Mutex::new(vec![None; processes]),
            freed: Notify::new(),
            given_up: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            failure,
        });
        let mut starts = JoinSet::new();
        for seat in 0..processes {
            let shared = Arc::clone(&shared);
            starts.spawn(async move { (seat, shared.launch.start().await) });
        }
        let mut supervisors = JoinSet::new();
        while let Some(started) = starts.join_next().await {
            let (seat, started) = started.expect("starting a worker does not panic and is not aborted");
            let (worker, process) = started?;
            shared.sit(seat, Some(worker));
            supervisors.spawn(Arc::clone(&shared).supervise(seat, process, replacing));
        }
        Ok(Self {
            shared,
            supervisors: Mutex::new(supervisors),
            failures: AsyncMutex::new(failures),
            replacing,
            processes,
        })
    }
}

#[async_trait::async_trait]
impl Predictor for Pool {
    async fn predict(&self, mut request: Request) -> Result<Reply, PredictError> {
        loop {
            let seat = self.shared.seat().await?;
            match seat.worker.predict(request) {
                Ok(answer) => return answer.await.unwrap_or(Err(PredictError::Died)),
                Err(unseen) => request = *unseen,
            }
        }
    }

    fn concurrency(&self) -> usize {
        self.processes * self.shared.launch.threads as usize
    }

    fn describe(&self) -> Map<String, serde_json::Value> {
        Map::new()
    }

    fn alive(&self) -> bool {
        self.shared.seats().iter().flatten().any(|worker| worker.is_alive())
    }

    async fn failed(&self) -> Error {
        match self.failures.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        for worker in self.shared.seats().iter().flatten() {
            worker.stop();
        }
        let mut supervisors = std::mem::take(&mut *self.supervisors.lock().unwrap_or_else(PoisonError::into_inner));
        let all_ended = async { while supervisors.join_next().await.is_some() {} };
        if timeout(self.replacing.close, all_ended).await.is_err() {
            tracing::warn!("killing worker processes that did not end by themselves");
        }
    }
}

impl Shared {
    fn seats(&self) -> std::sync::MutexGuard<'_, Vec<Option<Arc<Worker>>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sit(&self, seat: usize, worker: Option<Arc<Worker>>) {
        self.seats()[seat] = worker;
        self.freed.notify_waiters();
    }

    /// Waits for a worker with a free thread.
    async fn seat(self: &Arc<Self>) -> Result<Seat, PredictError> {
        loop {
            // Before the look, so that a worker freed after it is not missed.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(worker) = self.least_loaded() {
                return Ok(Seat { worker, shared: Arc::clone(self) });
            }
            let hopeless = self.given_up.load(Ordering::Acquire) || self.closing.load(Ordering::Acquire);
            if hopeless && !self.seats().iter().flatten().any(|worker| worker.is_alive()) {
                return Err(PredictError::Died);
            }
            freed.await;
        }
    }

    fn least_loaded(&self) -> Option<Arc<Worker>> {
        let seats = self.seats();
        let (worker, load) = seats
            .iter()
            .flatten()
            .filter(|worker| worker.is_alive())
            .map(|worker| (worker, worker.in_flight.load(Ordering::Acquire)))
            .min_by_key(|(_, load)| *load)?;
        if load >= self.launch.threads as usize {
            return None;
        }
        worker.in_flight.fetch_add(1, Ordering::AcqRel);
        Some(Arc::clone(worker))
    }

    async fn supervise(self: Arc<Self>, seat: usize, mut process: Process, replacing: Replacing) {
        let mut pause = Duration::ZERO;
        loop {
            let born = Instant::now();
            let pid = process.pid();
            let how = process.ended().await;
            self.sit(seat, None);
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            tracing::error!(pid, "a worker process ended ({how}) and is being replaced");
            if born.elapsed() >= HEALTHY_LIFE {
                pause = Duration::ZERO;
            }
            match self.replace(&mut pause, replacing).await {
                Ok((worker, replacement)) => {
                    tracing::info!(pid = worker.pid, "a new worker process is ready");
                    self.sit(seat, Some(worker));
                    process = replacement;
                }
                Err(error) => {
                    self.given_up.store(true, Ordering::Release);
                    self.freed.notify_waiters();
                    // The receiver is gone only when the pool is.
                    let _ = self.failure.send(error);
                    return;
                }
            }
        }
    }

    async fn replace(&self, pause: &mut Duration, replacing: Replacing) -> Result<(Arc<Worker>, Process), Error> {
        let mut failures = 0;
        loop {
            sleep(*pause).await;
            *pause = (*pause * 2).clamp(replacing.backoff, replacing.backoff * LONGEST_PAUSE);
            match self.launch.start().await {
                Ok(started) => return Ok(started),
                Err(source) => {
                    failures += 1;
                    tracing::error!("a worker process could not be replaced: {source}");
                    if failures >= replacing.attempts {
                        return Err(Error::WorkersKeepFailing { failures, source });
                    }
                }
            }
        }
    }
}
