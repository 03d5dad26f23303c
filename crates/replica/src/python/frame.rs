//! What goes over a worker's socket, as `worker/cortex_worker/__init__.py` describes it. What is said once per request is
//! kept short; payloads are never part of JSON.

use std::{collections::VecDeque, io};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::unix::OwnedWriteHalf;

/// Meta parts hold tracebacks and request headers, not payloads.
const MAX_META: usize = 64 << 20;
/// Far above any sane answer; below it a broken worker cannot make us allocate all memory.
const MAX_BODY: usize = 1 << 30;
/// Bodies up to this size are copied behind their head, to be written with other frames by one system call.
const SMALL_BODY: usize = 16 << 10;
const HEAD: usize = 16;
/// Of either part of a frame: more does not fit the four bytes that say how long it is.
pub(super) const LONGEST: usize = u32::MAX as usize;

/// Frames to a worker.
pub(super) const INIT: u8 = b'i';
pub(super) const PREDICT: u8 = b'p';
pub(super) const BATCH: u8 = b'b';
pub(super) const CANCEL: u8 = b'c';
pub(super) const CREDIT: u8 = b'k';
pub(super) const STOP: u8 = b's';

/// Frames from a worker.
pub(super) const READY: u8 = b'r';
pub(super) const FAILED: u8 = b'f';
pub(super) const RESULT: u8 = b'R';
pub(super) const RESULTS: u8 = b'B';
pub(super) const ERROR: u8 = b'E';
pub(super) const START: u8 = b'H';
pub(super) const PIECE: u8 = b'D';
pub(super) const END: u8 = b'Z';
pub(super) const DONE: u8 = b'd';
pub(super) const LINE: u8 = b'L';

/// Pieces of a stream that may be under way to one caller.
pub(super) const WINDOW: usize = 16;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    /// Of the request it is about.
    pub(super) number: u32,
    pub(super) meta: Bytes,
    pub(super) body: Bytes,
}

/// The meta part of [`INIT`].
#[derive(Debug, Serialize)]
pub(super) struct Init<'a> {
    pub(super) path: &'a str,
    pub(super) python_path: &'a str,
    pub(super) project: &'a str,
    pub(super) config: &'a Map<String, Value>,
    pub(super) threads: u32,
    pub(super) batching: bool,
}

/// The meta part of [`READY`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Ready {
    /// Headers or the query are wanted.
    pub(super) headers: bool,
    /// Requests can be cancelled, and many wait at a time.
    pub(super) r#async: bool,
    /// [`DONE`] follows every answer.
    pub(super) hook: bool,
}

/// The body of [`READY`]: what a predictor says of itself, for callers; JSON Schemas.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Map<String, Value>>,
    /// What the two refer to, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    schemas: Map<String, Value>,
}

impl Said {
    /// Nothing if it cannot be read: a predictor that cannot be described can be asked all the same.
    pub(super) fn of(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_else(|error| {
            tracing::warn!("what the predictor says of itself is left out: {error}");
            Self::default()
        })
    }
}

/// The meta part of [`FAILED`].
#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    pub(super) stage: Stage,
    pub(super) message: String,
    pub(super) traceback: String,
}

/// Where the start of a worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    Import,
    Class,
    Init,
}

/// The first frame of what was read, if all of it was.
pub(super) fn next(read: &mut BytesMut) -> io::Result<Option<Frame>> {
    let Some((mut head, rest)) = read.split_at_checked(HEAD) else { return Ok(None) };
    let kind = head.get_u8();
    head.advance(3);
    let number = head.get_u32();
    let (meta, body) = (head.get_u32() as usize, head.get_u32() as usize);
    if meta > MAX_META || body > MAX_BODY {
        let text = format!("a frame of {meta} + {body} bytes: did something else write to file descriptor 0?");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    if rest.len() < meta + body {
        read.reserve(HEAD + meta + body - read.len());
        return Ok(None);
    }
    read.advance(HEAD);
    let meta = read.split_to(meta).freeze();
    Ok(Some(Frame { kind, number, meta, body: read.split_to(body).freeze() }))
}

/// Frames on their way to a worker.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    parts: VecDeque<Bytes>,
    last: BytesMut,
}

