//! `container`: a server of the user's own, which the replica starts, watches, and passes every request on to.
//!
//! It is told the port to listen at, in `PORT` and wherever its command says so. On a machine with other replicas that is
//! a free one, chosen for each start; where the replica has a network of its own (it listens at a TCP address), it is the
//! one that `cortex.yaml` names. The server is ready when its readiness path answers, or without one when it takes
//! connections; a server that ends, or whose readiness path fails three times in a row, is replaced by the rule that
//! worker processes are replaced by. Requests that come meanwhile wait.

mod child;
mod probe;
mod supervise;
mod upstream;

use std::path::PathBuf;

use api::replica::ReplicaSpec;
use serde_json::{Map, Value, json};
use spec::realtime::Container;
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
};
use transport::Address;

use child::Launch;
use supervise::{Supervisor, Watching};
pub(crate) use upstream::{Lease, Upstream};

use crate::{
    error::Error,
    exchange::{Reply, Request},
    predictor::{PredictError, Predictor},
    run::Limits,
    status::StatusFile,
};

/// The user's server, seen from the side of the requests.
struct OwnServer {
    upstream: Upstream,
    concurrency: usize,
    failures: Mutex<mpsc::UnboundedReceiver<Error>>,
    stop: watch::Sender<bool>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

/// Starts the server and waits until it is ready.
pub(crate) async fn load(
    container: &Container,
    spec: &ReplicaSpec,
    limits: &Limits,
    status: &StatusFile,
) -> Result<impl Predictor + use<>, Error> {
    let project = std::path::absolute(&spec.project).map_err(Error::io("find", &spec.project))?;
    status.starting(&format!("starting {}", container.command.join(" ")))?;
    let launch = launch(container, project, &spec.listen, limits);
    let watching = Watching {
        backoff: limits.backoff,
        attempts: limits.replacements,
        close: limits.close,
        probe: limits.probe,
        readiness_path: container.readiness_path.clone(),
    };
    let (stop, stopped) = watch::channel(false);
    let (failure, failures) = mpsc::unbounded_channel();
    let (supervisor, place) = Supervisor::start(launch, watching, stopped, failure).await?;
    Ok(OwnServer {
        upstream: Upstream::new(place),
        concurrency: container.max_concurrency as usize,
        failures: Mutex::new(failures),
        stop,
        supervisor: Mutex::new(Some(tokio::spawn(supervisor.run()))),
    })
}

fn launch(container: &Container, project: PathBuf, listen: &Address, limits: &Limits) -> Launch {
    let port = match listen {
        Address::Tcp(_) => Some(container.port),
        Address::Unix(_) => None,
    };
    Launch {
        command: container.command.clone(),
        env: container.env.clone(),
        project,
        port,
        readiness_path: container.readiness_path.clone(),
        init: limits.init,
    }
}

#[async_trait::async_trait]
impl Predictor for OwnServer {
    /// What is passed on never comes here.
    async fn predict(&self, _: Request) -> Result<Reply, PredictError> {
        Err(PredictError::Died)
    }

    fn upstream(&self) -> Option<&Upstream> {
        Some(&self.upstream)
    }

    fn concurrency(&self) -> Option<usize> {
        Some(self.concurrency)
    }

    fn describe(&self) -> Map<String, Value> {
        Map::from_iter([("max_concurrency".to_owned(), json!(self.concurrency))])
    }

    fn alive(&self) -> bool {
        self.upstream.is_up()
    }

    async fn failed(&self) -> Error {
        match self.failures.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn close(&self) {
        // The supervisor is gone only if it has given up, and its server with it.
        let _ = self.stop.send(true);
        if let Some(supervisor) = self.supervisor.lock().await.take() {
            let _ = supervisor.await;
        }
    }
}
