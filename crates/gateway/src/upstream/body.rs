//! Bodies on their way through: nothing is kept, each frame is passed on when the other side wants it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
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
use transport::Incoming;

use super::{Connection, InFlight};
use crate::gate::Place;

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

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// When the last piece came, or the request began.
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

    /// So many bytes came from the client.
    pub(crate) fn passed(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }

    pub(crate) fn touch(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }
}

/// What is read of a body before a replica wants it.
const AHEAD: usize = 64 * 1024;
/// A frame takes memory, too, and there is one for each chunk.
const AHEAD_FRAMES: usize = 64;

/// The client's body.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// Read already, and how many bytes that is.
    ahead: VecDeque<Frame<Bytes>>,
    ahead_bytes: usize,
    /// The rest; `None` is an empty one.
    inner: Option<Incoming>,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming) -> Self {
        let empty = inner.is_end_stream();
        let progress = Arc::new(Progress::new(empty));
        Self { ahead: VecDeque::new(), ahead_bytes: 0, inner: Some(inner).filter(|_| !empty), progress }
    }

    pub(crate) fn none() -> Self {
        Self::empty(&Arc::new(Progress::new(true)))
    }

    /// An empty body that tells of itself by the `progress` of another empty one.
    pub(crate) fn empty(progress: &Arc<Progress>) -> Self {
        Self { ahead: VecDeque::new(), ahead_bytes: 0, inner: None, progress: Arc::clone(progress) }
    }

    /// Bytes that stand for the body that `progress` is of, which was read to its end.
    pub(crate) fn whole(bytes: Bytes, progress: &Arc<Progress>) -> Self {
        let ahead_bytes = bytes.len();
        Self { ahead: VecDeque::from([Frame::data(bytes)]), ahead_bytes, inner: None, progress: Arc::clone(progress) }
    }

    /// A piece that was taken and did not get anywhere is the first again.
    pub(super) fn put_back(&mut self, piece: Bytes) {
        self.ahead_bytes += piece.len();
        self.ahead.push_front(Frame::data(piece));
        self.progress.set(FLOWING);
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Reads the beginning, or all, of the body, for whoever takes it later. Ready only if the client's side fails.
    pub(crate) async fn read_ahead(&mut self) {
        poll_fn(|cx| {
            while let Some(inner) = &mut self.inner
                && self.ahead_bytes < AHEAD
                && self.ahead.len() < AHEAD_FRAMES
            {
                match ready!(Pin::new(inner).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        self.progress.passed(length(&frame));
                        self.ahead_bytes += length(&frame);
                        self.ahead.push_back(frame);
                    }
                    Some(Err(_)) => return Poll::Ready(()),
                    None => self.inner = None,
                }
            }
            Poll::Pending
        })
        .await;
    }
}

fn length(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(frame) = self.ahead.pop_front() {
            self.ahead_bytes -= length(&frame);
            self.progress.set(if self.is_end_stream() { COMPLETE } else { FLOWING });
            return Poll::Ready(Some(Ok(frame)));
        }
        let Self { inner, progress, .. } = &mut *self;
        let Some(body) = inner else {
            progress.set(COMPLETE);
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            progress.set(WAITING);
            return Poll::Pending;
        };
        match &frame {
            Some(Ok(frame)) => {
                progress.passed(length(frame));
                progress.set(if body.is_end_stream() { COMPLETE } else { FLOWING });
            }
            Some(Err(_)) => progress.set(BROKEN),
            None => progress.set(COMPLETE),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead_bytes as u64;
        let rest = self.inner.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint);
        let mut all = SizeHint::new();
        all.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            all.set_upper(ahead + upper);
        }
        all
    }
}

/// The replica's body, and the connection it comes from, which goes back to its replica when both bodies have ended and
/// is closed in every other case.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    /// `None` once the body has ended.
    exchange: Option<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    connection: Connection,
    replica: InFlight,
    request: Arc<Progress>,
    _place: Place,
}

impl ReplyBody {
    pub(crate) fn wrap(
        response: Response<()>,
        connection: Connection,
        replica: InFlight,
        request: Arc<Progress>,
        place: Place,
    ) -> Response<Self> {
        response.map(|()| {
            let mut body = Self { exchange: Some(Exchange { connection, replica, request, _place: place }) };
            if body.is_end_stream() {
                body.end();
            }
            body
        })
    }

    /// The response is complete.
    fn end(&mut self) {
        let Some(Exchange { connection, replica, request, _place }) = self.exchange.take() else { return };
        // The rest of an unfinished request would stand before the next one.
        if request.is_complete() {
            replica.upstream().give_back(connection, Instant::now());
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
        let frame = ready!(exchange.connection.poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !exchange.connection.is_end_stream() => {}
            Some(Ok(_)) | None => self.end(),
            Some(Err(_)) => self.exchange = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.as_ref().is_none_or(|exchange| exchange.connection.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.exchange.as_ref().map_or(SizeHint::with_exact(0), |exchange| exchange.connection.size_hint())
    }
}
