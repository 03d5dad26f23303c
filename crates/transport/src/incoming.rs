//! The body of a request, whatever it came by.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;

use crate::http1::Streamed;

/// Ends with an error if the client, or the connection, does not let it end as it said.
#[derive(Debug)]
pub struct Incoming(Kind);

#[derive(Debug)]
enum Kind {
    /// It was there with the head.
    Whole(Bytes),
    Streamed(Streamed),
    Http2(hyper::body::Incoming),
}

impl Incoming {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(crate) fn streamed(body: Streamed) -> Self {
        Self(Kind::Streamed(body))
    }

    pub(crate) fn http2(body: hyper::body::Incoming) -> Self {
        Self(Kind::Http2(body))
    }
}

/// What of a body nobody wanted is still read, and for how long: a stream of HTTP/2 that is answered before its request has ended has
/// to be reset, and there are clients that take the reset for the answer.
const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_millis(500));

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Kind::Http2(body) = &self.0
            && !body.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
            && let Kind::Http2(body) = std::mem::replace(&mut self.0, Kind::Whole(Bytes::new()))
        {
            runtime.spawn(async move {
                // Late or not, it is over.
                let _ = tokio::time::timeout(LINGER.1, drain(body)).await;
            });
        }
    }
}

async fn drain(mut body: hyper::body::Incoming) {
    let mut left = LINGER.0;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Streamed(body) => body.poll_frame(cx),
            Kind::Http2(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Streamed(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(body) => body.size_hint(),
            Kind::Http2(body) => body.size_hint(),
        }
    }
}
