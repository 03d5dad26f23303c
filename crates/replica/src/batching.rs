//! Requests gathered for whoever can answer many at once.

mod gather;

use std::sync::Arc;

use serde_json::{Map, Value};
use spec::realtime::ServerSideBatching;
use telemetry::{Histogram, Page};

pub(crate) use gather::Gathering;

use crate::{
    error::Error,
    exchange::{Reply, Request},
    predictor::{PredictError, Predictor},
};

type Outcome = Result<Reply, PredictError>;

/// What can work on many items at once.
#[async_trait::async_trait]
pub(crate) trait TakesBatches: Send + Sync + 'static {
    type Item: Send + 'static;
    type Answer: Send + 'static;

    /// One answer for each item, in their order. Runs to its end even if all callers have gone.
    async fn work(self: Arc<Self>, items: Vec<Self::Item>) -> Vec<Self::Answer>;

    /// How many batches are worth having in flight.
    fn batches_at_once(&self) -> usize;

    fn size(item: &Self::Item) -> Size;

    /// Whether two items can be worked on together. An equivalence.
    fn fit(_: &Self::Item, _: &Self::Item) -> bool {
        true
    }
}

/// How much of a batch something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of `max_batch_size`.
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl Size {
    fn with(self, more: Self) -> Self {
        Self { rows: self.rows.saturating_add(more.rows), bytes: self.bytes.saturating_add(more.bytes) }
    }

    fn without(self, less: Self) -> Self {
        Self { rows: self.rows.saturating_sub(less.rows), bytes: self.bytes.saturating_sub(less.bytes) }
    }
}

/// A [`Predictor`] of single requests, which it gathers as they are.
pub(crate) struct Batching<P: TakesBatches> {
    predictor: Arc<P>,
    gathering: Gathering<P>,
}

impl<P: TakesBatches> Batching<P> {
    /// Within a Tokio runtime.
    pub(crate) fn new(predictor: P, settings: ServerSideBatching, sizes: Arc<Histogram>) -> Self {
        let predictor = Arc::new(predictor);
        Self { gathering: Gathering::new(Arc::clone(&predictor), settings, sizes), predictor }
    }
}

#[async_trait::async_trait]
impl<P: Predictor + TakesBatches<Item = Request, Answer = Outcome>> Predictor for Batching<P> {
    async fn predict(&self, request: Request) -> Outcome {
        let turn = request.turn.clone();
        self.gathering.ask(request, turn).await.unwrap_or(Err(PredictError::Died))
    }

    /// They wait here, where they are gathered.
    fn concurrency(&self) -> Option<usize> {
        None
    }

    fn waiting(&self) -> usize {
        self.gathering.waiting() + self.predictor.waiting()
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
