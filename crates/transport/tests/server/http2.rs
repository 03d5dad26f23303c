//! HTTP/2 as no library would speak it, frame by frame (RFC 9113).

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use transport::Limits;

use crate::ground::{PATIENCE, Running, SHORT, get, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const CANCEL: [u8; 4] = [0, 0, 0, 8];
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// HPACK of a GET of that path (RFC 7541): three indexed fields and two literals.
fn get_of(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x01, 9];
    block.extend(b"localhost");
    block.extend([0x04, u8::try_from(path.len()).unwrap()]);
    block.extend(path.as_bytes());
    block
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Raw(TlsStream<TcpStream>);

impl Raw {
    async fn connect(server: &Running) -> Self {
        let mut raw = Self(server.tls(&["h2"]).await);
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        raw.send(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        raw
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    async fn request(&mut self, stream: u32, path: &str) -> std::io::Result<()> {
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_of(path))).await
    }

    /// The next frame; `None` at the end. Answers pings and settings as it has to.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags) = (head[3], head[4]);
            if (kind == SETTINGS || kind == PING) && flags & ACK == 0 {
                let echo = if kind == PING { payload.as_slice() } else { &[] };
                let _ = self.send(&frame(kind, ACK, 0, echo)).await;
                continue;
            }
            return Some(Frame { kind, flags, stream, payload });
        }
    }

    /// Frames up to the first that is like that, or to the end.
    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        soon("a frame, or the end", async {
            loop {
                match self.next().await {
                    Some(frame) if !wanted(&frame) => {}
                    other => return other,
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn frames_written_by_hand_are_understood() {
    let server = Running::start(Limits::default()).await;
    let mut raw = Raw::connect(&server).await;
    raw.request(1, "/").await.unwrap();
    let answer = raw.until(|frame| frame.kind == HEADERS && frame.stream == 1).await.unwrap();
    assert_eq!((answer.flags & END_HEADERS, answer.payload[0]), (END_HEADERS, 0x88), "status 200: {answer:?}");
}

#[tokio::test]
async fn streams_above_the_limit_are_refused_and_the_others_go_on() {
    let server = Running::start(Limits { streams: 10, ..Limits::default() }).await;
    let mut raw = Raw::connect(&server).await;
    for number in 0..30 {
        raw.request(2 * number + 1, "/wait").await.unwrap();
    }
    let refused = raw.until(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.payload.as_slice()), (21, &REFUSED_STREAM[..]));
    soon("ten requests", server.waiting.acquire_many(10)).await.unwrap().forget();
    assert_eq!(server.waiting.available_permits(), 0, "no more than ten were begun");
    server.release.add_permits(10);
    for _ in 0..10 {
        assert!(raw.until(|frame| frame.kind == HEADERS).await.is_some());
    }
}

#[tokio::test]
async fn requests_that_are_taken_back_as_soon_as_they_are_sent_end_the_connection() {
    let server = Running::start(Limits::default()).await;
    let mut raw = Raw::connect(&server).await;
    let mut sent = 0;
    for number in 0..20_000 {
        let stream = 2 * number + 1;
        let both =
            [frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_of("/wait")), frame(RST_STREAM, 0, stream, &CANCEL)];
        if raw.send(&both.concat()).await.is_err() {
            break;
        }
        sent += 1;
    }
    raw.until(|_| false).await;
    assert!(sent < 20_000, "the server listened to the end");
    let begun = server.waiting.available_permits();
    assert!(begun <= 1_300, "{begun} of {sent} were begun");
    assert_eq!(soon("an answer to another", get(&server.client(), &server.url("/"))).await.unwrap(), "ok");
}

#[tokio::test]
async fn requests_that_are_taken_back_once_they_are_begun_end_the_connection() {
    let server = Running::start(Limits { abandoned: 20, ..Limits::default() }).await;
    let mut raw = Raw::connect(&server).await;
    // Each request that is waited for lets one more be taken back.
    for number in 0..5 {
        raw.request(2 * number + 1, "/").await.unwrap();
        raw.until(|frame| frame.kind == HEADERS).await.unwrap();
    }
    let mut begun = 0;
    for number in 5..200 {
        let stream = 2 * number + 1;
        if raw.request(stream, "/wait").await.is_err() {
            break;
        }
        tokio::select! {
            permit = server.waiting.acquire() => permit.unwrap().forget(),
            end = raw.until(|_| false) => { assert!(end.is_none()); break }
        }
        begun += 1;
        let _ = raw.send(&frame(RST_STREAM, 0, stream, &CANCEL)).await;
    }
    assert!((20..40).contains(&begun), "{begun}");
    assert_eq!(soon("an answer to another", get(&server.client(), &server.url("/"))).await.unwrap(), "ok");
}

#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let server = Running::start(Limits::default()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, &get_of("/"))).await.unwrap();
    // A literal of a new name, `x`, 100 bytes long.
    let field = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let part = frame(CONTINUATION, 0, 1, &field.repeat(150));
    let mut sent = 0;
    while raw.send(&part).await.is_ok() {
        sent += part.len();
        assert!(sent < 64 * 1024 * 1024, "the server listens for ever");
    }
    assert_eq!(soon("an answer to another", get(&server.client(), &server.url("/"))).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_list_of_headers_has_a_size() {
    let server = Running::start(Limits { header_bytes: 16 * 1024, ..Limits::default() }).await;
    let client = server.client();
    for (length, status) in [(8 * 1024, 200), (40 * 1024, 431)] {
        let request = client.get(server.url("/")).header("x", "y".repeat(length));
        assert_eq!(soon("an answer", request.send()).await.unwrap().status(), status, "{length} bytes");
    }
}

#[tokio::test]
async fn a_quiet_connection_is_ended_in_order_and_a_busy_one_is_not() {
    let server = Running::start(Limits { headers: SHORT, ..Limits::default() }).await;
    let mut quiet = Raw::connect(&server).await;
    let begun = Instant::now();
    assert!(quiet.until(|frame| frame.kind == GOAWAY).await.is_some(), "it is told");
    assert!(quiet.until(|_| false).await.is_none() && begun.elapsed() < PATIENCE, "and ended");

    let mut busy = Raw::connect(&server).await;
    busy.request(1, "/wait").await.unwrap();
    assert!(tokio::time::timeout(SHORT * 5, busy.until(|frame| frame.kind == GOAWAY)).await.is_err());
    server.release.add_permits(1);
    let answer = busy.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(answer.payload[0], 0x88, "status 200");
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_arrives_and_the_stream_ends_in_order() {
    let server = Running::start(Limits::default()).await;
    let post = {
        let mut block = get_of("/");
        block[0] = 0x83;
        block
    };
    for _ in 0..30 {
        let mut raw = Raw::connect(&server).await;
        raw.send(&frame(HEADERS, END_HEADERS, 1, &post)).await.unwrap();
        let first = raw.until(|frame| frame.stream == 1).await.unwrap();
        assert_eq!((first.kind, first.payload[0]), (HEADERS, 0x88), "status 200 before all else: {first:?}");
        let body = raw.until(|frame| frame.stream == 1).await.unwrap();
        assert_eq!((body.kind, &body.payload[..]), (DATA, &b"ok"[..]));
        // Only now; some clients take a reset for the answer.
        raw.send(&frame(DATA, END_STREAM, 1, b"{}")).await.unwrap();
        raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &get_of("/"))).await.unwrap();
        let next = raw.until(|frame| frame.kind == RST_STREAM || frame.stream == 3).await.unwrap();
        assert_eq!((next.kind, next.stream), (HEADERS, 3), "{next:?}");
    }
}
