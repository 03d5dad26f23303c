//! An ONNX model, run in this process by ONNX Runtime and spoken to in plain JSON.

mod decode;
mod encode;
mod library;
mod session;
mod signature;

use std::{path::Path, sync::Arc};

use api::replica::ReplicaSpec;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

pub use library::{LIBRARY, library_for_nodes};
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
}

/// Fetches the library if need be, loads the model and runs it once.
pub(crate) async fn load(
    spec: &ReplicaSpec,
    path: &Path,
    limits: &Limits,
    status: &StatusFile,
) -> Result<impl Predictor + use<>, Error> {
    let setting = spec.onnxruntime.as_deref();
    let library = library::ensure(&spec.cache, setting, &spec.python, limits.install, status).await?;
    let predictor = &spec.predictor;
    status.starting(&format!("loading {}", predictor.path))?;
    let (sessions, threads) = (predictor.processes_per_replica.max(1), predictor.threads_per_process.max(1));
    let (path, name) = (path.to_owned(), predictor.path.clone());
    let model = spawn_blocking(move || {
        let (sessions, signature) = Sessions::load(&library, &path, &name, sessions, threads)?;
        sessions.warm_up(&signature.inputs);
        Ok(Model { sessions, signature })
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
        let work = spawn_blocking(move || model.answer(&request));
        work.await.unwrap_or_else(|panic| {
            tracing::error!("panic in the model's run: {panic}");
            Err(PredictError::Died)
        })
    }

    /// While one request runs, the JSON of another can be read or written.
    fn concurrency(&self) -> usize {
        2 * self.sessions
    }

    fn describe(&self) -> Map<String, Value> {
        self.model.signature.describe().map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

impl Model {
    fn answer(&self, request: &Request) -> Result<Reply, PredictError> {
        let inputs = &self.signature.inputs;
        let arrays = decode::arrays(&request.body, &self.signature).map_err(PredictError::BadRequest)?;
        let answered = self.sessions.run(inputs, arrays).and_then(|v| encode::answer(&self.signature.outputs, &v));
        match answered {
            Ok(body) => Ok(Reply::json(body)),
            Err(error) if error.code() == ort::ErrorCode::InvalidArgument => {
                Err(PredictError::BadRequest(format!("the model does not take this: {error}")))
            }
            Err(error) => {
                tracing::error!(request_id = %request.id, "the model failed: {error}");
                Err(PredictError::Raised { exception: Some("an ONNX Runtime error".to_owned()) })
            }
        }
    }
}
