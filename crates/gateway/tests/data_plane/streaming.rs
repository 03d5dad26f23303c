//! Bodies pass as they come, both ways, and nothing is kept.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use api::routes::{KEYS_KEY, ROUTES_KEY};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gateway::{Gateway, Options};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use state::LocalState;
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, mpsc},
};
use transport::{Address, Limits, Listener, Server};

use crate::{
    ground::{Ground, eventually, get, iris, key, keys, post, soon, write},
    origin::{Body, Origin, read_head, text},
};

const MIB: u64 = 1024 * 1024;
/// More than lies in the buffers of socket files and in HTTP/2 windows. (The kernel gives a TCP connection up to 32 MiB
/// of its own, so the tests of back-pressure use socket files.)
const BUFFERS: u64 = 12 * MIB;

/// Sends every piece of the request back.
async fn echo() -> Origin {
    Origin::new("a", |request| async move { Response::new(request.into_body().map_err(std::io::Error::other).boxed()) })
        .await
}

fn streamed(pieces: impl futures_util::Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

/// That many MiB, one at a time, counted as they are taken.
fn counted(mib: u64, taken: &Arc<AtomicU64>) -> impl futures_util::Stream<Item = Bytes> + Send + Sync + 'static {
    let (taken, piece) = (Arc::clone(taken), Bytes::from(vec![b'x'; MIB as usize]));
    stream::iter(0..mib).map(move |_| {
        taken.fetch_add(MIB, Ordering::SeqCst);
        piece.clone()
    })
}

#[tokio::test]
async fn the_answer_begins_before_the_question_ends() {
    let origin = echo().await;
    let ground = Ground::start(iris(&[&origin])).await;
    for protocol in ["h2", "http/1.1"] {
        let (say, said) = mpsc::channel::<Bytes>(1);
        let said = stream::unfold(said, |mut said| async move { Some((said.recv().await?, said)) });
        let body = reqwest::Body::wrap_stream(said.map(Ok::<_, std::io::Error>));
        say.send(Bytes::from("first")).await.unwrap();
        let client = ground.speaking(protocol);
        let request = post(&client, &ground.url("/iris")).body(body);
        let mut response = soon("the head", request.send()).await.unwrap();
        for word in ["first", "second", "third"] {
            assert_eq!(soon(word, response.chunk()).await.unwrap().unwrap(), word, "{protocol}");
            let next = if word == "first" { "second" } else { "third" };
            if word != "third" {
                say.send(Bytes::from(next)).await.unwrap();
            }
        }
        drop(say);
        assert_eq!(soon("the end", response.bytes()).await.unwrap(), "");
    }
    eventually("the connection is idle again", || async { ground.counts().in_flight == 0 }).await;
    assert_eq!(origin.seen.connections(), 1, "both requests were complete, so one connection did");
    let counts = ground.counts();
    assert_eq!([counts.bytes_in, counts.bytes_out], [32, 32]);
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let origin = echo().await;
    let ground = Ground::start(iris(&[&origin])).await;
    let length = 32 * MIB;
    for protocol in ["h2", "http/1.1"] {
        for declared in [true, false] {
            let piece: Vec<u8> = (0..MIB).map(|number| (number % 251) as u8).collect();
            let body = if declared {
                reqwest::Body::from(piece.repeat(32))
            } else {
                let pieces = stream::iter(vec![Bytes::from(piece.clone()); 32]);
                reqwest::Body::wrap_stream(pieces.map(Ok::<_, std::io::Error>))
            };
            let client = ground.speaking(protocol);
            let response = soon("the head", post(&client, &ground.url("/iris")).body(body).send()).await.unwrap();
            let mut position = 0;
            let mut chunks = response.bytes_stream();
            while let Some(chunk) = soon("a piece", chunks.try_next()).await.unwrap() {
                for byte in &chunk {
                    assert_eq!(*byte, piece[(position % MIB) as usize]);
                    position += 1;
                }
            }
            assert_eq!(position, length);
        }
    }
}

/// A gateway without TLS on a socket file; ends with the directory's user.
async fn on_socket_file(directory: &Path, origin: &Origin) -> Address {
    let state = LocalState::open(&directory.join("state")).await.unwrap();
    write(&state, KEYS_KEY, &keys(&[1])).await;
    write(&state, ROUTES_KEY, &iris(&[origin])).await;
    let gateway = Gateway::start(Options::new(Arc::new(state), directory.join("cache"))).await;
    let address = Address::Unix(directory.join("gateway.sock"));
    let listener = Listener::bind(&address).await.unwrap();
    let server = Server { listener, tls: None, limits: Limits::default() };
    tokio::spawn(async move { gateway.serve(server, std::future::pending()).await });
    address
}

