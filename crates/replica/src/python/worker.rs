//! One worker process: a Python interpreter that holds one predictor object.
//!
//! Its standard input is one end of a socket pair, over which frames go both ways; standard output and error stay the
//! predictor's own and become log lines. A private socket needs no port, no file and no authentication, and it tells
//! both sides at once when the other one dies: the worker ends at end-of-file, so none outlives its replica.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::{
    io::BufReader,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    failure::{Kind, StartFailure},
    frame::{self, ErrorKind, FromWorker, ToWorker},
};
use crate::{
    exchange::{Reply, Request},
    lines::each_line,
    predictor::PredictError,
};

/// How long the answers that a dead worker had already written may take to be read, and how long a worker that closed
/// its socket may take to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All that is needed to start a worker, as often as one is needed.
#[derive(Debug)]
pub(super) struct Launch {
    /// The virtual environment's interpreter, or the plain one.
    pub(super) python: PathBuf,
    /// `worker.py`, unpacked.
    pub(super) script: PathBuf,
    pub(super) project: PathBuf,
    pub(super) python_path: PathBuf,
    /// The predictor's file, relative to the project.
    pub(super) path: String,
    pub(super) config: Map<String, Value>,
    /// Values may be secret: never logged.
    pub(super) env: BTreeMap<String, String>,
    pub(super) threads: u32,
    pub(super) init: Duration,
}

type Outcome = Result<Reply, PredictError>;
/// Who waits for which answer; `None` once the worker is gone, so that nobody begins to wait.
type Waiting = Mutex<Option<HashMap<u64, Waiter>>>;

#[derive(Debug)]
struct Waiter {
    request_id: String,
    answer: oneshot::Sender<Outcome>,
}

/// A worker that is ready for requests.
#[derive(Debug)]
pub(super) struct Worker {
    outbox: mpsc::UnboundedSender<(ToWorker, Bytes)>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    pub(super) in_flight: AtomicUsize,
    pub(super) pid: u32,
}

/// The process behind a [`Worker`]; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    child: Interpreter,
    reader: JoinHandle<()>,
    waiting: Arc<Waiting>,
}

/// The operating system's side of a worker.
#[derive(Debug)]
struct Interpreter {
    child: Child,
    pid: u32,
    /// Turns its output into log lines.
    output: JoinHandle<()>,
}

impl Launch {
    /// Starts a worker and waits until its predictor is ready.
    pub(super) async fn start(&self) -> Result<(Arc<Worker>, Process), StartFailure> {
        let failed = |error: io::Error| StartFailure(Kind::Spawn(error.to_string()));
        let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let mut child = Interpreter::of(self.command(theirs).spawn().map_err(failed)?);
        let pid = child.pid;
        let (reader, mut writer) = UnixStream::from_std(ours).map_err(failed)?.into_split();
        let mut reader = BufReader::new(reader);
        let failure = match timeout(self.init, self.initialize(&mut reader, &mut writer)).await {
            Ok(Ok(())) => None,
            // Its last lines must be in the log before anybody reads there why it failed.
            Ok(Err(Some(failure))) => {
                child.end().await;
                Some(failure)
            }
            Ok(Err(None)) => Some(Kind::Died { path: self.path.clone(), how: child.end().await }),
            Err(_) => Some(Kind::TooSlow { path: self.path.clone(), limit: self.init }),
        };
        if let Some(failure) = failure {
            return Err(StartFailure(failure));
        }
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let (outbox, inbox) = mpsc::unbounded_channel();
        tokio::spawn(write_frames(writer, inbox));
        let reader = tokio::spawn(read_frames(reader, pid, Arc::clone(&waiting)));
        let worker = Worker {
            outbox,
            waiting: Arc::clone(&waiting),
            next_id: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
            pid,
        };
        Ok((Arc::new(worker), Process { child, reader, waiting }))
    }

