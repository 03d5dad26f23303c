//! A Python predictor: a class in the project, run by worker processes.
//!
//! The replica speaks HTTP and hands each request over a private socket to a process that runs `worker.py`, which needs
//! nothing but the standard library: what the predictor imports comes from its own virtual environment and cannot
//! clash with ours.

mod failure;
mod frame;
mod pool;
mod venv;
mod worker;

use std::{fs, path::Path};

use api::replica::ReplicaSpec;

pub use failure::StartFailure;
use pool::{Pool, Replacing};
use worker::Launch;

use crate::{error::Error, predictor::Predictor, run::Limits, status::StatusFile};

/// What a worker process runs.
const WORKER: &str = include_str!("python/worker.py");

/// Makes the environment and starts the workers.
pub(crate) async fn load(
    spec: &ReplicaSpec,
    limits: &Limits,
    status: &StatusFile,
) -> Result<impl Predictor + use<>, Error> {
    let project = std::path::absolute(&spec.project).map_err(Error::io("find", &spec.project))?;
    let predictor = &spec.predictor;
    let python = venv::ensure(spec, &project, limits.install, status).await?;
    // It stays there as long as the replica runs: `multiprocessing` reads it again in the processes it spawns.
    let script = status.beside("worker.py");
    fs::write(&script, WORKER).map_err(Error::io("write", &script))?;
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
        init: limits.init,
    };
    let replacing = Replacing { backoff: limits.backoff, attempts: limits.replacements, close: limits.close };
    Ok(Pool::start(launch, processes as usize, replacing).await?)
}
