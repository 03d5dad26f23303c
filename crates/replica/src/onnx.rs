//! An ONNX model, run in this process by ONNX Runtime and spoken to in plain JSON or in the Open Inference Protocol.

mod decode;
mod encode;
mod inflate;
mod library;
mod model;
mod oip;
mod pace;
mod rows;
mod session;
mod shown;
mod signature;
mod stack;
mod together;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use api::replica::ReplicaSpec;
use http::{StatusCode, header::CONTENT_ENCODING};
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking};

pub use library::{LIBRARY, library_for_nodes};
use model::Model;
use oip::{Names, Route};
use pace::Pace;
use rows::elements;
use session::Sessions;
use together::Together;

use crate::{
    batching::Gathering,
    error::Error,
    exchange::{Reply, Request},
    metrics::Metrics,
    predictor::{PredictError, Predictor},
    run::Limits,
    status::StatusFile,
};

/// Elements of an answer that are written without keeping others waiting.
const LARGE_ANSWER: usize = 8 << 10;

struct Onnx {
    model: Arc<Model>,
    /// Requests whose JSON may be read or written, or that may run, at a time.
    at_once: usize,
    /// Requests that are worked on by threads that may block: whoever has to wait for one of them must not wait on a
    /// thread that reads connections.
    slow: Arc<AtomicUsize>,
    batches: Option<Batches>,
}

/// For requests that are run together.
struct Batches {
    gathering: Gathering<Together>,
    /// To read or write what is large.
    large: Semaphore,
}

/// Fetches the library if need be, loads the model and runs it once.
pub(crate) async fn load(
    predictor: &spec::realtime::Predictor,
    spec: &ReplicaSpec,
    path: &Path,
    limits: &Limits,
    status: &StatusFile,
    metrics: &Metrics,
) -> Result<impl Predictor + use<>, Error> {
    let setting = spec.onnxruntime.as_deref();
    let library = library::ensure(&spec.cache, setting, &spec.python, limits.install, status).await?;
    status.starting(&format!("loading {}", predictor.path))?;
    let (sessions, threads) = (predictor.processes_per_replica.max(1), predictor.threads_per_process.max(1));
    let (path, name) = (path.to_owned(), predictor.path.clone());
    let names = Names { model: spec.api.clone(), version: spec.version.clone() };
    let (body_limit, batched) = (limits.body, predictor.server_side_batching.is_some());
    let model = spawn_blocking(move || {
        let (sessions, signature) = Sessions::load(&library, &path, &name, sessions, threads)?;
        let unsupported = |reason| Error::UnsupportedModel { model: name, reason };
        if batched {
            sessions.check_rows(&signature).map_err(unsupported)?;
        } else {
            sessions.warm_up(&signature.inputs);
        }
        Ok(Model { sessions, signature, names, pace: Pace::new(), body_limit })
    });
    let model = model.await.unwrap_or_else(|panic| {
        Err(Error::LoadModel { model: predictor.path.clone(), reason: format!("ONNX Runtime panicked: {panic}") })
    })?;
    let (model, sessions) = (Arc::new(model), sessions as usize);
    // While one request runs, the JSON of another can be read or written.
    let at_once = 2 * sessions;
    let batches = predictor.server_side_batching.map(|settings| {
        let together = Arc::new(Together::new(Arc::clone(&model), sessions));
        let gathering = Gathering::new(together, settings, Arc::clone(&metrics.batch));
        Batches { gathering, large: Semaphore::new(at_once) }
    });
    Ok(Onnx { model, at_once, slow: Arc::default(), batches })
}

#[async_trait::async_trait]
impl Predictor for Onnx {
    async fn predict(&self, request: Request) -> Result<Reply, PredictError> {
        if let Some(batches) = &self.batches {
            return batches.predict(&self.model, request).await;
        }
        let slow = Slow::begin(&self.slow);
        let model = Arc::clone(&self.model);
        let work = spawn_blocking(move || {
            let _slow = slow;
            model.answer(&request)
        });
        work.await.unwrap_or_else(|panic| {
            tracing::error!("panic in the model's run: {panic}");
            Err(PredictError::Died)
        })
    }

    fn at_once(&self, request: &Request) -> Option<Result<Reply, PredictError>> {
        let alone = self.batches.is_none() && self.slow.load(Ordering::Acquire) == 0;
        // A compressed body is as long as what comes out of it.
        let plain = !request.head.headers.contains_key(CONTENT_ENCODING);
        if !(alone && plain && self.model.pace.is_quick(request.body.len())) {
            return None;
        }
        self.model.answer_at_once(request)
    }

    fn page(&self, path: &str, draining: bool) -> Option<Result<Reply, PredictError>> {
        let route = match oip::route(path, &self.model.names)? {
            Ok(route) => route,
            Err(why) => return Some(Err(PredictError::NotFound(why))),
        };
        let (names, signature) = (&self.model.names, &self.model.signature);
        let mut status = StatusCode::OK;
        let mut ready = |mut body: Value| {
            body["ready"] = json!(!draining);
            if draining {
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
            body
        };
        let body = match route {
            Route::Server => Names::server(),
            Route::Live => json!({ "live": true }),
            Route::Ready => ready(json!({ "live": true })),
            Route::Model => names.metadata(signature),
            Route::ModelReady => ready(json!({ "name": names.model })),
            Route::Infer => return None,
        };
        let mut reply = Reply::json(body.to_string());
        reply.status = status;
        Some(Ok(reply))
    }

    /// Requests that are gathered wait where that is done.
    fn concurrency(&self) -> Option<usize> {
        self.batches.is_none().then_some(self.at_once)
    }

    fn waiting(&self) -> usize {
        self.batches.as_ref().map_or(0, |batches| batches.gathering.waiting())
    }

    fn forgets_callers(&self) -> bool {
        self.batches.is_some()
    }

    fn describe(&self) -> Map<String, Value> {
        self.model.signature.describe().map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

impl Batches {
    async fn predict(&self, model: &Arc<Model>, request: Request) -> Result<Reply, PredictError> {
        let name = request.name();
        let compressed = request.head.headers.contains_key(CONTENT_ENCODING);
        let large = compressed || request.body.len() > pace::SMALL_BODY;
        let reads = Arc::clone(model);
        let (arrays, form) = self.aside(large, move || reads.read(&request)).await??;
        let part = self.gathering.ask(arrays, name.turn.clone()).await.ok_or(PredictError::Died)?;
        let part = part.map_err(|error| model::failed(&name, &error))?;
        let writes = Arc::clone(model);
        let large = elements(&model.signature.outputs, &part.values, &part.rows) > LARGE_ANSWER;
        self.aside(large, move || writes.write(&name, &form, &part.values, &part.rows)).await?
    }

    /// Here and now, or on a thread of its own if it may take long.
    async fn aside<T: Send + 'static>(
        &self,
        large: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PredictError> {
        if !large {
            return Ok(work());
        }
        let _turn = self.large.acquire().await.map_err(|_| PredictError::Died)?;
        spawn_blocking(work).await.map_err(|panic| {
            tracing::error!("panic where a request was read or written: {panic}");
            PredictError::Died
        })
    }
}

/// A request that a thread of its own works on, or has panicked over.
struct Slow(Arc<AtomicUsize>);

impl Slow {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
