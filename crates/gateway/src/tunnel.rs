//! After a switch of protocols (101): bytes both ways, whatever they mean, until both sides have ended.
//!
//! An end from one side is passed on to the other, which may go on sending. A tunnel is a request in flight for as long as
//! it is open: in the API's limits, in the replica's load, in the counters, and for a server that stops.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional},
    time::sleep_until,
};
use transport::{Stream, Tunnels, Upgraded};

use crate::{
    gate::Place,
    headers,
    phase::record::Record,
    upstream::{InFlight, Progress, RequestBody},
};

/// A client that asks for another protocol.
pub(crate) struct Switch {
    pub(crate) protocols: HeaderValue,
    tunnels: Tunnels,
    progress: Arc<Progress>,
}

/// A replica that has switched.
pub(crate) struct ReplicaEnd {
    pub(crate) stream: Stream,
    /// What it has said since.
    pub(crate) early: Bytes,
    pub(crate) in_flight: InFlight,
    pub(crate) place: Place,
}

impl Switch {
    /// A request with a body asks in vain: it could be sent in one protocol and answered in another.
    pub(crate) fn asked(request: &mut Request<RequestBody>) -> Option<Self> {
        let protocols = headers::upgrade(request)?;
        let tunnels = request.extensions_mut().remove()?;
        let progress = Arc::clone(request.body().progress());
        progress.is_complete().then_some(Self { protocols, tunnels, progress })
    }

    /// Begins as soon as the client has its 101, and runs to the end by itself. `idle`: how long it may be quiet.
    pub(crate) fn run(self, replica: ReplicaEnd, record: Record, idle: Duration) {
        let Self { tunnels, progress, .. } = self;
        tunnels.run(move |client| async move {
            let ReplicaEnd { stream, early, in_flight: _in_flight, place: _place } = replica;
            let client = ClientEnd { io: client, record, progress };
            if let Err(error) = client.join(stream, &early, idle).await {
                tracing::debug!(%error, "a tunnel broke");
            }
        });
    }
}

/// The client's side, where all bytes are counted.
struct ClientEnd {
    io: Upgraded,
    record: Record,
    progress: Arc<Progress>,
}

impl ClientEnd {
    async fn join(mut self, mut replica: Stream, early: &[u8], idle: Duration) -> io::Result<()> {
        let progress = Arc::clone(&self.progress);
        let mut bytes = pin!(async {
            self.write_all(early).await?;
            self.flush().await?;
            copy_bidirectional(&mut self, &mut replica).await
        });
        loop {
            let late = progress.last() + idle;
            tokio::select! {
                outcome = &mut bytes => return outcome.map(drop),
                () = sleep_until(late.into()) => {
                    if progress.last() + idle <= late {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
        }
    }
}

impl AsyncRead for ClientEnd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.progress.passed(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.record.sent(length);
        self.progress.touch();
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
