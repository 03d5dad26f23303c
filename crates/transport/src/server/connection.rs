//! One connection of a server: its handshake, and the protocol that was agreed on.

use std::{convert::Infallible, error::Error as StdError, future::Future, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header::UPGRADE};
use http_body::Body;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Limits, Tunnels, Upgraded, activity::Activity, stop::Stopping};
use crate::{Incoming, Peer, ServerTls, Stream, http1, preface::Preface};

/// How often a quiet HTTP/2 connection is asked whether its client is still there.
const PING: Duration = Duration::from_secs(30);

/// Bytes of a head from whom nothing bad is expected: more than anybody else may have in front of them.
const TRUSTED_HEAD: usize = 256 * 1024;

pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) limits: Limits,
    pub(super) stopping: Stopping,
    pub(super) tunnels: Tunnels,
}

impl Connection {
    pub(super) async fn serve<F, Fut, B>(self, stream: Stream, tls: Option<ServerTls>, handler: F)
    where
        F: Fn(Request<Incoming>, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let peer = self.peer;
        let outcome = match tls {
            None => self.http1(stream, handler).await,
            Some(tls) => match self.handshake(stream, &tls).await {
                Some(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream, handler).await,
                Some(stream) => self.http1(stream, handler).await,
                None => return,
            },
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, %peer, "a connection ended in an error");
        }
    }

    async fn handshake(&self, stream: Stream, tls: &ServerTls) -> Option<TlsStream<Stream>> {
        match tokio::time::timeout(self.limits.handshake, TlsAcceptor::from(tls.config()).accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn http1<S, F, Fut, B>(self, stream: S, handler: F) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Fn(Request<Incoming>, Peer) -> Fut,
        Fut: Future<Output = Response<B>>,
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Self { peer, limits, stopping, tunnels } = self;
        let mut switch = None;
        let handler = |request| handler(may_switch(request, &tunnels, &mut switch), peer);
        let stop = stopping.farewell(limits.farewell);
        let switched = http1::serve(stream, limits.header_bytes, Some(limits.headers), stop, handler).await?;
        hand_over(switched, switch);
        Ok(())
    }

    async fn http2<F, Fut, B>(self, stream: TlsStream<Stream>, handler: F) -> io::Result<()>
    where
        F: Fn(Request<Incoming>, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let Self { peer, limits, stopping, .. } = self;
        let activity = Activity::new(limits.abandoned);
        let watched = activity.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let reply = watched.clone().watch(handler(request.map(Incoming::http2), peer));
            async move { Ok::<_, Infallible>(reply.await) }
        });
        let stream = TokioIo::new(Preface::new(stream, limits.handshake));
        let mut connection = std::pin::pin!(builder(&limits).serve_connection(stream, service));
        let mut finishing = false;
        loop {
            let enough = async {
                tokio::select! {
                    () = stopping.begun() => {}
                    () = activity.idle(limits.headers) => {}
                }
            };
            tokio::select! {
                outcome = &mut connection => return outcome.map_err(io::Error::other),
                () = enough, if !finishing => {
                    connection.as_mut().graceful_shutdown();
                    finishing = true;
                }
                () = activity.abused() => {
                    tracing::warn!(%peer, "a client takes back what it asks for; its connection is ended");
                    return Ok(());
                }
            }
        }
    }
}

/// Serves HTTP/1.1 on one connection, to whoever is trusted with having it as long as they like.
///
/// # Errors
///
/// The connection broke, or what came is no request.
pub async fn serve_connection<S, F, Fut, B>(stream: S, handler: F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (tunnels, mut switch) = (Tunnels::default(), None);
    let handler = |request| handler(may_switch(request, &tunnels, &mut switch));
    let switched = http1::serve(stream, TRUSTED_HEAD, None, http1::Never, handler).await?;
    hand_over(switched, switch);
    Ok(())
}

/// Marks a request that asks for another protocol.
fn may_switch(
    mut request: Request<Incoming>,
    tunnels: &Tunnels,
    switch: &mut Option<oneshot::Sender<Upgraded>>,
) -> Request<Incoming> {
    if request.headers().contains_key(UPGRADE) {
        let (tunnels, sender) = tunnels.one();
        request.extensions_mut().insert(tunnels);
        *switch = Some(sender);
    }
    request
}

fn hand_over<S>(switched: Option<http1::Switched<S>>, switch: Option<oneshot::Sender<Upgraded>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let (Some(switched), Some(switch)) = (switched, switch) {
        // If nobody is there to take it, it ends.
        let _ = switch.send(Upgraded::new(switched));
    }
}

fn builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING);
    builder
}
