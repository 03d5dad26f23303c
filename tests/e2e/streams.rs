//! Answers that come piece by piece, and WebSockets, through TLS, gateway and replica: what is there arrives before what is
//! not there yet.

use reqwest::Response;
use serde_json::{Value, json};
use testkit::{Answer, Cluster, Version, eventually, project, raw};

use crate::{
    gate::{self, Gate},
    websocket::{self, CLOSE, PING, PONG, Socket, TEXT},
};

/// A server of the user's own, of Python's standard library: events, each of which waits to be let go, and a WebSocket.
const SERVER: &str = r#"
import base64, hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# RFC 6455, 1.3.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/events/"):
            self.events(self.path.removeprefix("/events/"))
        elif self.headers.get("upgrade", "").lower() == "websocket":
            self.chat()
        else:
            self.send_response(426)
            self.send_header("content-length", "0")
            self.end_headers()

    def events(self, name):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(3):
            wait(f"{name}-{number}")
            event = f"id: {number}\ndata: of {name}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def chat(self):
        key = self.headers["sec-websocket-key"] + GUID
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.say(1, f"welcome to {self.path}".encode())
        kind = None
        while kind != 8:
            kind, payload = self.hear()
            # A pong for a ping, and what came for anything else.
            self.say(10 if kind == 9 else kind, payload)
        self.close_connection = True

    def hear(self):
        first, second = self.rfile.read(2)
        assert first & 0x80 and second & 0x80, "a whole message, and masked"
        length = second & 0x7f
        if length >= 126:
            length = int.from_bytes(self.rfile.read(2 if length == 126 else 8), "big")
        mask, payload = self.rfile.read(4), self.rfile.read(length)
        return first & 0x0f, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    def say(self, kind, payload):
        length = len(payload)
        size = bytes([length]) if length < 126 else bytes([126]) + length.to_bytes(2, "big")
        self.wfile.write(bytes([0x80 | kind]) + size + payload)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Counts as far as it is asked to, each number when it may; or says much for ever.
const COUNTS: &str = r#"
import itertools

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        name = payload["name"]
        try:
            for number in range(payload["to"]) if "to" in payload else itertools.count():
                if "to" in payload:
                    wait(f"{name}-{number}")
                if number == payload.get("fail"):
                    raise ValueError("midway")
                yield {"n": number} if "to" in payload else "x" * 65536
        finally:
            reach(f"{name}-closed")
"#;

fn own_server(gate: &Gate, cluster: &Cluster) {
    cluster.cortex.write("own/server.py", format!("{}{SERVER}", gate::PYTHON));
    let text = "- name: own\n  kind: RealtimeAPI\n  container:\n    command: [python3, server.py]\n";
    cluster.cortex.write("own/cortex.yaml", format!("{text}{}", gate.env()));
    cluster.deploy("own/cortex.yaml");
}

fn counts(gate: &Gate, cluster: &Cluster) {
    let source = format!("{}{COUNTS}", gate::PYTHON);
    cluster.deploy(&project::python(&cluster.cortex, "counts", &source, &gate.env()));
}

/// The head of the predictor's answer.
async fn begin(cluster: &Cluster, version: Version, payload: &Value) -> Response {
    let request = raw(&cluster.ca, version).post(format!("{}/counts", cluster.api_endpoint)).bearer_auth(&cluster.key);
    let request = request.header("content-type", "application/json").body(payload.to_string());
    request.send().await.expect("a head")
}

/// What comes next of a body, so many bytes of it.
async fn next(response: &mut Response, length: usize) -> String {
    let mut text = Vec::new();
    while text.len() < length {
        let chunk = response.chunk().await.unwrap_or_else(|error| panic!("after {text:?}: {error:?}"));
        text.extend_from_slice(&chunk.unwrap_or_else(|| panic!("it ended after {text:?}")));
    }
    String::from_utf8(text).expect("UTF-8")
}

