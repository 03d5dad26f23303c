//! The worker processes of a replica: what they say is done with, and what happens when one dies.
//!
//! A worker that dies takes what it was working on with it (it may have had effects, so it is not done again) and is
//! replaced, at once the first time and with a growing pause when replacements keep dying. When a replacement cannot
//! even start several times in a row the predictor is beyond repair and the replica gives up, so that its owner sees why.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use telemetry::{ByKind, Page, catalogue::replica as families};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    StartFailure,
    answer::Outcome,
    desk::{Answer, Desk},
    frame::Said,
    watch::{self, Watching},
    work::Work,
    worker::Launch,
};
use crate::{
    batching::{Size, TakesBatches},
    error::Error,
    exchange::Request,
    predictor::{PredictError, Predictor},
};

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
    tasks: Mutex<JoinSet<()>>,
    failures: AsyncMutex<mpsc::UnboundedReceiver<Error>>,
    processes: usize,
}

pub(super) struct Shared {
    pub(super) launch: Launch,
    pub(super) replacing: Replacing,
    desk: Mutex<Desk>,
    pub(super) closing: AtomicBool,
    /// The predictor wants headers or query.
    wants_head: AtomicBool,
    /// What the first predictor that got ready says of itself.
    says: OnceLock<Said>,
    pub(super) failure: mpsc::UnboundedSender<Error>,
    /// Workers, by why they had to be replaced.
    pub(super) replaced: ByKind,
}

impl Pool {
    /// Starts all workers at once; the first that does not get ready fails the whole.
    pub(super) async fn start(
        launch: Launch,
        processes: usize,
        replacing: Replacing,
        watching: Watching,
    ) -> Result<Self, StartFailure> {
        let (failure, failures) = mpsc::unbounded_channel();
        let desk = Mutex::new(Desk::new(processes, launch.threads as usize));
        let shared = Arc::new(Shared {
            launch,
            replacing,
            desk,
            closing: AtomicBool::new(false),
            wants_head: AtomicBool::new(false),
            says: OnceLock::new(),
            replaced: ByKind::default(),
            failure,
        });
        let mut starts = JoinSet::new();
        for seat in 0..processes {
            let shared = Arc::clone(&shared);
            starts.spawn(async move { (seat, shared.launch.start().await) });
        }
        let mut tasks = JoinSet::new();
        while let Some(started) = starts.join_next().await {
            let (seat, started) = started.expect("starting a worker does not panic and is not aborted");
            let ((worker, incoming, process), said) = started?;
            shared.wants_head.store(worker.ready.headers, Ordering::Release);
            shared.says.get_or_init(|| Said::of(&said));
            tasks.spawn(Arc::clone(&shared).keep(seat, worker, incoming, process));
        }
        tokio::spawn(watch::watch(Arc::downgrade(&shared), watching));
        Ok(Self { shared, tasks: Mutex::new(tasks), failures: AsyncMutex::new(failures), processes })
    }
}

impl Shared {
    /// Works on the desk, then has written what that put into outboxes.
    pub(super) fn at_desk<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut desk);
        let touched = desk.hand_out();
        drop(desk);
        touched.iter().for_each(|worker| worker.link.flush());
        result
    }

    pub(super) fn leave(&self, number: u32) {
        self.at_desk(|desk| desk.leave(number));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn wants_head(&self) -> bool {
        self.wants_head.load(Ordering::Acquire)
    }

    /// There will be no new workers.
    pub(super) fn give_up(&self) {
        self.at_desk(|desk| desk.hopeless = true);
    }
}

/// A caller; a request of one who goes away is forgotten, or cancelled.
struct Caller<'a> {
    shared: &'a Shared,
    number: Option<u32>,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.leave(number);
        }
    }
}

#[async_trait::async_trait]
impl Predictor for Pool {
    async fn predict(&self, request: Request) -> Outcome {
        let (work, about) = Work::one(request, self.shared.wants_head())?;
        let (answer, answered) = oneshot::channel();
        let about = Arc::new(about);
        let number = self.shared.at_desk(|desk| desk.submit(work, about, Answer::One(answer)));
        let mut caller = Caller { shared: &self.shared, number: Some(number) };
        let outcome = answered.await.unwrap_or(Err(PredictError::Died));
        caller.number = None;
        outcome
    }

    /// The pool has its own queue, from which a worker takes without anybody being woken first.
    fn concurrency(&self) -> Option<usize> {
        None
    }

    fn waiting(&self) -> usize {
        self.shared.at_desk(|desk| desk.requests_waiting())
    }

    fn forgets_callers(&self) -> bool {
        true
    }

    fn describe(&self) -> Map<String, Value> {
        match self.shared.says.get().map(serde_json::to_value) {
            Some(Ok(Value::Object(says))) => says,
            _ => Map::new(),
        }
    }

    fn measure(&self, page: &mut Page) {
        let alive = self.shared.at_desk(|desk| desk.alive());
        page.one(&families::WORKERS, alive);
        let mut series = page.family(&families::REPLACED);
        for (reason, _, count) in self.shared.replaced.all() {
            series.add(&[reason], count);
        }
    }

    fn alive(&self) -> bool {
        self.shared.at_desk(|desk| desk.alive()) > 0
    }

    async fn failed(&self) -> Error {
        match self.failures.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.at_desk(|desk| {
            desk.hopeless = true;
            desk.seats.iter().flatten().for_each(|seat| seat.worker.stop());
        });
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(self.shared.replacing.close, all_ended).await.is_err() {
            tracing::warn!("killing worker processes that did not end by themselves");
        }
    }
}

#[async_trait::async_trait]
impl TakesBatches for Pool {
    type Item = Request;
    type Answer = Outcome;

    async fn work(self: Arc<Self>, requests: Vec<Request>) -> Vec<Outcome> {
        let count = requests.len();
        let (work, about) = match Work::batch(requests, self.shared.wants_head()) {
            Ok(work) => work,
            Err(error) => return (0..count).map(|_| Err(error.clone())).collect(),
        };
        let (answer, answered) = oneshot::channel();
        let about = Arc::new(about);
        self.shared.at_desk(|desk| desk.submit(work, about, Answer::Batch(answer, count)));
        answered.await.unwrap_or_else(|_| (0..count).map(|_| Err(PredictError::Died)).collect())
    }

    fn batches_at_once(&self) -> usize {
        self.processes * self.shared.launch.threads as usize
    }

    fn size(request: &Request) -> Size {
        Size { rows: 1, bytes: request.body.len() }
    }
}
