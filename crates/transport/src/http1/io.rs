//! What was read and is not understood yet, what is to be written, and until when to wait.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Sleep,
};
use tokio_util::io::poll_read_buf;

/// What is read at once, at first; more when that much was there.
const PIECE: usize = 8 * 1024;
const LARGEST_PIECE: usize = 128 * 1024;
/// Below this, what is to be written is copied together, so that it goes in one packet and one record of TLS.
const SMALL: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Input {
    pub(super) buffer: BytesMut,
    piece: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::new(), piece: PIECE }
    }

    /// Reads once; 0 is the end.
    pub(super) fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // More room than there is to read saves asking whether there is more.
        let room = self.buffer.capacity() - self.buffer.len();
        if room < self.piece / 2 {
            self.buffer.reserve(self.piece);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let length = ready!(poll_read_buf(Pin::new(io), cx, &mut self.buffer))?;
        if length == room {
            self.piece = (2 * self.piece).min(LARGEST_PIECE);
        }
        Poll::Ready(Ok(length))
    }

    /// A message has ended. What follows is likely to be small, and what this one took can be used again, if it was not large: a
    /// connection may have nothing to do for long.
    pub(super) fn rest(&mut self) {
        self.piece = PIECE;
        let reclaimed = self.buffer.try_reclaim(PIECE);
        if self.buffer.is_empty() && (!reclaimed || self.buffer.capacity() > 2 * PIECE) {
            self.buffer = BytesMut::new();
        }
    }

    /// What was read and not used, without the room around it.
    pub(super) fn left(&self) -> Bytes {
        Bytes::copy_from_slice(&self.buffer)
    }

    /// Reads a little, of what nobody has asked for yet.
    pub(super) fn poll_ahead(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.piece = PIECE;
        self.poll_fill(io, cx)
    }
}

#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: Vec<u8>,
    /// Of the buffer.
    written: usize,
    /// What comes after the buffer, without being copied.
    direct: Bytes,
    /// What comes after that.
    tail: Vec<u8>,
    /// Written, and maybe still held by the layer below.
    unflushed: bool,
    /// Something was written since the message began.
    begun: bool,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.direct.is_empty()
    }

    /// Bytes that are not written yet.
    pub(super) fn left(&self) -> usize {
        self.buffer.len() - self.written + self.direct.len() + self.tail.len()
    }

    /// To be written behind all that is there.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        if self.direct.is_empty() { &mut self.buffer } else { &mut self.tail }
    }

    /// Whether it is time for another [`push`](Self::push).
    pub(super) fn has_room(&self) -> bool {
        self.direct.is_empty() && self.buffer.len() < SMALL
    }

    pub(super) fn push(&mut self, data: Bytes) {
        debug_assert!(self.direct.is_empty(), "it would come before what was added first");
        if self.buffer.len() + data.len() <= SMALL {
            self.buffer.extend_from_slice(&data);
        } else {
            self.direct = data;
        }
    }

    /// A new message. A large one before it leaves no large buffer behind.
    pub(super) fn begin(&mut self) {
        self.begun = false;
        if self.is_empty() && self.buffer.capacity().max(self.tail.capacity()) > 2 * SMALL {
            (self.buffer, self.tail) = (Vec::new(), Vec::new());
        }
    }

    /// Whether a byte of the message was written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Writes all there is.
    pub(super) fn poll_write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let next = if self.buffer.is_empty() { &self.direct[..] } else { &self.buffer[self.written..] };
            let length = ready!(Pin::new(&mut *io).poll_write(cx, next))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            (self.unflushed, self.begun) = (true, true);
            if self.buffer.is_empty() {
                self.direct.advance(length);
                if self.direct.is_empty() {
                    std::mem::swap(&mut self.buffer, &mut self.tail);
                }
            } else {
                self.written += length;
                if self.written == self.buffer.len() {
                    self.buffer.clear();
                    self.written = 0;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all there is, through all layers.
    pub(super) fn poll_flush(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_write(io, cx))?;
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// A deadline that moves with every request, at the price of looking at the clock when it seems to have passed: to set a timer
/// takes a lock that all connections share.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once the deadline has passed.
    pub fn poll_past(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if sleep.deadline() > deadline.into() {
            sleep.as_mut().reset(deadline.into());
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline.into() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_deadline_may_move_either_way() {
        let mut alarm = Alarm::default();
        for (first, then) in [(10, 30), (60_000, 20), (20, 20)] {
            let begun = Instant::now();
            let at = |millis| begun + Duration::from_millis(millis);
            let first = poll_fn(|cx| Poll::Ready(alarm.poll_past(at(first), cx))).await;
            assert!(first.is_pending());
            poll_fn(|cx| alarm.poll_past(at(then), cx)).await;
            assert!((then..30_000).contains(&(begun.elapsed().as_millis() as u64)));
        }
    }

    #[tokio::test]
    async fn what_is_small_goes_in_one_piece_and_what_is_large_uncopied() {
        let mut output = Output::default();
        output.text().extend_from_slice(b"head ");
        output.push(Bytes::from_static(b"body"));
        let large = Bytes::from(vec![b'x'; 2 * SMALL]);
        output.push(large.clone());
        output.text().extend_from_slice(b"end");
        assert!(!output.has_room() && output.direct.as_ptr() == large.as_ptr());
        let mut written = Vec::new();
        poll_fn(|cx| output.poll_flush(&mut written, cx)).await.unwrap();
        assert!(output.is_empty() && output.has_room());
        assert_eq!((&written[..10], written.len()), (&b"head bodyx"[..], 9 + large.len() + 3));
        assert!(written.ends_with(b"xend"));
    }

    #[tokio::test]
    async fn a_connection_at_rest_keeps_no_large_buffer() {
        let (mut input, sent) = (Input::new(), vec![b'x'; 900_000]);
        let mut source = &sent[..];
        while poll_fn(|cx| input.poll_fill(&mut source, cx)).await.unwrap() > 0 {
            input.buffer.clear();
        }
        assert!(input.buffer.capacity() > 2 * PIECE);
        input.rest();
        assert!(input.buffer.capacity() <= 2 * PIECE && input.piece == PIECE);
    }

    #[tokio::test]
    async fn what_was_begun_is_known_whatever_is_left() {
        /// Takes so many bytes and breaks.
        struct Breaks(usize);
        impl AsyncWrite for Breaks {
            fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                let length = data.len().min(self.0);
                self.0 -= length;
                Poll::Ready(if length == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(length) })
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        for (taken, begun) in [(0, false), (1, true), (4, true), (5, true)] {
            let mut output = Output::default();
            output.begin();
            output.text().extend_from_slice(b"head");
            output.push(Bytes::from(vec![b'x'; 2 * SMALL]));
            poll_fn(|cx| output.poll_write(&mut Breaks(taken), cx)).await.unwrap_err();
            assert_eq!(output.has_begun(), begun, "{taken}");
        }
    }
}
