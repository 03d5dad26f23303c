//! Requests gathered for a predictor that answers many at once.
//!
//! Adaptive by load: with nothing in flight a request goes at once, alone. While batches are in flight requests gather,
//! and the next one goes when it is full, when its oldest request has waited for the interval, or when nothing is in
//! flight any more; but never more batches than the predictor can work on. So batching costs an idle replica no latency,
//! and batches grow with the load, up to their limit.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use spec::realtime::ServerSideBatching;
use telemetry::Page;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    error::Error,
    exchange::{Reply, Request},
    predictor::{PredictError, Predictor},
};

type Outcome = Result<Reply, PredictError>;

/// A predictor that can answer many requests at once.
#[async_trait::async_trait]
pub(crate) trait PredictsBatches: Predictor {
    /// One outcome for each request, in their order. Runs to its end even if all callers have gone.
    async fn predict_batch(&self, requests: Vec<Request>) -> Vec<Outcome>;

    /// How many batches are worth having in flight.
    fn batches_at_once(&self) -> usize;
}

/// A [`Predictor`] of single requests, which it gathers.
pub(crate) struct Batching<P> {
    predictor: Arc<P>,
    inbox: mpsc::UnboundedSender<Waiting>,
}

struct Waiting {
    request: Request,
    since: Instant,
    answer: oneshot::Sender<Outcome>,
}

impl<P: PredictsBatches> Batching<P> {
    /// Within a Tokio runtime.
    pub(crate) fn new(predictor: P, settings: ServerSideBatching) -> Self {
        let (inbox, requests) = mpsc::unbounded_channel();
        let predictor = Arc::new(predictor);
        let gather = Gather {
            predictor: Arc::clone(&predictor),
            most: settings.max_batch_size as usize,
            interval: Duration::from_millis(settings.batch_interval_millis.into()),
            waiting: VecDeque::new(),
            in_flight: JoinSet::new(),
        };
        tokio::spawn(gather.run(requests));
        Self { predictor, inbox }
    }
}

struct Gather<P> {
    predictor: Arc<P>,
    most: usize,
    interval: Duration,
    waiting: VecDeque<Waiting>,
    in_flight: JoinSet<()>,
}

impl<P: PredictsBatches> Gather<P> {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Waiting>) {
        loop {
            let due = self.waiting.front().map(|first| first.since + self.interval);
            let room = self.in_flight.len() < self.predictor.batches_at_once().max(1);
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { break };
                    self.waiting.push_back(request);
                    // All that came with it.
                    while let Ok(request) = requests.try_recv() {
                        self.waiting.push_back(request);
                    }
                }
                Some(ended) = self.in_flight.join_next() => {
                    if let Err(panic) = ended {
                        tracing::error!("panic in the predictor: {panic}");
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if room && due.is_some() => {}
            }
            while self.is_due() {
                self.send();
            }
        }
        while self.in_flight.join_next().await.is_some() {}
    }

    fn is_due(&self) -> bool {
        let Some(first) = self.waiting.front() else { return false };
        let in_flight = self.in_flight.len();
        let due = in_flight == 0 || self.waiting.len() >= self.most || first.since.elapsed() >= self.interval;
        due && in_flight < self.predictor.batches_at_once().max(1)
    }

    fn send(&mut self) {
        let count = self.waiting.len().min(self.most);
        // Whoever has gone needs no answer.
        let batch = self.waiting.drain(..count).filter(|waiting| !waiting.answer.is_closed());
        let (requests, answers): (Vec<_>, Vec<_>) = batch.map(|waiting| (waiting.request, waiting.answer)).unzip();
        if requests.is_empty() {
            return;
        }
        let predictor = Arc::clone(&self.predictor);
        self.in_flight.spawn(async move {
            let outcomes = predictor.predict_batch(requests).await;
            // A predictor that gives too few has broken its word; dropping the rest says so to those callers.
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                let _ = answer.send(outcome);
            }
        });
    }
}

#[async_trait::async_trait]
impl<P: PredictsBatches> Predictor for Batching<P> {
    async fn predict(&self, request: Request) -> Outcome {
        let (answer, answered) = oneshot::channel();
        if self.inbox.send(Waiting { request, since: Instant::now(), answer }).is_err() {
            return Err(PredictError::Died);
        }
        answered.await.unwrap_or(Err(PredictError::Died))
    }

    /// They wait here, where they are gathered.
    fn concurrency(&self) -> Option<usize> {
        None
    }

    fn forgets_callers(&self) -> bool {
        true
    }

    fn describe(&self) -> Map<String, Value> {
        self.predictor.describe()
    }

    fn measure(&self, page: &mut Page) {
        self.predictor.measure(page);
    }

    fn alive(&self) -> bool {
        self.predictor.alive()
    }

    async fn failed(&self) -> Error {
        self.predictor.failed().await
    }

    async fn close(&self) {
        self.predictor.close().await;
    }
}

#[cfg(test)]
mod tests;
