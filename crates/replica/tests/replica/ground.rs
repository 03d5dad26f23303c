//! A directory, a spec, a replica running on it, and a client.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use api::replica::{Phase, ReplicaSpec, ReplicaStatus};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use replica::{Error, Limits, run_with};
use serde_json::{Map, Value, json};
use spec::realtime::{Predictor, PredictorType, Program};
use tokio::{sync::oneshot, task::JoinHandle};
use transport::Address;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Ground {
    pub directory: tempfile::TempDir,
    pub spec: ReplicaSpec,
    pub limits: Limits,
}

impl Ground {
    /// A Python predictor with this source.
    pub fn python(source: &str) -> Self {
        let ground = Self::new(PredictorType::Python, "predictor.py");
        ground.write("project/predictor.py", source.as_bytes());
        ground
    }

    pub fn onnx(model: &[u8]) -> Self {
        let mut ground = Self::new(PredictorType::Onnx, "model.onnx");
        ground.write("project/model.onnx", model);
        ground.spec.cache = shared_cache();
        ground
    }

    fn new(kind: PredictorType, path: &str) -> Self {
        log();
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("project")).unwrap();
        let predictor = Predictor {
            r#type: kind,
            path: path.to_owned(),
            config: Map::new(),
            env: [("GROUND".to_owned(), directory.path().display().to_string())].into(),
            python_path: None,
            processes_per_replica: 1,
            threads_per_process: 1,
            server_side_batching: None,
            request_timeout: None,
        };
        let spec = ReplicaSpec {
            api: "digits".to_owned(),
            version: "v1".to_owned(),
            replica: "digits-v1-abc".to_owned(),
            program: Program::Predictor(predictor),
            project: at("project"),
            listen: Address::Unix(at("s")),
            status_file: at("status.json"),
            cache: at("cache"),
            python: "python3".into(),
            onnxruntime: None,
            drain_timeout: DEADLINE,
            mem_bytes: None,
            max_replica_concurrency: None,
        };
        let limits = Limits {
            grace: Duration::from_millis(50),
            backoff: Duration::from_millis(1),
            close: DEADLINE,
            ..Limits::default()
        };
        Self { directory, spec, limits }
    }

    pub fn predictor(&mut self) -> &mut Predictor {
        self.spec.program.predictor_mut().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A shell script to stand in for the interpreter.
    pub fn script(&self, text: &str) -> PathBuf {
        self.write("python", format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(self.path("python"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        self.path("python")
    }

    pub fn status(&self) -> Option<ReplicaStatus> {
        ReplicaStatus::read(&self.spec.status_file).unwrap()
    }

    /// Runs a replica until it is ready.
    pub async fn ready(&self) -> Running {
        // Of a run before this one.
        let _ = fs::remove_file(&self.spec.status_file);
        let running = self.start();
        let status =
            until("the replica is past its start", || self.status().filter(|status| status.phase != Phase::Starting))
                .await;
        assert_eq!(status.phase, Phase::Ready, "{}", status.message);
        running
    }

    pub fn start(&self) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let (spec, limits) = (self.spec.clone(), self.limits.clone());
        let run = async move {
            let stop = async {
                let _ = stopped.await;
            };
            run_with(spec, stop, limits).await
        };
        Running { stop: Some(stop), task: tokio::spawn(run), address: self.spec.listen.clone() }
    }

    /// For a replica that the test runs itself.
    pub fn beside(&self) -> Running {
        Running { stop: None, task: tokio::spawn(async { Ok(()) }), address: self.spec.listen.clone() }
    }

    /// Runs a replica that fails, and gives the text of its status.
    pub async fn failure(&self) -> String {
        self.start().ended().await.expect_err("the replica fails");
        let status = self.status().expect("a status was written");
        assert_eq!(status.phase, Phase::Failed, "{}", status.message);
        status.message
    }
}

pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
    address: Address,
}

impl Running {
    pub fn stop(&mut self) {
        self.stop.take();
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end without asking for it.
    pub async fn ended(mut self) -> Result<(), Error> {
        tokio::time::timeout(DEADLINE, &mut self.task).await.expect("the replica ends in time").unwrap()
    }

    pub async fn stopped(mut self) -> Result<(), Error> {
        self.stop();
        self.ended().await
    }

    pub async fn connect(&self) -> Connection {
        connect(&self.address).await
    }

    pub async fn post(&self, body: &str) -> Answer {
        self.connect().await.post("/", body).await
    }

    /// [`Self::post`] as a task of its own.
    pub fn posting(&self, body: &str) -> JoinHandle<Answer> {
        let (address, body) = (self.address.clone(), body.to_owned());
        tokio::spawn(async move { connect(&address).await.post("/", &body).await })
    }
}

async fn connect(address: &Address) -> Connection {
    let stream = address.connect().await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    Connection { sender, driver: tokio::spawn(connection) }
}

/// A connection that stays open until it is dropped or the replica closes it.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Connection {
    pub async fn post(&mut self, path: &str, body: &str) -> Answer {
        let request = http::Request::post(path).header("content-type", "application/json").header("x-request-id", "r1");
        self.send(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    pub async fn send(&mut self, mut request: http::Request<Full<Bytes>>) -> Answer {
        self.sender.ready().await.expect("the connection is open");
        request.headers_mut().insert("host", http::HeaderValue::from_static("replica"));
        let response = tokio::time::timeout(DEADLINE, self.sender.send_request(request)).await.unwrap().unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.map(http_body_util::Collected::to_bytes).unwrap(),
        }
    }

    /// [`Self::post`], for those who read the answer as it comes.
    pub async fn begin(&mut self, body: &str) -> http::Response<hyper::body::Incoming> {
        self.sender.ready().await.expect("the connection is open");
        let request = http::Request::post("/").header("host", "replica").header("content-type", "application/json");
        let request = request.header("x-request-id", "r1").body(Full::from(body.to_owned())).unwrap();
        tokio::time::timeout(DEADLINE, self.sender.send_request(request)).await.unwrap().unwrap()
    }

    /// Whether the other side has closed it.
    pub fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The parsed body of a 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// Checks a refusal and gives its message.
    pub fn refused(&self, status: u16, kind: &str) -> String {
        let body = self.json();
        assert_eq!((self.status, &body["kind"]), (status, &json!(kind)), "{body}");
        assert_eq!(body["request_id"], "r1");
        body["message"].as_str().expect("a message").to_owned()
    }

    pub fn closes(&self) -> bool {
        self.headers.get("connection").is_some_and(|value| value == "close")
    }
}

/// Looks again and again until there is something.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// [`until`] for what is awaited.
pub async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, wanted).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

pub async fn until_exists(path: &Path) {
    until(&format!("{} exists", path.display()), || path.exists().then_some(())).await;
}

/// Kept between test runs: the ONNX Runtime library.
fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-cache")
}

static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();

/// What all replicas of this test process have logged.
pub fn log() -> String {
    let buffer = LOG.get_or_init(|| {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&buffer);
        tracing_subscriber::fmt().json().with_writer(move || LogWriter(Arc::clone(&writer))).init();
        buffer
    });
    String::from_utf8_lossy(&buffer.lock().unwrap()).into_owned()
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
