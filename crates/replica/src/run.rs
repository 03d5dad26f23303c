//! The life of a replica, in order: claim, load, bind, announce, serve, drain.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use api::replica::{Phase, ReplicaSpec};
use spec::realtime::{PredictorType, Program};
use telemetry::Tracer;
use transport::Listener;

use crate::{
    container,
    error::Error,
    metrics::Metrics,
    onnx,
    predictor::Predictor,
    python,
    server::{self, Service},
    status::StatusFile,
};

/// Deadlines and bounds. The defaults are the product's; tests shrink them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For one run of `pip` or `venv`.
    pub install: Duration,
    /// From the start of a worker process to its predictor's `__init__` having returned.
    pub init: Duration,
    /// How long there must have been no connection before a draining replica ends. It covers a gateway that has chosen
    /// this replica and has not connected yet.
    pub grace: Duration,
    /// Longest request body, in bytes.
    pub body: usize,
    /// How long a worker process may work on a request, unless `predictor.request_timeout` says otherwise.
    pub request: Duration,
    /// The same once its caller has gone.
    pub abandoned: Duration,
    /// Between two looks at what worker processes do.
    pub watch: Duration,
    /// Wait before the second attempt to replace a worker process; doubles up to fifty times this.
    pub backoff: Duration,
    /// Attempts in a row to replace a worker process before the replica gives up.
    pub replacements: u32,
    /// How long worker processes get to end by themselves.
    pub close: Duration,
    /// Between two looks at the readiness path of a user's own server.
    pub probe: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            install: Duration::from_mins(10),
            init: Duration::from_mins(5),
            grace: Duration::from_millis(300),
            body: 64 << 20,
            request: Duration::from_mins(5),
            abandoned: Duration::from_secs(30),
            watch: Duration::from_secs(1),
            backoff: Duration::from_millis(100),
            replacements: 5,
            close: Duration::from_secs(2),
            probe: Duration::from_secs(10),
        }
    }
}

/// Runs the replica until `stop` resolves and the last request is answered, or until it fails.
///
/// An error has already been logged and written to the status file, except when the file belongs to another process.
pub async fn run(spec: ReplicaSpec, stop: impl Future<Output = ()>, tracer: Tracer) -> Result<(), Error> {
    run_traced(spec, stop, Limits::default(), tracer).await
}

/// [`run`] with other deadlines and bounds, and without traces.
pub async fn run_with(spec: ReplicaSpec, stop: impl Future<Output = ()>, limits: Limits) -> Result<(), Error> {
    run_traced(spec, stop, limits, Tracer::default()).await
}

async fn run_traced(
    spec: ReplicaSpec,
    stop: impl Future<Output = ()>,
    limits: Limits,
    tracer: Tracer,
) -> Result<(), Error> {
    let status = StatusFile::claim(&spec.status_file)?;
    let outcome = Box::pin(live(&spec, stop, &limits, &status, tracer)).await;
    if let Err(error) = &outcome {
        let message = error.one_line();
        tracing::error!("{message}");
        if let Err(unwritten) = status.write(Phase::Failed, &message) {
            tracing::error!("{}", unwritten.one_line());
        }
    }
    outcome
}

async fn live(
    spec: &ReplicaSpec,
    stop: impl Future<Output = ()>,
    limits: &Limits,
    status: &StatusFile,
    tracer: Tracer,
) -> Result<(), Error> {
    let mut stop = pin!(stop);
    let metrics = Arc::new(Metrics::new(spec, tracer));
    let predictor = tokio::select! {
        biased;
        () = &mut stop => return status.write(Phase::Draining, "stopped before it was ready"),
        predictor = load(spec, limits, status, &metrics) => predictor?,
    };
    let listener = Listener::bind(&spec.listen).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse { address: spec.listen.clone() },
        _ => Error::Bind { address: spec.listen.clone(), source },
    })?;
    status.write(Phase::Ready, "ready")?;
    tracing::info!(address = %spec.listen, "ready");

    let service = Arc::new(Service::new(spec, limits, Arc::clone(&predictor), metrics));
    let ended = server::serve(listener, service, stop, status, limits.grace, spec.drain_timeout).await;
    predictor.close().await;
    ended
}

async fn load(
    spec: &ReplicaSpec,
    limits: &Limits,
    status: &StatusFile,
    metrics: &Metrics,
) -> Result<Arc<dyn Predictor>, Error> {
    status.starting(&format!("starting {}", spec.api))?;
    let predictor = match &spec.program {
        Program::Predictor(predictor) => predictor,
        Program::Container(container) => return Ok(Arc::new(container::load(container, spec, limits, status).await?)),
    };
    let path = spec.project.join(&predictor.path);
    if !path.is_file() {
        return Err(Error::NoSuchFile { path: predictor.path.clone().into() });
    }
    Ok(match predictor.r#type {
        PredictorType::Onnx => Arc::new(onnx::load(predictor, spec, &path, limits, status, metrics).await?),
        PredictorType::Python => python::load(predictor, spec, limits, status, metrics).await?,
    })
}
