//! A deadline for the first bytes of an HTTP/2 connection.
//!
//! hyper has one for the headers of an HTTP/1.1 request, and pings an HTTP/2 connection that has begun, but would wait
//! for ever for one to begin.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// Length of the client's connection preface (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// Any kind of connection, as the HTTP layer sees it.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Reading fails if the preface is not there in time.
pub(crate) struct Preface<T> {
    io: T,
    missing: usize,
    /// `None` once the preface was read.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> Preface<T> {
    pub(crate) fn new(io: T, limit: Duration) -> Self {
        Self { io, missing: PREFACE, deadline: Some(Box::pin(tokio::time::sleep(limit))) }
    }
}

impl<T: Io> AsyncRead for Preface<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, missing, deadline } = self.get_mut();
        let Some(late) = deadline else { return Pin::new(io).poll_read(cx, buf) };
        let before = buf.filled().len();
        match Pin::new(io).poll_read(cx, buf) {
            Poll::Ready(outcome) => {
                *missing = missing.saturating_sub(buf.filled().len() - before);
                if *missing == 0 {
                    *deadline = None;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => late.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<T: Io> AsyncWrite for Preface<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
