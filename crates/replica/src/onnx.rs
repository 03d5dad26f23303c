//! An ONNX model, run in this process by ONNX Runtime and spoken to in plain JSON or in the Open Inference Protocol.

mod decode;
mod encode;
mod inflate;
mod library;
mod oip;
mod pace;
mod session;
mod signature;
#[cfg_attr(not(test), expect(dead_code, reason = "for server-side batching, which is to gather requests"))]
mod stack;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use api::replica::ReplicaSpec;
use http::{StatusCode, header::CONTENT_ENCODING};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

pub use library::{LIBRARY, library_for_nodes};
use oip::{Names, Route};
use pace::Pace;
use session::Sessions;
use signature::Signature;

use crate::{
    error::Error,
    exchange::{Reply, Request},
    predictor::{PredictError, Predictor},
    run::Limits,
    status::StatusFile,
};

struct Onnx {
    model: Arc<Model>,
    sessions: usize,
}

struct Model {
    sessions: Sessions,
    signature: Signature,
    names: Names,
    pace: Pace,
    /// Requests that are worked on by threads that may block: whoever has to wait for one of them must not wait on a
    /// thread that reads connections.
    slow: AtomicUsize,
    /// Longest body, in bytes, compressed or not.
    body_limit: usize,
}

/// Fetches the library if need be, loads the model and runs it once.
pub(crate) async fn load(
    predictor: &spec::realtime::Predictor,
    spec: &ReplicaSpec,
    path: &Path,
    limits: &Limits,
    status: &StatusFile,
) -> Result<impl Predictor + use<>, Error> {
    let setting = spec.onnxruntime.as_deref();
    let library = library::ensure(&spec.cache, setting, &spec.python, limits.install, status).await?;
    status.starting(&format!("loading {}", predictor.path))?;
    let (sessions, threads) = (predictor.processes_per_replica.max(1), predictor.threads_per_process.max(1));
    let (path, name) = (path.to_owned(), predictor.path.clone());
    let names = Names { model: spec.api.clone(), version: spec.version.clone() };
    let body_limit = limits.body;
    let model = spawn_blocking(move || {
        let (sessions, signature) = Sessions::load(&library, &path, &name, sessions, threads)?;
        sessions.warm_up(&signature.inputs);
        Ok(Model { sessions, signature, names, pace: Pace::new(), slow: AtomicUsize::new(0), body_limit })
    });
    let model = model.await.unwrap_or_else(|panic| {
        Err(Error::LoadModel { model: predictor.path.clone(), reason: format!("ONNX Runtime panicked: {panic}") })
    })?;
    Ok(Onnx { model: Arc::new(model), sessions: sessions as usize })
}

#[async_trait::async_trait]
impl Predictor for Onnx {
    async fn predict(&self, request: Request) -> Result<Reply, PredictError> {
        let model = Arc::clone(&self.model);
        model.slow.fetch_add(1, Ordering::AcqRel);
        let work = spawn_blocking(move || {
            let _slow = Slow(&model.slow);
            model.timed(&request)
        });
        work.await.unwrap_or_else(|panic| {
            tracing::error!("panic in the model's run: {panic}");
            Err(PredictError::Died)
        })
    }

    fn at_once(&self, request: &Request) -> Option<Result<Reply, PredictError>> {
        let alone = self.model.slow.load(Ordering::Acquire) == 0;
        // A compressed body is as long as what comes out of it.
        let plain = !request.head.headers.contains_key(CONTENT_ENCODING);
        (alone && plain && self.model.pace.is_quick(request.body.len())).then(|| self.model.timed(request))
    }

    fn page(&self, path: &str, draining: bool) -> Option<Result<Reply, PredictError>> {
        let route = match oip::route(path, &self.model.names)? {
            Ok(route) => route,
            Err(why) => return Some(Err(PredictError::NotFound(why))),
        };
        let Model { names, signature, .. } = &*self.model;
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

    /// While one request runs, the JSON of another can be read or written.
    fn concurrency(&self) -> Option<usize> {
        Some(2 * self.sessions)
    }

    fn describe(&self) -> Map<String, Value> {
        self.model.signature.describe().map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

/// Counts down when the work is done, or has panicked.
struct Slow<'a>(&'a AtomicUsize);

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Model {
    fn timed(&self, request: &Request) -> Result<Reply, PredictError> {
        let begun = Instant::now();
        let outcome = self.answer(request);
        self.pace.note(request.body.len(), begun);
        outcome
    }

    fn answer(&self, request: &Request) -> Result<Reply, PredictError> {
        let route = oip::route(request.head.uri.path(), &self.names).transpose().map_err(PredictError::NotFound)?;
        let encoding = request.header(CONTENT_ENCODING.as_str());
        let body = inflate::inflate(&request.body, encoding, self.body_limit).map_err(PredictError::BadRequest)?;
        let Signature { inputs, outputs } = &self.signature;
        let answered = match route {
            None => {
                let arrays = decode::arrays(&body, &self.signature).map_err(PredictError::BadRequest)?;
                self.sessions.run(inputs, arrays).and_then(|v| encode::answer(outputs, &v)).map(Reply::json)
            }
            Some(Route::Infer) => {
                let json_length = request.header(oip::JSON_LENGTH);
                let mut infer = oip::parse(&body, json_length, &self.signature).map_err(PredictError::BadRequest)?;
                let arrays = std::mem::take(&mut infer.arrays);
                self.sessions.run(inputs, arrays).and_then(|v| self.names.reply(&infer, outputs, &v))
            }
            Some(_) => {
                let path = request.head.uri.path();
                return Err(PredictError::NotFound(format!("`{path}` takes GET, not POST")));
            }
        };
        answered.map_err(|error| match error.code() {
            ort::ErrorCode::InvalidArgument => {
                PredictError::BadRequest(format!("the model does not take this: {error}"))
            }
            _ => {
                tracing::error!(request_id = %request.id, "the model failed: {error}");
                PredictError::Raised { exception: Some("an ONNX Runtime error".to_owned()) }
            }
        })
    }
}
