//! The replica's end of a worker's socket. Whoever has something to say writes it at once, so that a request costs no
//! task and no hand-over; only what the socket does not take is left to a task.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncReadExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

use super::frame::{self, Frame, Outbox};

/// What is read with one system call.
const CHUNK: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedWriteHalf,
    outbox: Mutex<Outbox>,
    /// The socket is full.
    blocked: Notify,
}

/// What the worker says.
#[derive(Debug)]
pub(super) struct Incoming {
    socket: OwnedReadHalf,
    read: BytesMut,
}

impl Link {
    pub(super) fn new(socket: UnixStream) -> (Self, Incoming) {
        let (from, to) = socket.into_split();
        let link = Self { socket: to, outbox: Mutex::default(), blocked: Notify::new() };
        (link, Incoming { socket: from, read: BytesMut::new() })
    }

    /// Takes a frame, to be written with the next [`Link::flush`].
    pub(super) fn push(&self, kind: u8, number: u32, meta: &[u8], body: Bytes) {
        self.outbox().push(kind, number, meta, body);
    }

    pub(super) fn flush(&self) {
        // A worker that has died is noticed by whoever reads.
        if matches!(self.outbox().write_to(&self.socket), Ok(false)) {
            self.blocked.notify_one();
        }
    }

    pub(super) fn send(&self, kind: u8, number: u32, meta: &[u8]) {
        self.push(kind, number, meta, Bytes::new());
        self.flush();
    }

    /// Writes what a full socket did not take, as soon as it does. Ends if the worker is gone.
    pub(super) async fn write_rest(&self) {
        loop {
            self.blocked.notified().await;
            loop {
                if self.socket.writable().await.is_err() {
                    return;
                }
                match self.outbox().write_to(&self.socket) {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::debug!("cannot write to a worker process: {error}");
                        return;
                    }
                }
            }
        }
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// At least one frame, and all that came with it; none at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<Vec<Frame>> {
        let mut frames = Vec::new();
        loop {
            while let Some(frame) = frame::next(&mut self.read)? {
                frames.push(frame);
            }
            if !frames.is_empty() {
                return Ok(frames);
            }
            if self.read.capacity() == self.read.len() {
                self.read.reserve(CHUNK);
            }
            match self.socket.read_buf(&mut self.read).await {
                Ok(0) if self.read.is_empty() => return Ok(frames),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                // What a worker looks like that was killed with something unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }
}
