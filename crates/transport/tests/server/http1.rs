//! HTTP/1.1 byte by byte, as the server speaks it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};
use transport::{Incoming, Limits, Listener, Peer, Server};

use crate::ground::soon;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

fn text(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A server without TLS that does what the path says.
struct Plain {
    address: SocketAddr,
    /// One for each request that hangs.
    hanging: Arc<Semaphore>,
    /// Requests that hung and were dropped.
    dropped: Arc<AtomicUsize>,
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Plain {
    async fn start() -> Self {
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (hanging, dropped) = (Arc::new(Semaphore::new(0)), Arc::default());
        let shared = (Arc::clone(&hanging), Arc::clone(&dropped));
        let handler = move |request: Request<Incoming>, _: Peer| answer(request, shared.clone());
        let server = Server { listener, tls: None, limits: Limits::default() };
        tokio::spawn(server.run(handler, std::future::pending()));
        Self { address, hanging, dropped }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back for these bytes, sent in pieces of that length. The server hangs up by itself.
    async fn answers(&self, request: &[u8], piece: usize) -> String {
        let (mut read, mut write) = self.connect().await.into_split();
        let request = request.to_vec();
        let sending = tokio::spawn(async move {
            for piece in request.chunks(piece) {
                // It may have heard enough.
                if write.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            write
        });
        let mut all = Vec::new();
        soon("the end", read.read_to_end(&mut all)).await.unwrap();
        drop(sending.await.unwrap());
        String::from_utf8(all).unwrap()
    }
}

async fn answer(request: Request<Incoming>, (hanging, dropped): (Arc<Semaphore>, Arc<AtomicUsize>)) -> Response<Body> {
    match request.uri().path() {
        "/echo" => Response::new(request.into_body().boxed_unsync()),
        "/length" => match request.into_body().collect().await {
            Ok(body) => Response::new(text(body.to_bytes().len().to_string())),
            Err(_) => {
                let mut response = Response::new(text("broken"));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
            }
        },
        "/hang" => {
            let _counted = Counted(dropped);
            hanging.add_permits(1);
            // Of a body that is not all there, what there is.
            let _ = request.into_body().collect().await;
            std::future::pending().await
        }
        "/trailers" => {
            let fields = HeaderMap::from_iter([("x-sum".parse().unwrap(), "9".parse().unwrap())]);
            let frames = [Frame::data(Bytes::from("body")), Frame::trailers(fields)];
            Response::new(Pieces(frames.into()).boxed_unsync())
        }
        "/none" => {
            let mut response = Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        other => Response::new(text(other.to_owned())),
    }
}

struct Pieces(std::collections::VecDeque<Frame<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Frame<Bytes>>>> {
        std::task::Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn without_dates(answers: &str) -> String {
    answers.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

const LAST: &str = "GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn requests_behind_each_other_are_answered_in_order_however_they_are_cut() {
    let server = Plain::start().await;
    let requests = format!(
        "GET /one HTTP/1.1\r\nhost: x\r\n\r\n\
         POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfour\
         POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\nx: y\r\n\r\n\
         \r\nHEAD /head HTTP/1.1\r\nhost: x\r\n\r\n\
         GET /none HTTP/1.1\r\nhost: x\r\n\r\n\
         {LAST}"
    );
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let expected = [
        ok("/one"),
        ok("4"),
        ok("7"),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n/last".to_owned(),
    ]
    .concat();
    for piece in [1, 2, 3, 7, 19, 64, 10_000] {
        assert_eq!(without_dates(&server.answers(requests.as_bytes(), piece).await), expected, "{piece}");
    }
    let unread = format!("POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfour{LAST}");
    let answers = server.answers(unread.as_bytes(), 10_000).await;
    assert!(
        answers.contains("/unread") && answers.ends_with("/last"),
        "a body that is there is passed over: {answers}"
    );
}

#[tokio::test]
async fn the_body_is_asked_for_when_somebody_reads_it() {
    let server = Plain::start().await;
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    let mut stream = server.connect().await;
    stream.write_all(head("/length").as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    soon("100", stream.read_exact(&mut asked)).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"four").await.unwrap();
    stream.write_all(LAST.as_bytes()).await.unwrap();
    let mut rest = String::new();
    soon("the end", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("\r\n\r\n4HTTP/1.1 200") && rest.ends_with("/last"), "{rest}");

    // The reply has begun when the body is read.
    let mut stream = server.connect().await;
    stream.write_all(head("/echo").as_bytes()).await.unwrap();
    let mut begun = Vec::new();
    soon("the head", async {
        while !begun.ends_with(b"\r\n\r\n") {
            begun.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    stream.write_all(format!("four{LAST}").as_bytes()).await.unwrap();
    let mut rest = String::new();
    soon("the end", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200 ") && rest.starts_with("fourHTTP/1.1 200 "), "{rest}");

    let refused = server.answers(head("/unread").as_bytes(), 10_000).await;
    assert!(refused.starts_with("HTTP/1.1 200") && refused.contains("connection: close\r\n"), "{refused}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_passed_over_and_ends_the_connection_if_it_is_large() {
    let server = Plain::start().await;
    for (length, expected) in [(400_000, 2), (1_500_000, 1)] {
        let body = "x".repeat(length);
        let request = format!("POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}{LAST}");
        let answers = server.answers(request.as_bytes(), 64 * 1024).await;
        let (first, next) = answers.split_once("/unread").expect("it is answered");
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{answers}");
        assert_eq!(first.contains("\r\nconnection: close\r\n"), expected == 1, "{answers}");
        assert_eq!(next.matches("HTTP/1.1 200 OK").count(), expected - 1, "{answers}");
    }
}

#[tokio::test]
async fn who_waits_for_100_and_is_answered_before_may_send_its_body_or_not() {
    let server = Plain::start().await;
    let request = "POST /unread HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 60\r\n\r\n";
    let hidden = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";
    let whole = request.replace("60", "4") + "four";
    let answers = server.answers(format!("{whole}{LAST}").as_bytes(), 10_000).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "who has sent all of it may go on: {answers}");
    let answers = server.answers(format!("{request}{hidden}").as_bytes(), 10_000).await;
    assert!(answers.contains("\r\nconnection: close\r\n") && answers.ends_with("/unread"), "{answers}");
}

#[tokio::test]
async fn old_clients_are_answered_in_their_version() {
    let server = Plain::start().await;
    let answers = server.answers(b"GET /a HTTP/1.0\r\n\r\n", 100).await;
    assert_eq!(without_dates(&answers), "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a");
    let twice = "GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /trailers HTTP/1.0\r\nte: trailers\r\n\r\n";
    let answers = server.answers(twice.as_bytes(), 100).await;
    let expected = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n/a\
                    HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nbody";
    assert_eq!(without_dates(&answers), expected, "no chunks, and no trailers");
}

#[tokio::test]
async fn trailers_are_for_those_who_take_them() {
    let server = Plain::start().await;
    for (field, end) in [("te: gzip, Trailers\r\n", "0\r\nx-sum: 9\r\n\r\n"), ("", "0\r\n\r\n")] {
        let request = format!("GET /trailers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{field}\r\n");
        let answers = server.answers(request.as_bytes(), 100).await;
        assert!(answers.ends_with(&format!("\r\n\r\n4\r\nbody\r\n{end}")), "{answers}");
    }
}

#[tokio::test]
async fn an_answer_may_begin_before_the_request_has_ended() {
    let server = Plain::start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    for word in ["one", "three", "eleven"] {
        stream.write_all(format!("{:x}\r\n{word}\r\n", word.len()).as_bytes()).await.unwrap();
        soon(word, async {
            while !seen.ends_with(format!("{word}\r\n").as_bytes()) {
                seen.push(stream.read_u8().await.unwrap());
            }
        })
        .await;
    }
    stream.write_all(format!("0\r\n\r\n{LAST}").as_bytes()).await.unwrap();
    let mut rest = String::new();
    soon("the end", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.starts_with("0\r\n\r\nHTTP/1.1 200") && rest.ends_with("/last"), "{rest}");
}

#[tokio::test]
async fn whoever_hangs_up_takes_the_request_along() {
    let server = Plain::start().await;
    for (number, request) in [
        "GET /hang HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /hang HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfour",
        "POST /hang HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\nfour",
        // What comes behind it does not hide that the client is gone.
        "GET /hang HTTP/1.1\r\nhost: x\r\n\r\nGET /next HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        soon("the request", server.hanging.acquire()).await.unwrap().forget();
        drop(stream);
        soon("its end", async {
            while server.dropped.load(Ordering::SeqCst) <= number {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_none_is_an_error_and_the_last_of_its_connection() {
    let server = Plain::start().await;
    let request = format!("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{LAST}");
    for piece in [1, 10_000] {
        let answers = server.answers(request.as_bytes(), piece).await;
        assert!(answers.starts_with("HTTP/1.1 400 ") && answers.ends_with("broken"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    let mut stream = server.connect().await;
    stream.write_all(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nfour").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    soon("the end", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 400 "), "{rest}");
}

#[tokio::test]
async fn whoever_takes_nothing_of_an_answer_loses_the_connection() {
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.tcp_address().unwrap();
    let handler = move |_: Request<Incoming>, _: Peer| async move {
        // More than any socket holds.
        Response::new(Pieces((0..64).map(|_| Frame::data(Bytes::from(vec![b'x'; 1024 * 1024]))).collect()))
    };
    let limits = Limits { headers: crate::ground::SHORT, ..Limits::default() };
    let server = Server { listener, tls: None, limits };
    tokio::spawn(server.run(handler, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // As long as it takes to be late, and longer than it takes for the sockets to be full.
    tokio::time::sleep(crate::ground::SHORT * 6).await;
    let mut all = Vec::new();
    let outcome = soon("the end", stream.read_to_end(&mut all)).await;
    assert!(outcome.is_err() || all.len() < 64 * 1024 * 1024, "{} bytes", all.len());
}