async fn send(address: &Address, body: Body) -> Response<Incoming> {
    let stream = TokioIo::new(address.connect().await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("/iris").header("host", "localhost").header("x-api-key", key(1));
    soon("the head", sender.send_request(request.body(body).unwrap())).await.unwrap()
}

#[tokio::test]
async fn a_replica_that_does_not_read_stops_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let (reads, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let origin = {
        let (reads, arrived) = (Arc::clone(&reads), Arc::clone(&arrived));
        Origin::at(Address::Unix(directory.path().join("a.sock")), "a", move |request| {
            let (reads, arrived) = (Arc::clone(&reads), Arc::clone(&arrived));
            async move {
                arrived.add_permits(1);
                reads.acquire().await.unwrap().forget();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Response::new(text(body.len().to_string()))
            }
        })
        .await
    };
    let (ground, address) = (Ground::start(iris(&[&origin])).await, on_socket_file(directory.path(), &origin).await);
    for protocol in ["h2", "http/1.1"] {
        let taken = Arc::new(AtomicU64::new(0));
        let body = counted(64, &taken);
        let answer: tokio::task::JoinHandle<Bytes> = if protocol == "h2" {
            let body = reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
            let request = post(&ground.client(), &ground.url("/iris")).body(body);
            tokio::spawn(async move { request.send().await.unwrap().bytes().await.unwrap() })
        } else {
            let address = address.clone();
            tokio::spawn(async move { send(&address, streamed(body)).await.collect().await.unwrap().to_bytes() })
        };
        soon("the request", arrived.acquire()).await.unwrap().forget();
        settled(&taken).await;
        assert!(taken.load(Ordering::SeqCst) < BUFFERS, "{protocol}: {taken:?} bytes were taken off the client");
        reads.add_permits(1);
        assert_eq!(soon("the answer", answer).await.unwrap(), (64 * MIB).to_string());
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_replica() {
    let directory = tempfile::tempdir().unwrap();
    let taken = Arc::new(AtomicU64::new(0));
    let origin = {
        let taken = Arc::clone(&taken);
        Origin::at(Address::Unix(directory.path().join("a.sock")), "a", move |_| {
            let body = streamed(counted(64, &taken));
            async move { Response::new(body) }
        })
        .await
    };
    let (ground, address) = (Ground::start(iris(&[&origin])).await, on_socket_file(directory.path(), &origin).await);

    let response = soon("the head", get(&ground.client(), &ground.url("/iris")).send()).await.unwrap();
    settled(&taken).await;
    assert!(taken.load(Ordering::SeqCst) < BUFFERS, "h2: {taken:?} bytes were taken off the replica");
    assert_eq!(soon("the body", response.bytes()).await.unwrap().len() as u64, 64 * MIB);

    taken.store(0, Ordering::SeqCst);
    let response = send(&address, text("")).await;
    settled(&taken).await;
    assert!(taken.load(Ordering::SeqCst) < BUFFERS, "h1: {taken:?} bytes were taken off the replica");
    assert_eq!(soon("the body", response.collect()).await.unwrap().to_bytes().len() as u64, 64 * MIB);
}

/// Waits until a count no longer changes.
async fn settled(count: &AtomicU64) {
    let (mut last, mut same) = (0, 0);
    eventually("a standstill", || {
        let now = count.load(Ordering::SeqCst);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        let still = same >= 40;
        async move { still }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    for head in ["content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let origin = Origin::raw("a", move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        })
        .await;
        let ground = Ground::start(iris(&[&origin])).await;
        for protocol in ["h2", "http/1.1"] {
            let client = ground.speaking(protocol);
            // Over HTTP/2 the reset may overtake the head.
            if let Ok(response) = soon("the head", get(&client, &ground.url("/iris")).send()).await {
                assert_eq!(response.status(), 200);
                let body = soon("the body", response.bytes()).await;
                assert!(body.is_err(), "{protocol}, {head:?}: {body:?}");
            }
        }
        eventually("both are recorded", || async { ground.counts().failed == 2 }).await;
        assert_eq!(ground.counts().in_flight, 0);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_along() {
    let answering = Arc::new(Semaphore::new(0));
    let origin = {
        let answering = Arc::clone(&answering);
        Origin::new("a", move |request| {
            answering.add_permits(1);
            async move {
                match request.uri().path() {
                    "/body" => Response::new(streamed(stream::pending())),
                    _ => std::future::pending().await,
                }
            }
        })
        .await
    };
    let ground = Ground::start(iris(&[&origin])).await;
    for protocol in ["h2", "http/1.1"] {
        for path in ["/iris/head", "/iris/body"] {
            let client = ground.speaking(protocol);
            let request = tokio::spawn(get(&client, &ground.url(path)).send());
            soon("the request", answering.acquire()).await.unwrap().forget();
            if path == "/iris/body" {
                drop(soon("the head", request).await.unwrap().unwrap());
            } else {
                request.abort();
            }
            drop(client);
            origin.seen.closed().await;
        }
    }
    eventually("all are recorded", || async { ground.counts().abandoned == 4 }).await;
    assert_eq!(ground.counts().in_flight, 0);
}