    fn command(&self, socket: StdUnixStream) -> Command {
        let mut command = Command::new(&self.python);
        let mut python_path: OsString = self.python_path.clone().into();
        if let Some(more) = self.env.get("PYTHONPATH") {
            python_path.push(":");
            python_path.push(more);
        }
        command
            .arg("-u")
            .arg(&self.script)
            .current_dir(&self.project)
            // The bundle is read-only by contract: no __pycache__ in it.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(&self.env)
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONPATH", python_path)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Waits until the predictor is ready. `Err(None)` if the worker closed the socket without a word.
    async fn initialize(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) -> Result<(), Option<Kind>> {
        let init = ToWorker::Init {
            path: self.path.clone(),
            python_path: self.python_path.to_string_lossy().into_owned(),
            project: self.project.to_string_lossy().into_owned(),
            config: self.config.clone(),
            threads: self.threads,
        };
        frame::write(writer, &init, &[]).await.map_err(|_| None)?;
        match frame::read(reader).await {
            Ok(Some((FromWorker::Ready, _))) => Ok(()),
            Ok(Some((FromWorker::Failed { stage, message, traceback }, _))) => {
                let traceback = traceback.filter(|text| !text.is_empty()).unwrap_or_else(|| message.clone());
                tracing::error!(target: "predictor", "{}", traceback.trim_end());
                Err(Some(Kind::Refused { path: self.path.clone(), stage, message }))
            }
            Ok(Some((frame, _))) => Err(Some(Kind::Protocol(format!("it said {frame:?} before it was ready")))),
            Ok(None) => Err(None),
            // A reset is what a worker that was killed with our frame unread looks like.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(None),
            Err(error) => Err(Some(Kind::Protocol(error.to_string()))),
        }
    }
}

impl Worker {
    /// Hands the request over. `Err` gives it back if the worker is gone and has not seen it.
    pub(super) fn predict(&self, request: Request) -> Result<oneshot::Receiver<Outcome>, Box<Request>> {
        let (answer, answered) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, Waiter { request_id: request.id.clone(), answer }),
            None => return Err(Box::new(request)),
        };
        let content_type = request.content_type().map(str::to_owned);
        let headers = request.headers().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let (query, body) = (request.query(), request.body);
        // If this fails the worker is being buried, and `answer` with it.
        let _ = self.outbox.send((ToWorker::Predict { id, content_type, headers, query }, body));
        Ok(answered)
    }

    pub(super) fn is_alive(&self) -> bool {
        lock(&self.waiting).is_some()
    }

    /// Asks it to end once it has answered what it has.
    pub(super) fn stop(&self) {
        let _ = self.outbox.send((ToWorker::Stop, Bytes::new()));
    }
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Waits for the end of the process, answers the requests it held, and says how it ended.
    pub(super) async fn ended(mut self) -> String {
        tokio::select! {
            _ = self.child.child.wait() => {
                // A child of the worker may still hold the socket open, so there may be no end-of-file.
                let _ = timeout(LAST_WORDS, &mut self.reader).await;
            }
            _ = &mut self.reader => {}
        }
        self.reader.abort();
        bury(&self.waiting);
        self.child.end().await
    }
}

impl Interpreter {
    fn of(mut child: Child) -> Self {
        let pid = child.id().unwrap_or_default();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let output = tokio::spawn(async move {
            tokio::join!(
                async {
                    if let Some(pipe) = stdout {
                        let log = |line: &str| tracing::info!(target: "predictor", stream = "stdout", pid, "{line}");
                        each_line(pipe, log).await;
                    }
                },
                async {
                    if let Some(pipe) = stderr {
                        let log = |line: &str| tracing::info!(target: "predictor", stream = "stderr", pid, "{line}");
                        each_line(pipe, log).await;
                    }
                },
            );
        });
        Self { child, pid, output }
    }