impl Outbox {
    pub(super) fn push(&mut self, kind: u8, number: u32, meta: &[u8], body: Bytes) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("`Work` is not longer, and the rest is short");
        self.last.reserve(HEAD + meta.len() + body.len().min(SMALL_BODY));
        self.last.put_u32(u32::from(kind) << 24);
        self.last.put_u32(number);
        self.last.put_u32(length(meta));
        self.last.put_u32(length(&body));
        self.last.put_slice(meta);
        if body.len() <= SMALL_BODY {
            self.last.put_slice(&body);
        } else {
            self.parts.push_back(self.last.split().freeze());
            self.parts.push_back(body);
        }
    }

    /// Writes as much as the socket takes now; whether that was all.
    pub(super) fn write_to(&mut self, socket: &OwnedWriteHalf) -> io::Result<bool> {
        loop {
            if self.parts.is_empty() && !self.last.is_empty() {
                self.parts.push_back(self.last.split().freeze());
            }
            let Some(part) = self.parts.front_mut() else { return Ok(true) };
            match socket.try_write(part) {
                Ok(written) if written == part.len() => drop(self.parts.pop_front()),
                Ok(written) => part.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    fn raw(kind: u8, number: u8, meta: &[u8], body: &[u8]) -> Vec<u8> {
        let head = [
            kind,
            0,
            0,
            0,
            0,
            0,
            0,
            number,
            0,
            0,
            0,
            meta.len() as u8,
            0,
            0,
            (body.len() >> 8) as u8,
            body.len() as u8,
        ];
        [&head[..], meta, body].concat()
    }

    #[tokio::test]
    async fn frames_are_as_the_worker_expects_them() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, ours) = ours.into_split();
        let mut outbox = Outbox::default();
        let big = vec![1; SMALL_BODY + 1];
        outbox.push(PREDICT, 7, b"meta", Bytes::from_static(b"xy"));
        outbox.push(STOP, 0, b"", big.clone().into());
        ours.writable().await.unwrap();
        assert!(outbox.write_to(&ours).unwrap());
        let want = [raw(b'p', 7, b"meta", b"xy"), raw(b's', 0, b"", &big)].concat();
        let mut got = BytesMut::new();
        while got.len() < want.len() {
            theirs.readable().await.unwrap();
            let _ = theirs.try_read_buf(&mut got);
        }
        assert!(got == want);
    }

    #[test]
    fn what_a_predictor_says_of_itself_need_not_be_readable() {
        let read = |json: &str| serde_json::to_value(Said::of(json.as_bytes())).unwrap();
        assert_eq!(read(r#"{"description": "x"}"#), serde_json::json!({ "description": "x" }));
        for unreadable in ["", "[", r#"{"payload": {"default": Infinity}}"#, r#"{"description": "\ud800"}"#] {
            assert_eq!(read(unreadable), serde_json::json!({}), "{unreadable}");
        }
    }

    #[test]
    fn frames_come_whole_or_not_yet() {
        let all = [raw(RESULT, 3, b"a/b", b"body"), raw(DONE, 3, b"", b"")].concat();
        for cut in 0..23 {
            assert!(next(&mut BytesMut::from(&all[..cut])).unwrap().is_none(), "{cut}");
        }
        let mut read = BytesMut::from(&all[..]);
        let frame = next(&mut read).unwrap().unwrap();
        assert_eq!(
            (frame.kind, frame.number, &frame.meta[..], &frame.body[..]),
            (RESULT, 3, &b"a/b"[..], &b"body"[..])
        );
        assert_eq!(next(&mut read).unwrap().unwrap().kind, DONE);
        assert!(next(&mut read).unwrap().is_none());
        assert!(next(&mut BytesMut::from(&[0xff_u8; 16][..])).is_err());
    }
}
