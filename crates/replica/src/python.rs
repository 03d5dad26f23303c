//! A Python predictor: a class in the project, run by worker processes.
//!
//! The replica speaks HTTP and hands each request over a private socket to a process that runs `worker/`, which needs
//! nothing but the standard library: what the predictor imports comes from its own virtual environment and cannot
//! clash with ours.

mod answer;
mod deed;
mod desk;
mod failure;
mod frame;
mod link;
mod pool;
mod seat;
mod stream;
mod venv;
mod watch;
mod work;
mod worker;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::replica::ReplicaSpec;

pub use failure::StartFailure;
use pool::{Pool, Replacing};
use watch::{Memory, Watching};
use worker::Launch;

use crate::{
    batching::Batching, error::Error, metrics::Metrics, predictor::Predictor, run::Limits, status::StatusFile,
};

/// What a worker process runs, by file.
const WORKER: [(&str, &str); 18] = [
    ("worker.py", include_str!("python/worker/worker.py")),
    ("cortex_worker/__init__.py", include_str!("python/worker/cortex_worker/__init__.py")),
    ("cortex_worker/answer.py", include_str!("python/worker/cortex_worker/answer.py")),
    ("cortex_worker/batches.py", include_str!("python/worker/cortex_worker/batches.py")),
    ("cortex_worker/frames.py", include_str!("python/worker/cortex_worker/frames.py")),
    ("cortex_worker/hints.py", include_str!("python/worker/cortex_worker/hints.py")),
    ("cortex_worker/loading.py", include_str!("python/worker/cortex_worker/loading.py")),
    ("cortex_worker/output.py", include_str!("python/worker/cortex_worker/output.py")),
    ("cortex_worker/payload.py", include_str!("python/worker/cortex_worker/payload.py")),
    ("cortex_worker/portable.py", include_str!("python/worker/cortex_worker/portable.py")),
    ("cortex_worker/process.py", include_str!("python/worker/cortex_worker/process.py")),
    ("cortex_worker/schemas.py", include_str!("python/worker/cortex_worker/schemas.py")),
    ("cortex_worker/serving.py", include_str!("python/worker/cortex_worker/serving.py")),
    ("cortex_worker/signature.py", include_str!("python/worker/cortex_worker/signature.py")),
    ("cortex_worker/streams.py", include_str!("python/worker/cortex_worker/streams.py")),
    ("cortex_worker/tasks.py", include_str!("python/worker/cortex_worker/tasks.py")),
    ("cortex_worker/threads.py", include_str!("python/worker/cortex_worker/threads.py")),
    ("cortex_worker/trouble.py", include_str!("python/worker/cortex_worker/trouble.py")),
];

/// Makes the environment and starts the workers.
pub(crate) async fn load(
    predictor: &spec::realtime::Predictor,
    spec: &ReplicaSpec,
    limits: &Limits,
    status: &StatusFile,
    metrics: &Metrics,
) -> Result<Arc<dyn Predictor>, Error> {
    let project = std::path::absolute(&spec.project).map_err(Error::io("find", &spec.project))?;
    let python = venv::ensure(spec, &project, limits.install, status).await?;
    let script = unpack(&status.beside("worker"))?;
    let processes = predictor.processes_per_replica.max(1);
    status.starting(&match processes {
        1 => "starting 1 worker process".to_owned(),
        more => format!("starting {more} worker processes"),
    })?;
    let launch = Launch {
        python,
        script: std::path::absolute(&script).map_err(Error::io("find", &script))?,
        python_path: predictor
            .python_path
            .as_ref()
            .map_or_else(|| project.clone(), |path| project.join(Path::new(path))),
        project,
        path: predictor.path.clone(),
        config: predictor.config.clone(),
        env: predictor.env.clone(),
        threads: predictor.threads_per_process.max(1),
        batching: predictor.server_side_batching.is_some(),
        init: limits.init,
    };
    let replacing = Replacing { backoff: limits.backoff, attempts: limits.replacements, close: limits.close };
    let watching = Watching {
        pause: limits.watch,
        request: predictor.request_timeout.map_or(limits.request, |seconds| Duration::from_secs(seconds.into())),
        abandoned: limits.abandoned,
        memory: spec.mem_bytes.map(Memory),
        workers: processes.into(),
    };
    let pool = Pool::start(launch, processes as usize, replacing, watching).await?;
    Ok(match predictor.server_side_batching {
        None => Arc::new(pool),
        Some(batching) => Arc::new(Batching::new(pool, batching, Arc::clone(&metrics.batch))),
    })
}

/// It stays there as long as the replica runs: `multiprocessing` reads it again in the processes it spawns.
fn unpack(directory: &Path) -> Result<PathBuf, Error> {
    let package = directory.join("cortex_worker");
    fs::create_dir_all(&package).map_err(Error::io("make", &package))?;
    for (name, text) in WORKER {
        let file = directory.join(name);
        fs::write(&file, text).map_err(Error::io("write", &file))?;
    }
    Ok(directory.join("worker.py"))
}
