//! Keeps the user's server running.

use std::{future::pending, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

use super::{
    child::{Launch, Server},
    probe,
    upstream::{Connections, Place},
};
use crate::error::Error;

/// A server that lived this long did not die of how it was started.
const HEALTHY_LIFE: Duration = Duration::from_secs(10);
/// The longest pause before a replacement, in units of the shortest.
const LONGEST_PAUSE: u32 = 50;
/// Failed looks in a row after which a server counts as hung.
const PATIENCE: u32 = 3;

#[derive(Debug)]
pub(super) struct Watching {
    /// The shortest pause before a replacement.
    pub(super) backoff: Duration,
    /// Attempts in a row to replace the server.
    pub(super) attempts: u32,
    /// How long it may take to end when it is asked to.
    pub(super) close: Duration,
    /// Between two looks at the readiness path.
    pub(super) probe: Duration,
    pub(super) readiness_path: Option<String>,
}

pub(super) struct Supervisor {
    launch: Launch,
    watching: Watching,
    server: Server,
    place: watch::Sender<Place>,
    stopped: watch::Receiver<bool>,
    failure: mpsc::UnboundedSender<Error>,
}

/// Why a server has to be replaced, or that it has not.
enum End {
    Asked,
    Own(String),
}

impl Supervisor {
    /// Starts the first server; if that does not get ready there is nothing to supervise.
    pub(super) async fn start(
        launch: Launch,
        watching: Watching,
        stopped: watch::Receiver<bool>,
        failure: mpsc::UnboundedSender<Error>,
    ) -> Result<(Self, watch::Receiver<Place>), Error> {
        let server = launch.start().await.map_err(|reason| Error::ServerStart { reason })?;
        let (place, seen) = watch::channel(Place::Up(Connections::to(server.port)));
        Ok((Self { launch, watching, server, place, stopped, failure }, seen))
    }

    /// Until it is asked to stop or cannot go on.
    pub(super) async fn run(mut self) {
        let mut pause = Duration::ZERO;
        loop {
            let born = Instant::now();
            let how = match watch(&mut self.server, &self.watching, &mut self.stopped).await {
                End::Asked => return self.server.stop(self.watching.close).await,
                End::Own(how) => how,
            };
            let pid = self.server.pid();
            self.place.send_replace(Place::Starting);
            // What it started may hold the port.
            self.server.kill().await;
            tracing::error!(pid, "the server ended ({how}) and is being replaced");
            if born.elapsed() >= HEALTHY_LIFE {
                pause = Duration::ZERO;
            }
            match self.replace(&mut pause).await {
                Some(Ok(server)) => {
                    tracing::info!(pid = server.pid(), "a new server is ready");
                    self.place.send_replace(Place::Up(Connections::to(server.port)));
                    self.server = server;
                }
                Some(Err(error)) => {
                    self.place.send_replace(Place::Gone);
                    // The receiver is gone only when the replica is.
                    let _ = self.failure.send(error);
                    return;
                }
                None => return,
            }
        }
    }

    /// `None` if it is asked to stop meanwhile.
    async fn replace(&mut self, pause: &mut Duration) -> Option<Result<Server, Error>> {
        let mut failures = 0;
        loop {
            let (launch, backoff) = (&self.launch, self.watching.backoff);
            let attempt = async {
                sleep(*pause).await;
                *pause = (*pause * 2).clamp(backoff, backoff * LONGEST_PAUSE);
                launch.start().await
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                _ = self.stopped.wait_for(|stop| *stop) => return None,
            };
            match outcome {
                Ok(server) => return Some(Ok(server)),
                Err(reason) => {
                    failures += 1;
                    tracing::error!("the server could not be replaced: {reason}");
                    if failures >= self.watching.attempts {
                        return Some(Err(Error::ServerKeepsFailing { failures, reason }));
                    }
                }
            }
        }
    }
}

async fn watch(server: &mut Server, watching: &Watching, stopped: &mut watch::Receiver<bool>) -> End {
    let port = server.port;
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => End::Asked,
        how = server.ended() => End::Own(how),
        how = hung(port, watching) => End::Own(how),
    }
}

/// Resolves when the readiness path has failed too often.
async fn hung(port: u16, watching: &Watching) -> String {
    let Some(path) = &watching.readiness_path else { return pending().await };
    let mut looks = interval_at(Instant::now() + watching.probe, watching.probe);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    while failures < PATIENCE {
        looks.tick().await;
        failures = if probe::is_ready(port, Some(path)).await { 0 } else { failures + 1 };
    }
    format!("`{path}` failed {PATIENCE} times in a row")
}
