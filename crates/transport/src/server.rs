//! An HTTP/1.1 and HTTP/2 server loop, over TLS or not, that can be stopped without dropping a request.
//!
//! A TLS handshake runs in the connection's own task, so a client that stalls in it holds up nobody else. To stop: close
//! the listener, tell every connection to finish what it has begun, wait for them up to `drain`, then end the rest.

use std::{convert::Infallible, error::Error as StdError, future::Future, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

use crate::{Listener, Peer, ServerTls, Stream};

/// What one client may take of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections, all clients together; further ones wait in the kernel's queue.
    pub connections: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its headers.
    pub headers: Duration,
    /// Bytes of the request line and headers together.
    pub header_bytes: usize,
    /// Requests of one HTTP/2 connection at a time.
    pub streams: u32,
    /// How long a stopping server waits for the requests it has begun.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(15),
            header_bytes: 64 * 1024,
            streams: 256,
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
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Self { listener, tls, limits } = self;
        let connections = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(limits.connections));
        let builder = builder(&limits);
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
            let (builder, handler, tls, watcher) = (builder.clone(), handler.clone(), tls.clone(), connections.watcher());
            tokio::spawn(async move {
                let _slot = slot;
                let Some(stream) = secure(stream, tls, limits.handshake).await else { return };
                let service = service_fn(move |request| {
                    let reply = handler(request, peer);
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(error = &*error, %peer, "a connection ended in an error");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(limits.drain, connections.shutdown()).await.is_err() {
            tracing::warn!("requests still running after {:?} were ended", limits.drain);
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

/// Either kind of connection, as the HTTP layer sees it.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

async fn secure(stream: Stream, tls: Option<ServerTls>, limit: Duration) -> Option<Box<dyn Io>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match tokio::time::timeout(limit, TlsAcceptor::from(tls.config()).accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
