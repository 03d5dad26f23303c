//! The body of a request whose connection reads it piece by piece, when somebody wants the next.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

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
        let former = renew(&mut slot.feeder, cx);
        drop(slot);
        drop(former);
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
        let reader = {
            let mut slot = lock(&self.0);
            // A piece that nobody has taken yet comes before it.
            slot.end.get_or_insert_with(|| Err(io::ErrorKind::UnexpectedEof.into()));
            slot.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
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
        let (feeder, _former) = {
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
            let former = renew(&mut slot.reader, cx);
            (slot.feeder.take(), former)
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

/// Returns the former waker: whatever its end sets free is not to happen under the lock.
fn renew(waker: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match waker {
        Some(known) if known.will_wake(cx.waker()) => None,
        _ => waker.replace(cx.waker().clone()),
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Slot> {
    // Nothing that can panic runs under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_ends_ends_the_body_behind_what_it_gave() {
        let (feeder, mut body) = streamed(SizeHint::new());
        feeder.push(Frame::data(Bytes::from_static(b"a piece")), false);
        drop(feeder);
        let piece = poll_fn(|cx| body.poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(piece.into_data().unwrap(), "a piece");
        let end = poll_fn(|cx| body.poll_frame(cx)).await.unwrap().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        assert!(poll_fn(|cx| body.poll_frame(cx)).await.is_none());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_end() {
        let (feeder, mut body) = streamed(SizeHint::new());
        let reading = tokio::spawn(async move { poll_fn(|cx| body.poll_frame(cx)).await });
        tokio::task::yield_now().await;
        drop(feeder);
        assert!(reading.await.unwrap().unwrap().is_err());
    }

    #[tokio::test]
    async fn a_whole_body_ends_with_its_last_piece() {
        let (feeder, mut body) = streamed(SizeHint::with_exact(4));
        feeder.push(Frame::data(Bytes::from_static(b"four")), true);
        drop(feeder);
        assert!(poll_fn(|cx| body.poll_frame(cx)).await.unwrap().is_ok());
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
    }
}
