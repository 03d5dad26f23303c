//! Many requests in one run of the model, for `server_side_batching`.
//!
//! Each request is read and checked by itself before it is gathered, and its answer is written by itself after the run,
//! so that only the run is shared. What cannot be shared is found out: a stacked run that fails, or whose outputs do not
//! have a row for each row, is done again one by one, so that every caller gets what he would have got alone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ort::value::DynValue;
use tokio::task::spawn_blocking;

use super::{
    decode::Array,
    model::Model,
    rows::{Rows, height},
    stack::{alike, rows, stack},
};
use crate::batching::{Size, TakesBatches};

/// Runs what was gathered.
pub(super) struct Together {
    model: Arc<Model>,
    sessions: usize,
    told: AtomicBool,
}

/// What a run has given, and which rows of it are one caller's.
pub(super) struct Part {
    pub(super) values: Arc<Vec<DynValue>>,
    pub(super) rows: Rows,
}

impl Together {
    pub(super) fn new(model: Arc<Model>, sessions: usize) -> Self {
        Self { model, sessions, told: AtomicBool::new(false) }
    }

    fn run(&self, requests: Vec<Vec<Array>>) -> Vec<ort::Result<Part>> {
        if requests.len() > 1 {
            match self.run_stacked(&requests) {
                Ok(parts) => return parts.into_iter().map(Ok).collect(),
                Err(why) => self.tell(&why),
            }
        }
        requests.into_iter().map(|request| self.run_alone(request)).collect()
    }

    fn run_alone(&self, request: Vec<Array>) -> ort::Result<Part> {
        let values = self.model.sessions.run(&self.model.signature.inputs, request)?;
        Ok(Part { values: Arc::new(values), rows: Rows::ALL })
    }

    /// Or why that did not work.
    fn run_stacked(&self, requests: &[Vec<Array>]) -> Result<Vec<Part>, String> {
        let counts: Vec<usize> = requests.iter().filter_map(|request| rows(request)).collect();
        let all: usize = counts.iter().sum();
        let signature = &self.model.signature;
        let values = self.model.sessions.run(&signature.inputs, stack(requests)).map_err(|error| error.to_string())?;
        let mut outputs = signature.outputs.iter().zip(&values);
        if let Some((output, _)) = outputs.find(|(output, value)| height(output, value) != Some(all)) {
            return Err(format!("its output `{}` does not have a row for each row of its inputs", output.name));
        }
        let values = Arc::new(values);
        let part = |rows| Part { values: Arc::clone(&values), rows };
        Ok(Rows::following(&counts).into_iter().map(part).collect())
    }

    /// Once as a warning: the requests of one caller may do it over and over.
    fn tell(&self, why: &str) {
        let text = "requests that were put together are run one by one, since the model did not run on them";
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!("{text}: {why}");
        } else {
            tracing::warn!("{text}: {why}");
        }
    }
}

#[async_trait::async_trait]
impl TakesBatches for Together {
    type Item = Vec<Array>;
    type Answer = ort::Result<Part>;

    async fn work(self: Arc<Self>, requests: Vec<Vec<Array>>) -> Vec<ort::Result<Part>> {
        spawn_blocking(move || self.run(requests)).await.unwrap_or_else(|panic| {
            tracing::error!("panic in the model's run: {panic}");
            Vec::new()
        })
    }

    fn batches_at_once(&self) -> usize {
        self.sessions
    }

    fn size(request: &Vec<Array>) -> Size {
        let bytes = request.iter().map(|array| array.data.bytes()).sum();
        Size { rows: rows(request).unwrap_or(1), bytes }
    }

    fn fit(one: &Vec<Array>, other: &Vec<Array>) -> bool {
        alike(one, other)
    }
}
