//! An HTTP/1.1 and HTTP/2 server loop, over TLS or not, that can be stopped without dropping a request.
//!
//! HTTP/2 is for those who ask for it in the TLS handshake (ALPN); without TLS there is HTTP/1.1 only. The handshake
//! runs in the connection's own task, so a client that stalls in it holds up nobody else, and a client that says nothing
//! at all loses its connection. No client gets more than its [`Limits`]. To stop: close the listener, tell every connection to finish what it has begun, wait for
//! them up to `drain`, then end the rest.

mod activity;
mod tunnels;

use std::{convert::Infallible, error::Error as StdError, future::Future, sync::Arc, time::Duration};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, UPGRADE},
};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::tunnels::Tunnels;

use self::activity::Activity;
use crate::{
    Listener, Peer, ServerTls, Stream,
    crowd::Crowd,
    open::Open,
    preface::{Io, Preface},
};

/// How often a quiet HTTP/2 connection is asked whether its client is still there.
const PING: Duration = Duration::from_secs(30);

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
    /// an HTTP/1.1 connection may be idle and how slowly headers may come. One of HTTP/2 may be idle for twice as long.
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

/// Serves a connection to its end. Once `enough` is ready it takes no further request. (The types of the two
/// protocols have no trait in common.)
macro_rules! until_finished {
    ($connection:expr, $enough:expr) => {{
        let mut connection = std::pin::pin!($connection);
        tokio::select! {
            outcome = &mut connection => outcome,
            () = $enough => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }};
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
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Self { listener, tls, limits } = self;
        let connections = TaskTracker::new();
        let (finish, end) = (CancellationToken::new(), CancellationToken::new());
        let _end_if_dropped = end.clone().drop_guard();
        let slots = Arc::new(Semaphore::new(limits.connections));
        let crowd = Crowd::new(limits.per_client);
        let mut stop = std::pin::pin!(stop);
        loop {
            let slot = tokio::select! {
                () = &mut stop => break,
                slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: going on at once would only burn the processor.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let Some(place) = crowd.admit(peer) else { continue };
            let (handler, tls, finish) = (handler.clone(), tls.clone(), finish.clone());
            let held = Arc::new((slot, place, Open::one()));
            let tunnels = Tunnels::new(&connections, &end, Arc::clone(&held) as _);
            let connection = async move {
                let _held = held;
                let Some((stream, version)) = secure(stream, tls, &limits).await else { return };
                let stream = TokioIo::new(stream);
                let outcome = match version {
                    Version::Http1 => {
                        let stopping = finish.clone();
                        let service = service_fn(move |mut request: Request<Incoming>| {
                            if request.headers().contains_key(UPGRADE) {
                                request.extensions_mut().insert(tunnels.clone());
                            }
                            let (reply, stopping) = (handler(request, peer), stopping.clone());
                            async move {
                                let mut reply = reply.await;
                                if stopping.is_cancelled() && reply.status() != StatusCode::SWITCHING_PROTOCOLS {
                                    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                                }
                                Ok::<_, Infallible>(reply)
                            }
                        });
                        let connection = http1_builder(&limits).serve_connection(stream, service).with_upgrades();
                        let enough = async {
                            finish.cancelled().await;
                            tokio::time::sleep(limits.farewell).await;
                        };
                        until_finished!(connection, enough)
                    }
                    Version::Http2 => {
                        let activity = Activity::new(limits.abandoned);
                        let watched = activity.clone();
                        let service = service_fn(move |request| {
                            let reply = watched.clone().watch(handler(request, peer));
                            async move { Ok::<_, Infallible>(reply.await) }
                        });
                        let connection = http2_builder(&limits).serve_connection(stream, service);
                        let enough = async {
                            tokio::select! {
                                () = finish.cancelled() => {}
                                () = activity.idle(limits.headers) => {}
                            }
                        };
                        tokio::select! {
                            outcome = async { until_finished!(connection, enough) } => outcome,
                            () = activity.abused() => {
                                tracing::warn!(%peer, "a client takes back what it asks for; its connection is ended");
                                return;
                            }
                        }
                    }
                };
                if let Err(error) = outcome {
                    tracing::debug!(error = &error as &dyn StdError, %peer, "a connection ended in an error");
                }
            };
            connections.spawn(end.clone().run_until_cancelled_owned(connection));
        }
        drop(listener);
        connections.close();
        finish.cancel();
        if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
            tracing::warn!("requests still running after {:?} are ended", limits.drain);
            end.cancel();
            connections.wait().await;
        }
    }
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.headers);
    // The buffer alone would let through what one reading brought beyond it.
    builder.max_buf_size(limits.header_bytes).max_header_size(limits.header_bytes);
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING);
    builder
}

/// What the connection speaks.
enum Version {
    Http1,
    Http2,
}

async fn secure(stream: Stream, tls: Option<ServerTls>, limits: &Limits) -> Option<(Box<dyn Io>, Version)> {
    let Some(tls) = tls else { return Some((Box::new(stream), Version::Http1)) };
    match tokio::time::timeout(limits.handshake, TlsAcceptor::from(tls.config()).accept(stream)).await {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Some((Box::new(Preface::new(stream, limits.handshake)), Version::Http2))
        }
        Ok(Ok(stream)) => Some((Box::new(stream), Version::Http1)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
