//! A server of the user's own behind the replica: what passes, and what happens when it dies, hangs or never starts.

use std::{
    convert::Infallible,
    fs,
    pin::Pin,
    task::{Context, Poll},
};

use api::replica::Phase;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use spec::realtime::{Container, Program};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::ground::{Answer, Ground, Running, log, until, until_exists};

/// Tells what it was asked, streams, and switches protocols; it is well until the file `ill` exists.
const SERVER: &str = r#"
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GROUND = os.environ["GROUND"]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.path == "/up":
            ill = os.path.exists(f"{GROUND}/ill")
            return self.send(503 if ill else 200, b"")
        if self.path == "/die":
            os._exit(3)
        if self.path == "/wait":
            open(f"{GROUND}/arrived", "w").close()
            while not os.path.exists(f"{GROUND}/go"):
                threading.Event().wait(0.002)
        if self.path == "/stream":
            return self.stream()
        if self.path == "/switch":
            return self.switch()
        told = {"pid": os.getpid(), "method": self.command, "path": self.path, "body": body.decode(),
                "headers": {name.lower(): value for name, value in self.headers.items()}, "argv": sys.argv[1:],
                "directory": os.getcwd(), "port": os.environ["PORT"]}
        self.send(201, json.dumps(told).encode())

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def send(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-own", "1")
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("trailer", "x-sum")
        self.end_headers()
        self.wfile.write(b"3\r\none\r\n")
        while not os.path.exists(f"{GROUND}/go"):
            threading.Event().wait(0.002)
        self.wfile.write(b"3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n")

    def switch(self):
        self.send_response(101)
        self.send_header("connection", "Upgrade")
        self.send_header("upgrade", self.headers["upgrade"])
        self.end_headers()
        while piece := self.rfile.read1(100):
            self.wfile.write(piece.upper())
        self.close_connection = True

    def log_message(self, *arguments):
        pass

print("listening at", sys.argv[1], flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn ground(readiness_path: Option<&str>) -> Ground {
    let mut ground = Ground::python(SERVER);
    let there = ground.path("").display().to_string();
    ground.spec.program = Program::Container(Container {
        command: ["python3", "predictor.py", "{port}", "a b"].map(str::to_owned).into(),
        image: None,
        port: 1,
        env: [("GROUND".to_owned(), there)].into(),
        readiness_path: readiness_path.map(str::to_owned),
        max_concurrency: 8,
    });
    ground
}

fn container(ground: &mut Ground) -> &mut Container {
    let Program::Container(container) = &mut ground.spec.program else { panic!("no container") };
    container
}

async fn ask(running: &Running, method: &str, path: &str) -> Answer {
    let request = http::Request::builder().method(method).uri(path).header("x-request-id", "r1");
    running.connect().await.send(request.body(Full::default()).unwrap()).await
}

async fn told(running: &Running) -> Value {
    let answer = ask(running, "GET", "/").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn pid(running: &Running) -> Pid {
    Pid::from_raw(told(running).await["pid"].as_i64().unwrap().try_into().unwrap()).unwrap()
}

async fn until_gone(pid: Pid) {
    until("the process is gone", || test_kill_process(pid).is_err().then_some(())).await;
}

#[tokio::test]
async fn every_method_path_header_and_body_passes() {
    let mut ground = ground(Some("/up"));
    container(&mut ground).env.insert("WHO".to_owned(), "a-secret-value".to_owned());
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let request = http::Request::builder().method(method).uri("/a/b%20c?d=e&d=f").header("x-mine", "1");
        let request = request.header("x-request-id", "r1").body(Full::from("body é")).unwrap();
        let answer = connection.send(request).await;
        assert_eq!((answer.status, &answer.headers["x-own"]), (201, &http::HeaderValue::from_static("1")));
        let told = answer.json();
        assert_eq!((&told["method"], &told["path"]), (&json!(method), &json!("/a/b%20c?d=e&d=f")));
        assert_eq!((&told["body"], &told["headers"]["x-mine"]), (&json!("body é"), &json!("1")));
        assert_eq!(told["headers"]["x-request-id"], "r1");
        assert_eq!(told["argv"], json!([told["port"], "a b"]), "the mark is the port");
        assert_eq!(told["directory"], json!(fs::canonicalize(ground.path("project")).unwrap()));
    }
    drop(connection);
    assert!(log().contains("listening at"), "its output is in the log");
    assert!(!log().contains("a-secret-value"));
    let pid = pid(&running).await;
    running.stopped().await.unwrap();
    until_gone(pid).await;
}

#[tokio::test]
async fn bodies_pass_as_they_come() {
    let ground = ground(None);
    let running = ground.ready().await;
    let stream = ground.spec.listen.connect().await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| http::Request::post(path).header("host", "replica").header("te", "trailers");
    let (pieces, body) = mpsc::channel(1);
    let asked = sender.send_request(request("/").header("connection", "te").body(Pieces(body)).unwrap());
    for piece in ["one ", "two"] {
        pieces.send(Bytes::from(piece)).await.unwrap();
    }
    drop(pieces);
    let answer = asked.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["body"], "one two");

    sender.ready().await.unwrap();
    let (none, body) = mpsc::channel(1);
    drop(none);
    let mut body = sender.send_request(request("/stream").body(Pieces(body)).unwrap()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one", "the second piece waits for `go`");
    ground.write("go", "");
    let rest = body.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["x-sum"], "6");
    assert_eq!(rest.to_bytes(), "two");
    drop(sender);
    running.stopped().await.unwrap();
}

/// A body that is written while it is sent.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_connection_may_become_something_else() {
    let ground = ground(None);
    let mut running = ground.ready().await;
    let mut stream = ground.spec.listen.connect().await.unwrap();
    let ask = "GET /switch HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket"), "{head}");
    let mut echo = async |text: &str| {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        String::from_utf8(back).unwrap()
    };
    assert_eq!(echo("hello").await, "HELLO");
    running.stop();
    until("it drains", || ground.status().filter(|status| status.phase == Phase::Draining)).await;
    assert_eq!(echo("again").await, "AGAIN", "a drain waits for it");
    drop(stream);
    running.ended().await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_is_replaced_and_only_what_it_held_is_lost() {
    let ground = ground(Some("/up"));
    let running = ground.ready().await;
    let first = pid(&running).await;
    let message = ask(&running, "GET", "/die").await.refused(502, "predictor_died");
    assert!(message.contains("ended before it answered"), "{message}");
    // Its listening socket may outlive its connections by a moment.
    until_gone(first).await;
    let second = pid(&running).await;
    assert_ne!(first, second);
    kill_process(second, Signal::KILL).unwrap();
    until_gone(second).await;
    assert_ne!(pid(&running).await, second, "who comes meanwhile waits");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_well_is_replaced() {
    let mut ground = ground(Some("/up"));
    ground.limits.probe = std::time::Duration::from_millis(5);
    let running = ground.ready().await;
    let first = pid(&running).await;
    ground.write("ill", "");
    until_gone(first).await;
    fs::remove_file(ground.path("ill")).unwrap();
    assert_ne!(pid(&running).await, first);
    assert!(log().contains("`/up` failed 3 times in a row"));
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn gives_up_when_no_replacement_starts() {
    let ground = ground(None);
    let running = ground.ready().await;
    let first = pid(&running).await;
    ground.write("project/predictor.py", "raise SystemExit(7)");
    kill_process(first, Signal::KILL).unwrap();
    running.ended().await.unwrap_err();
    let message = ground.status().unwrap().message;
    assert_eq!(
        message,
        "the server could not be replaced, 5 times in a row; the last time: it ended (exit status: 7) before it was ready"
    );
}

#[tokio::test]
async fn says_why_it_does_not_start() {
    let mut ground = ground(None);
    let failure = async |ground: &Ground| ground.failure().await;
    container(&mut ground).command = vec!["a-program-that-is-not-there".to_owned()];
    let log = "; its output is in the log";
    assert_eq!(
        failure(&ground).await,
        format!("the server does not start: `a-program-that-is-not-there` is not there{log}")
    );
    container(&mut ground).command = vec!["./predictor.py".to_owned()];
    assert_eq!(failure(&ground).await, format!("the server does not start: `./predictor.py` may not be executed{log}"));
    container(&mut ground).command = ["sh", "-c", "exit 9"].map(str::to_owned).into();
    let message = failure(&ground).await;
    assert_eq!(message, format!("the server does not start: it ended (exit status: 9) before it was ready{log}"));
    container(&mut ground).command = ["sleep", "600"].map(str::to_owned).into();
    ground.limits.init = std::time::Duration::from_millis(50);
    let message = failure(&ground).await;
    assert!(message.contains("was not ready after 0 s: it took no connections at port "), "{message}");
}

#[tokio::test]
async fn what_is_above_max_concurrency_and_queue_is_refused() {
    let mut ground = ground(None);
    container(&mut ground).max_concurrency = 1;
    ground.spec.max_replica_concurrency = Some(1);
    let running = ground.ready().await;
    let address = ground.spec.listen.clone();
    let mut stream = address.connect().await.unwrap();
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    until_exists(&ground.path("arrived")).await;
    ask(&running, "GET", "/").await.refused(503, "overloaded");
    ground.write("go", "");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(ask(&running, "GET", "/").await.status, 201);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn what_is_passed_on_is_measured() {
    let ground = ground(None);
    let running = ground.ready().await;
    told(&running).await;
    let page = crate::metrics::page(&running).await;
    for wanted in [
        "cortex_replica_requests_total{outcome=\"ok\"} 1",
        "cortex_replica_queue_duration_seconds_count 1",
        "cortex_replica_predict_duration_seconds_count 1",
    ] {
        assert!(page.lines().any(|line| line == wanted), "{wanted} is not in\n{page}");
    }
}
