//! An STS over real HTTP on this machine: honest by default, or whatever the test tells it to be.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity::{
    Secret,
    sts::{AwsCredentials, STS_BODY},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::aws::{error_xml, identity_xml, signature};

pub const ACCOUNT: &str = "123456789012";

/// What it does with a request.
#[derive(Clone, Default)]
pub enum Mood {
    /// Computes the signature and tells whose it is.
    #[default]
    Honest,
    /// Sends these bytes and closes the connection.
    Says(Vec<u8>),
    /// Sends these bytes again and again until the caller hangs up.
    NeverStops { first: Vec<u8>, again: Vec<u8> },
    /// Says nothing.
    Silent,
    /// Answers the first request of a connection, honestly, and hangs up at the next.
    OncePerConnection,
    /// Hangs up at every request.
    HangsUp,
    /// One byte of an honest answer in this time.
    Trickles(Duration),
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

#[derive(Default)]
struct Shared {
    keys: Mutex<HashMap<String, (AwsCredentials, String)>>,
    mood: Mutex<Mood>,
    seen: Mutex<Vec<Seen>>,
    written: AtomicUsize,
}

pub struct ScriptedSts {
    shared: Arc<Shared>,
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for ScriptedSts {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ScriptedSts {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { shared, address, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().expect("unpoisoned") = mood;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("unpoisoned").clone()
    }

    pub fn asked(&self) -> usize {
        self.shared.seen.lock().expect("unpoisoned").len()
    }

    /// Bytes that callers took.
    pub fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// A key of that identity.
    pub fn key(&self, arn: &str, user_id: &str, token: Option<&str>) -> AwsCredentials {
        let mut keys = self.shared.keys.lock().expect("unpoisoned");
        let credentials = AwsCredentials {
            access_key_id: format!("AKIDEXAMPLE{:09}", keys.len() + 1),
            secret_access_key: Secret::new(format!("the secret of {arn}")),
            session_token: token.map(Secret::new),
        };
        let account = arn.split(':').nth(4).expect("an account");
        let answer = identity_xml(arn, user_id, account);
        keys.insert(credentials.access_key_id.clone(), (credentials.clone(), answer));
        credentials
    }

    pub fn alice(&self) -> AwsCredentials {
        self.key(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", None)
    }

    pub fn forget(&self, credentials: &AwsCredentials) {
        self.shared.keys.lock().expect("unpoisoned").remove(&credentials.access_key_id);
    }
}

/// A whole HTTP answer.
pub fn http(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    let mut answered = false;
    while let Some(request) = read(&mut stream).await {
        let answer = judge(&request, &shared);
        shared.seen.lock().expect("unpoisoned").push(request);
        let mood = shared.mood.lock().expect("unpoisoned").clone();
        match mood {
            Mood::HangsUp => {}
            Mood::OncePerConnection if answered => {}
            Mood::Honest | Mood::OncePerConnection => {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
                answered = true;
                continue;
            }
            Mood::Says(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Mood::NeverStops { first, again } => {
                let mut chunk = first;
                while stream.write_all(&chunk).await.is_ok() {
                    shared.written.fetch_add(chunk.len(), Ordering::SeqCst);
                    chunk.clone_from(&again);
                }
            }
            Mood::Silent => {
                let _ = stream.read(&mut [0; 1]).await;
            }
            Mood::Trickles(pause) => {
                for byte in answer {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
        let _ = stream.shutdown().await;
        return;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { line: lines.remove(0), headers, body: String::from_utf8(body).ok()? })
}

/// As AWS does: only the headers that are named as signed count.
fn judge(request: &Seen, shared: &Shared) -> Vec<u8> {
    let refuse = |code: &str| http(403, "text/xml", &error_xml(code));
    let header =
        |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let Some(fields) = header("authorization").and_then(|value| value.strip_prefix("AWS4-HMAC-SHA256 ")) else {
        return refuse("MissingAuthenticationToken");
    };
    let field = |wanted: &str| {
        fields.split(", ").find_map(|field| field.strip_prefix(wanted)?.strip_prefix('=')).unwrap_or_default()
    };
    let credential: Vec<&str> = field("Credential").split('/').collect();
    let keys = shared.keys.lock().expect("unpoisoned");
    let Some((key, answer)) = keys.get(credential[0]) else { return refuse("InvalidClientTokenId") };
    if header("x-amz-security-token") != key.session_token.as_ref().map(Secret::expose) {
        return refuse("InvalidClientTokenId");
    }
    let signed: Vec<(String, String)> = field("SignedHeaders")
        .split(';')
        .map(|name| (name.to_owned(), header(name).unwrap_or_default().to_owned()))
        .collect();
    let own = signature(key.secret_access_key.expose(), credential[2], &signed, &request.body);
    if request.line != "POST / HTTP/1.1" || request.body != STS_BODY || own != field("Signature") {
        return refuse("SignatureDoesNotMatch");
    }
    http(200, "text/xml", answer)
}