fn is_stream(response: &Response, version: Version, content_type: &str) {
    let spoken = match version {
        Version::Http1 => http::Version::HTTP_11,
        Version::Http2 => http::Version::HTTP_2,
    };
    assert_eq!((response.status().as_u16(), response.version()), (200, spoken), "{response:?}");
    assert_eq!(response.headers()["content-type"], content_type);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_server_come_when_they_are_sent() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    own_server(&gate, &cluster);
    for version in [Version::Http1, Version::Http2] {
        let url = format!("{}/own/events/{version:?}", cluster.api_endpoint);
        let request = raw(&cluster.ca, version).get(url).bearer_auth(&cluster.key);
        let mut response = request.send().await.expect("a head before the first event");
        is_stream(&response, version, "text/event-stream");
        for number in 0..3 {
            gate.open(&format!("{version:?}-{number}"));
            let event = format!("id: {number}\ndata: of {version:?}\n\n");
            assert_eq!(next(&mut response, event.len()).await, event);
        }
        assert_eq!(response.bytes().await.expect("an end"), "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_a_generator_come_when_they_are_made() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    counts(&gate, &cluster);
    for version in [Version::Http1, Version::Http2] {
        gate.open(&format!("{version:?}-0"));
        let name = format!("{version:?}");
        let mut response = begin(&cluster, version, &json!({ "name": name, "to": 4 })).await;
        is_stream(&response, version, "application/x-ndjson");
        for number in 0..4 {
            let piece = format!("{{\"n\":{number}}}\n");
            assert_eq!(next(&mut response, piece.len()).await, piece);
            gate.open(&format!("{name}-{}", number + 1));
        }
        assert_eq!(response.bytes().await.expect("an end"), "");

        // What is raised in the middle is not taken for the end.
        let name = format!("{version:?}-fails");
        gate.open(&format!("{name}-0"));
        let mut response = begin(&cluster, version, &json!({ "name": name, "to": 4, "fail": 1 })).await;
        assert_eq!(next(&mut response, 8).await, "{\"n\":0}\n");
        gate.open(&format!("{name}-1"));
        let id = response.headers()["x-request-id"].to_str().expect("ASCII").to_owned();
        response.bytes().await.expect_err("it is not whole");
        eventually("the traceback is in the log", async || {
            let logs = cluster.run(&["logs", "counts", "-o", "json"]).ok();
            let told = logs.stdout.lines().any(|line| line.contains(&id) && line.contains("ValueError: midway"));
            if told { Ok(()) } else { Err(logs.to_string()) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_ends_the_generator() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    counts(&gate, &cluster);
    for version in [Version::Http1, Version::Http2] {
        let mut response = begin(&cluster, version, &json!({ "name": format!("{version:?}") })).await;
        assert!(next(&mut response, 8).await.starts_with("xxxxxxxx"));
        assert!(!gate.is_reached(&format!("{version:?}-closed")));
        drop(response);
        gate.reached(&format!("{version:?}-closed")).await;
    }
    assert!(cluster.get("counts")["replicas_detail"][0]["restarts"] == 0, "nobody was killed for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_is_opened_talked_over_and_closed() {
    let cluster = Cluster::up();
    let gate = Gate::new(&cluster);
    own_server(&gate, &cluster);
    let (head, _) = Socket::open(&cluster, "/own/chat", "").await;
    assert!(head.starts_with("HTTP/1.1 401 "), "without a key: {head}");

    let key = format!("authorization: Bearer {}\r\n", cluster.key);
    let (head, mut socket) = Socket::open(&cluster, "/own/chat?room=1", &key).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for (name, value) in [("upgrade", "websocket"), ("sec-websocket-accept", websocket::ACCEPT)] {
        let told = |line: &str| line.split_once(": ").is_some_and(|(n, v)| n.eq_ignore_ascii_case(name) && v == value);
        assert!(head.lines().any(told), "{name}: {value}: {head}");
    }
    // The server may speak first.
    assert_eq!(socket.hear().await, (TEXT, b"welcome to /chat?room=1".to_vec()));
    for text in ["hello", "", &"long ".repeat(10_000)] {
        socket.say(TEXT, text.as_bytes()).await;
        assert_eq!(socket.hear().await, (TEXT, text.as_bytes().to_vec()));
    }
    socket.say(PING, b"there?").await;
    assert_eq!(socket.hear().await, (PONG, b"there?".to_vec()));
    let normal = 1000_u16.to_be_bytes();
    socket.say(CLOSE, &normal).await;
    assert_eq!(socket.hear().await, (CLOSE, normal.to_vec()));
    assert_eq!(socket.rest().await, b"", "whoever serves closes");

    // What asks for no WebSocket gets the server's own answer.
    let request = raw(&cluster.ca, Version::Http2).get(format!("{}/own/chat", cluster.api_endpoint));
    assert_eq!(Answer::of(request.bearer_auth(&cluster.key)).await.expect("an answer").status, 426);
}
