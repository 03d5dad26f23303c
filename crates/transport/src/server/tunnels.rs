//! What goes on on an HTTP/1.1 connection after its protocol was switched (RFC 9110, 7.8).

use std::{
    any::Any,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{http1::Switched, preface::Io};

/// Carried by the extensions of a request that asks for another protocol.
///
/// A tunnel is the server's as the connection was: it holds the same places, a stopping server waits for it, and ends it
/// when the drain limit is reached.
#[derive(Clone)]
pub struct Tunnels {
    tasks: TaskTracker,
    end: CancellationToken,
    held: Arc<dyn Any + Send + Sync>,
    /// Will be the connection.
    client: Arc<Mutex<Option<oneshot::Receiver<Upgraded>>>>,
}

/// Nobody waits for these, or ends them.
impl Default for Tunnels {
    fn default() -> Self {
        Self::new(&TaskTracker::new(), &CancellationToken::new(), Arc::new(()))
    }
}

impl Tunnels {
    /// `held`: the connection's places.
    pub(super) fn new(tasks: &TaskTracker, end: &CancellationToken, held: Arc<dyn Any + Send + Sync>) -> Self {
        Self { tasks: tasks.clone(), end: end.clone(), held, client: Arc::default() }
    }

    /// For one request. The connection is to be sent there if it is switched.
    pub(super) fn one(&self) -> (Self, oneshot::Sender<Upgraded>) {
        let (sender, client) = oneshot::channel();
        (Self { client: Arc::new(Mutex::new(Some(client))), ..self.clone() }, sender)
    }

    /// Runs the tunnel to its end, as soon as the client has its 101. The first call counts.
    pub fn run<F>(&self, tunnel: impl FnOnce(Upgraded) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let held = Arc::clone(&self.held);
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tunnel = async move {
            let _held = held;
            let Some(client) = client else { return };
            if let Ok(client) = client.await {
                tunnel(client).await;
            }
        };
        let end = self.end.clone();
        self.tasks.spawn(async move {
            end.run_until_cancelled_owned(tunnel).await;
        });
    }
}

/// A connection whose client speaks another protocol from now on.
pub struct Upgraded {
    /// What it has said already.
    early: Bytes,
    io: Box<dyn Io>,
}

impl Upgraded {
    pub(super) fn new<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(switched: Switched<S>) -> Self {
        Self { early: switched.early, io: Box::new(switched.io) }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = buf.remaining().min(self.early.len());
        buf.put_slice(&self.early[..length]);
        self.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
