//! An HTTP/1.1 and HTTP/2 server loop, over TLS or not, that can be stopped without dropping a request.
//!
//! HTTP/2 is for those who ask for it in the TLS handshake (ALPN); without TLS there is HTTP/1.1 only. The handshake
//! runs in the connection's own task, so a client that stalls in it holds up nobody else, and a client that says nothing
//! at all loses its connection. No client gets more than its [`Limits`]. To stop: close the listener, tell every connection to finish what it has begun, wait for
//! them up to `drain`, then end the rest.

mod activity;
mod connection;
mod stop;
mod tunnels;

use std::{error::Error as StdError, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    connection::serve_connection,
    tunnels::{Tunnels, Upgraded},
};

use self::{connection::Connection, stop::Stopping};
use crate::{Incoming, Listener, Peer, ServerTls, crowd::Crowd, open::Open};

/// What one client may take of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections, all clients together; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Open connections of one client: an IPv4 address, or 64 bits of an IPv6 address. Further ones are closed at once. A
    /// load balancer that hides its clients' addresses is one client.
    pub per_client: usize,
    /// From accept to the end of the TLS handshake, and from there to the preface of an HTTP/2 connection.
    pub handshake: Duration,
    /// From the end of one request, or of the handshake, to the end of the next request's headers: bounds both how long
    /// an HTTP/1.1 connection may be idle and how slowly headers may come, and how long its client may take nothing of a
    /// reply. One of HTTP/2 may be idle for twice as long.
    pub headers: Duration,
    /// Bytes of the request line and headers together.
    pub header_bytes: usize,
    /// Requests of one HTTP/2 connection at a time.
    pub streams: u32,
    /// Requests that one HTTP/2 connection may take back, more than it has waited for, before it is ended.
    pub abandoned: u32,
    /// How long a stopping server keeps HTTP/1.1 connections on which nothing happens: a client may be writing its next
    /// request at the very moment, which would be lost. Who sends one in that time is answered, with `connection:
    /// close`. HTTP/2 needs no such time: a client is told which of its requests were taken.
    pub farewell: Duration,
    /// How long a stopping server waits for the requests it has begun.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_client: 2_500,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(75),
            header_bytes: 64 * 1024,
            streams: 256,
            abandoned: 1_000,
            farewell: Duration::from_secs(1),
            drain: Duration::from_secs(30),
        }
    }
}

/// A bound server.
pub struct Server {
    pub listener: Listener,
    /// `None` serves plain HTTP: for a socket file or the loopback interface only.
    pub tls: Option<ServerTls>,
    pub limits: Limits,
}

impl Server {
    /// Serves until `stop` is ready, then drains.
    pub async fn run<F, Fut, B>(self, handler: F, stop: impl Future<Output = ()>)
    where
        F: Fn(Request<Incoming>, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Self { listener, tls, limits } = self;
        let mut connections = JoinSet::new();
        let (tunnels, end) = (TaskTracker::new(), CancellationToken::new());
        let _end_if_dropped = end.clone().drop_guard();
        let stopping = Stopping::default();
        let slots = Arc::new(Semaphore::new(limits.connections));
        let crowd = Crowd::new(limits.per_client);
        let mut stop = std::pin::pin!(stop);
        loop {
            let slot = tokio::select! {
                () = &mut stop => break,
                slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let accepted = loop {
                tokio::select! {
                    () = &mut stop => break None,
                    accepted = listener.accept() => break Some(accepted),
                    Some(_) = connections.join_next() => {}
                }
            };
            let Some(accepted) = accepted else { break };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: going on at once would only burn the processor.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(place) = crowd.admit(peer) else { continue };
            let held = Arc::new((slot, place, Open::one()));
            let tunnels = Tunnels::new(&tunnels, &end, Arc::clone(&held) as _);
            let connection = Connection { peer, limits, stopping: stopping.clone(), tunnels };
            let (tls, handler) = (tls.clone(), handler.clone());
            connections.spawn(async move {
                connection.serve(stream, tls, handler).await;
                drop(held);
            });
        }
        drop(listener);
        tunnels.close();
        stopping.begin();
        let rest = async {
            while connections.join_next().await.is_some() {}
            tunnels.wait().await;
        };
        if tokio::time::timeout(limits.drain, rest).await.is_err() {
            tracing::warn!("requests still running after {:?} are ended", limits.drain);
            end.cancel();
            connections.shutdown().await;
            tunnels.wait().await;
        }
    }
}
