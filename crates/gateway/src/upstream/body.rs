//! Bodies on their way through: nothing is kept, each frame is passed on when the other side wants it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Connection, InFlight};

const FLOWING: u8 = 0;
const WAITING: u8 = 1;
const COMPLETE: u8 = 2;
const BROKEN: u8 = 3;

/// How far a request's body has come, for those who do not hold it.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// Milliseconds after `begun`.
    last: AtomicU64,
    bytes: AtomicU64,
    stage: AtomicU8,
}

impl Progress {
    fn new(complete: bool) -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stage: AtomicU8::new(if complete { COMPLETE } else { FLOWING }),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the last piece was passed on, or the request began.
    pub(crate) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// All of the body has been passed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == COMPLETE
    }

    /// The replica would take more, and the client does not send it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == WAITING
    }

    /// The client's side failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == BROKEN
    }

    fn set(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }
}

/// What a replica gets as the client's body; `None` is an empty one.
#[derive(Debug)]
pub(crate) struct RequestBody {
    inner: Option<Source>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
enum Source {
    Client(Incoming),
    /// Another one was read in its place.
    Whole(Bytes),
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming) -> Self {
        let empty = inner.is_end_stream();
        let inner = (!empty).then_some(Source::Client(inner));
        Self { inner, progress: Arc::new(Progress::new(empty)) }
    }

    /// An empty body that tells of itself by the `progress` of another empty one.
    pub(crate) fn empty(progress: &Arc<Progress>) -> Self {
        Self { inner: None, progress: Arc::clone(progress) }
    }

    /// Bytes that stand for the body that `progress` is of, which was read to its end.
    pub(crate) fn whole(bytes: Bytes, progress: &Arc<Progress>) -> Self {
        Self { inner: Some(Source::Whole(bytes)), progress: Arc::clone(progress) }
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { inner, progress } = &mut *self;
        let body = match inner {
            None => return Poll::Ready(None),
            Some(Source::Whole(bytes)) => {
                let bytes = std::mem::take(bytes);
                *inner = None;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Some(Source::Client(body)) => body,
        };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            progress.set(WAITING);
            return Poll::Pending;
        };
        progress.touch();
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                progress.bytes.fetch_add(length as u64, Ordering::Relaxed);
                progress.set(if body.is_end_stream() { COMPLETE } else { FLOWING });
            }
            Some(Err(_)) => progress.set(BROKEN),
            None => progress.set(COMPLETE),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            None => true,
            Some(Source::Client(body)) => body.is_end_stream(),
            Some(Source::Whole(_)) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            None => SizeHint::with_exact(0),
            Some(Source::Client(body)) => body.size_hint(),
            Some(Source::Whole(bytes)) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// The replica's body, and the connection it comes from, which goes back to its replica when both bodies have ended and
/// is closed in every other case.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    inner: Incoming,
    exchange: Option<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    connection: Connection,
    replica: InFlight,
    request: Arc<Progress>,
}

impl ReplyBody {
    pub(crate) fn wrap(
        response: Response<Incoming>,
        connection: Connection,
        replica: InFlight,
        request: Arc<Progress>,
    ) -> Response<Self> {
        response.map(|inner| {
            let mut body = Self { inner, exchange: Some(Exchange { connection, replica, request }) };
            if body.inner.is_end_stream() {
                body.end();
            }
            body
        })
    }

    /// The response is complete.
    fn end(&mut self) {
        let Some(Exchange { connection, replica, request }) = self.exchange.take() else { return };
        // The rest of an unfinished request would stand before the next one.
        if request.is_complete() {
            replica.upstream().give_back(connection, Instant::now());
        }
    }

    /// The body's next frame; drives the connection as far as that takes.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.inner).poll_frame(cx) {
            return ready;
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.connection.drive(cx);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(self.poll_inner(cx));
        match &frame {
            Some(Ok(_)) if !self.inner.is_end_stream() => {}
            Some(Ok(_)) | None => self.end(),
            Some(Err(_)) => self.exchange = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