    /// How the process ended, which is by a kill if it takes too long. Its output is in the log by then.
    async fn end(&mut self) -> String {
        let status = match timeout(LAST_WORDS, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                let _ = self.child.start_kill();
                self.child.wait().await
            }
        };
        // A child of the worker may hold the pipes open.
        let _ = timeout(LAST_WORDS, &mut self.output).await;
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// Everybody who waits is told that the worker is gone.
fn bury(waiting: &Waiting) {
    for (_, waiter) in lock(waiting).take().into_iter().flatten() {
        tracing::error!(request_id = %waiter.request_id, "the worker process that held this request ended");
        let _ = waiter.answer.send(Err(PredictError::Died));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task of its own, so that no frame is ever written by half.
async fn write_frames(mut writer: OwnedWriteHalf, mut inbox: mpsc::UnboundedReceiver<(ToWorker, Bytes)>) {
    while let Some((header, body)) = inbox.recv().await {
        if let Err(error) = frame::write(&mut writer, &header, &body).await {
            tracing::debug!("cannot write to a worker process: {error}");
            return;
        }
    }
}

async fn read_frames(mut reader: BufReader<OwnedReadHalf>, pid: u32, waiting: Arc<Waiting>) {
    loop {
        match frame::read(&mut reader).await {
            Ok(Some((FromWorker::Result { id, content_type }, body))) => {
                if let Some(waiter) = take(&waiting, id) {
                    let _ = waiter.answer.send(Reply::of_type(&content_type, body));
                }
            }
            Ok(Some((FromWorker::Error { id, kind, message, traceback }, _))) => {
                if let Some(waiter) = take(&waiting, id) {
                    log_error(&waiter.request_id, pid, kind, &message, traceback);
                    let _ = waiter.answer.send(Err(predict_error(kind, message)));
                }
            }
            Ok(Some((frame, _))) => {
                tracing::error!(pid, "a worker process said {frame:?} after it was ready");
                return;
            }
            Ok(None) => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
            Err(error) => {
                tracing::error!(pid, "a worker process cannot be understood: {error}");
                return;
            }
        }
    }
}

fn take(waiting: &Waiting, id: u64) -> Option<Waiter> {
    lock(waiting).as_mut()?.remove(&id)
}

/// The caller's mistakes are the caller's to read; the predictor's go to the log.
fn log_error(request_id: &str, pid: u32, kind: ErrorKind, message: &str, traceback: Option<String>) {
    if kind != ErrorKind::BadRequest {
        let text = traceback.filter(|text| !text.is_empty()).unwrap_or_else(|| message.to_owned());
        tracing::error!(target: "predictor", request_id, pid, "{}", text.trim_end());
    }
}

fn predict_error(kind: ErrorKind, message: String) -> PredictError {
    match kind {
        ErrorKind::BadRequest => PredictError::BadRequest(message),
        ErrorKind::BadResponse => PredictError::BadResponse(message),
        ErrorKind::PredictorRaised => PredictError::Raised { exception: exception_type(&message) },
    }
}

/// `ValueError` of `ValueError: no such thing (predictor.py, line 7)`. The rest is the predictor's business and stays in
/// the log.
fn exception_type(message: &str) -> Option<String> {
    let end = message.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(message.len());
    let (name, rest) = message.split_at(end);
    let is_type = !name.is_empty() && (rest.is_empty() || rest.starts_with(':') || rest.starts_with(" ("));
    is_type.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::exception_type;

    #[test]
    fn only_the_type_of_an_exception_is_told() {
        assert_eq!(exception_type("ValueError: secret: 42").as_deref(), Some("ValueError"));
        assert_eq!(exception_type("KeyError (predictor.py, line 7)").as_deref(), Some("KeyError"));
        assert_eq!(exception_type("KeyError").as_deref(), Some("KeyError"));
        assert_eq!(exception_type("my.module.Error: x").as_deref(), Some("my.module.Error"));
        assert_eq!(exception_type("the secret is out"), None);
        assert_eq!(exception_type(""), None);
    }
}
