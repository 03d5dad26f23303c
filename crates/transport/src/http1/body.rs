//! The body of a request whose connection reads it piece by piece, when somebody wants the next.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// One piece between a connection and whoever reads the body.
#[derive(Debug, Default)]
struct Slot {
    frame: Option<Frame<Bytes>>,
    /// How it ended, behind the frame.
    end: Option<io::Result<()>>,
    /// Nobody reads it any more.
    gone: bool,
    wanted: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

type Shared = Arc<Mutex<Slot>>;

/// The connection's end.
#[derive(Debug)]
pub(super) struct Feeder(Shared);

/// The other end.
#[derive(Debug)]
pub(crate) struct Streamed {
    shared: Shared,
    left: SizeHint,
    over: bool,
}

pub(super) fn streamed(size: SizeHint) -> (Feeder, Streamed) {
    let shared = Shared::default();
    (Feeder(Arc::clone(&shared)), Streamed { shared, left: size, over: false })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// The next piece is waited for.
    Wanted,
    /// Not now; the task is woken when it is.
    Later,
    Gone,
}

impl Feeder {
    pub(super) fn demand(&self, cx: &mut Context<'_>) -> Demand {
        let mut slot = lock(&self.0);
        if slot.gone {
            return Demand::Gone;
        }
        if slot.wanted && slot.frame.is_none() {
            return Demand::Wanted;
        }
        if !slot.feeder.as_ref().is_some_and(|feeder| feeder.will_wake(cx.waker())) {
            slot.feeder = Some(cx.waker().clone());
        }
        Demand::Later
    }

    pub(super) fn is_gone(&self) -> bool {
        lock(&self.0).gone
    }

    /// `last`: nothing comes after it.
    pub(super) fn push(&self, frame: Frame<Bytes>, last: bool) {
        self.give(Some(frame), last.then_some(Ok(())));
    }

    pub(super) fn end(&self, end: io::Result<()>) {
        self.give(None, Some(end));
    }

    fn give(&self, frame: Option<Frame<Bytes>>, end: Option<io::Result<()>>) {
        let reader = {
            let mut slot = lock(&self.0);
            slot.frame = frame;
            slot.end = end;
            slot.wanted = false;
            slot.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let open = {
            let slot = lock(&self.0);
            slot.frame.is_none() && slot.end.is_none()
        };
        if open {
            self.end(Err(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

impl Streamed {
    pub(crate) fn is_end_stream(&self) -> bool {
        self.over
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let feeder = {
            let mut slot = lock(&self.shared);
            if let Some(frame) = slot.frame.take() {
                self.over = matches!(slot.end, Some(Ok(())));
                if let (Some(exact), Some(data)) = (self.left.exact(), frame.data_ref()) {
                    self.left = SizeHint::with_exact(exact.saturating_sub(data.len() as u64));
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(end) = slot.end.take() {
                self.over = true;
                return Poll::Ready(end.err().map(Err));
            }
            slot.wanted = true;
            if !slot.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                slot.reader = Some(cx.waker().clone());
            }
            slot.feeder.take()
        };
        if let Some(feeder) = feeder {
            feeder.wake();
        }
        Poll::Pending
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let feeder = {
            let mut slot = lock(&self.shared);
            slot.gone = true;
            slot.feeder.take()
        };
        if let Some(feeder) = feeder {
            feeder.wake();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Slot> {
    // Nothing that can panic runs under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of a request, whatever it came by.
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
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(super) fn streamed(body: Streamed) -> Self {
        Self(Kind::Streamed(body))
    }

    pub(crate) fn http2(body: hyper::body::Incoming) -> Self {
        Self(Kind::Http2(body))
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
