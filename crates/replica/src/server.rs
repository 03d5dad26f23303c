//! HTTP/1.1 in front of the predictor, and the rule by which it ends.
//!
//! **Drain.** When a replica is told to stop, gateways may not know yet, and a gateway may at this very moment be
//! writing a request into a connection that looks idle from here. So the replica goes on accepting and answering; each
//! answer says `connection: close`, and connections are closed by the other side or after an answer, never by the
//! replica on its own. It ends when there has been no connection for a grace period, or at the drain timeout, and only
//! then are connections cut. This is why an update loses no request; it relies on gateways closing the idle
//! connections of a replica that left the routes.
//!
//! There is no TLS and no read timeout here: only gateways can reach this socket.

mod about;
mod admission;
mod answer;
mod body;
mod refusal;

pub(crate) use answer::Service;

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use api::replica::Phase;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use transport::{Listener, Stream, serve_connection};

use crate::{error::Error, status::StatusFile};

/// Pause after an `accept` that failed for want of resources (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` or until the predictor fails, then drains.
pub(crate) async fn serve(
    listener: Listener,
    service: Arc<Service>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    status: &StatusFile,
    grace: Duration,
    drain_timeout: Duration,
) -> Result<(), Error> {
    let mut connections = JoinSet::new();
    let failure = loop {
        tokio::select! {
            biased;
            () = &mut stop => break None,
            error = service.predictor().failed() => break Some(error),
            stream = accept(&listener) => { connections.spawn(connection(stream, Arc::clone(&service))); }
            Some(_) = connections.join_next() => {}
        }
    };
    service.start_draining();
    match failure {
        None => {
            if let Err(error) = status.write(Phase::Draining, "answering the last requests") {
                tracing::error!("{}", error.one_line());
            }
            drain(&listener, &service, connections, grace, drain_timeout).await;
            Ok(())
        }
        Some(error) => {
            // Some workers may live: what reaches them before the gateways know is still answered.
            if service.predictor().alive() && status.write(Phase::Failed, &error.one_line()).is_ok() {
                drain(&listener, &service, connections, grace, drain_timeout).await;
            }
            Err(error)
        }
    }
}

async fn drain(
    listener: &Listener,
    service: &Arc<Service>,
    mut connections: JoinSet<()>,
    grace: Duration,
    timeout: Duration,
) {
    let deadline = Instant::now() + timeout;
    let mut quiet = Instant::now() + grace;
    tracing::info!(connections = connections.len(), "draining");
    loop {
        tokio::select! {
            biased;
            stream = accept(listener) => { connections.spawn(connection(stream, Arc::clone(service))); }
            Some(_) = connections.join_next() => quiet = Instant::now() + grace,
            () = sleep_until(quiet), if connections.is_empty() => {
                tracing::info!("drained");
                return;
            }
            () = sleep_until(deadline) => {
                tracing::warn!(connections = connections.len(), "drain timeout: cutting the remaining connections");
                return;
            }
        }
    }
}

/// The next connection; waits out errors, which are never about the listener itself. Safe to drop and call again.
async fn accept(listener: &Listener) -> Stream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: Stream, service: Arc<Service>) {
    let (open, mut closed) = mpsc::channel::<Infallible>(1);
    let answer = move |request| {
        let (service, open) = (Arc::clone(&service), open.clone());
        async move { service.answer(request, open).await }
    };
    if let Err(error) = serve_connection(stream, answer).await {
        tracing::debug!("connection: {error}");
    }
    // A connection that has become something else than HTTP is open as long as somebody holds the other end.
    closed.recv().await;
}
