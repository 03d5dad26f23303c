//! What goes over a worker's socket. A frame is the length of a JSON header and of a body (two 32-bit big-endian
//! numbers), then the header, then the body, so that payloads are never copied into JSON.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Headers hold tracebacks and request headers, not payloads.
const MAX_HEADER: u32 = 16 << 20;
/// Far above any sane answer; below it a broken worker cannot make us allocate all memory.
const MAX_BODY: u32 = 1 << 30;
/// Bodies up to this size are copied behind their header and written with one system call.
const SMALL_BODY: usize = 16 << 10;

/// From the replica to a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ToWorker {
    Init { path: String, python_path: String, project: String, config: Map<String, Value>, threads: u32 },
    Predict { id: u64, content_type: Option<String>, headers: Map<String, Value>, query: Vec<(String, String)> },
    Stop,
}

/// From a worker to the replica.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum FromWorker {
    Ready,
    Failed { stage: Stage, message: String, traceback: Option<String> },
    Result { id: u64, content_type: String },
    Error { id: u64, kind: ErrorKind, message: String, traceback: Option<String> },
}

/// Where the start of a worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    Import,
    Class,
    Init,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErrorKind {
    PredictorRaised,
    BadRequest,
    BadResponse,
}

/// The bytes of a frame, in one or two parts.
pub(super) async fn write(socket: &mut (impl AsyncWrite + Unpin), header: &ToWorker, body: &[u8]) -> io::Result<()> {
    let too_long = |_| io::Error::other("the frame is too long");
    let header = serde_json::to_vec(header)?;
    let mut start = Vec::with_capacity(8 + header.len() + body.len().min(SMALL_BODY));
    start.extend(u32::try_from(header.len()).map_err(too_long)?.to_be_bytes());
    start.extend(u32::try_from(body.len()).map_err(too_long)?.to_be_bytes());
    start.extend(header);
    if body.len() <= SMALL_BODY {
        start.extend(body);
        return socket.write_all(&start).await;
    }
    socket.write_all(&start).await?;
    socket.write_all(body).await
}

/// The next frame; `None` if the other side closed the socket between two frames.
pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(FromWorker, Bytes)>> {
    let header_len = match socket.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let body_len = socket.read_u32().await?;
    if header_len > MAX_HEADER || body_len > MAX_BODY {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {header_len} + {body_len} bytes: did something else write to file descriptor 0?"),
        ));
    }
    let mut header = vec![0; header_len as usize];
    socket.read_exact(&mut header).await?;
    let mut body = vec![0; body_len as usize];
    socket.read_exact(&mut body).await?;
    Ok(Some((serde_json::from_slice(&header)?, body.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(header: &str, body: &[u8]) -> Vec<u8> {
        let lengths = [header.len() as u32, body.len() as u32].map(u32::to_be_bytes).concat();
        [&lengths, header.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn frames_are_as_the_worker_expects_them() {
        let mut out = Vec::new();
        let predict =
            ToWorker::Predict { id: 7, content_type: None, headers: Map::new(), query: vec![("k".into(), "v".into())] };
        write(&mut out, &predict, b"xy").await.unwrap();
        let header = r#"{"type":"predict","id":7,"content_type":null,"headers":{},"query":[["k","v"]]}"#;
        assert_eq!(out, raw(header, b"xy"));
        let body = vec![1; SMALL_BODY + 1];
        out.clear();
        write(&mut out, &ToWorker::Stop, &body).await.unwrap();
        assert_eq!(out, raw(r#"{"type":"stop"}"#, &body));
    }

    #[tokio::test]
    async fn a_socket_closed_between_frames_is_the_end_and_within_one_an_error() {
        let frame = raw(r#"{"type":"result","id":3,"content_type":"a/b"}"#, b"body");
        let mut socket = frame.as_slice();
        let (header, body) = read(&mut socket).await.unwrap().unwrap();
        assert!(matches!(header, FromWorker::Result { id: 3, content_type } if content_type == "a/b"));
        assert_eq!(&body[..], b"body");
        assert!(read(&mut socket).await.unwrap().is_none());
        assert!(read(&mut &frame[..20]).await.is_err());
        assert!(read(&mut [0xff_u8; 8].as_slice()).await.is_err());
    }
}
