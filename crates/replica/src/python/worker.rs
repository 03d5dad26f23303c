//! One worker process: a Python interpreter that holds one predictor object.
//!
//! Its standard input is one end of a socket pair, over which frames go both ways; standard output and error stay the
//! predictor's own and become log lines. A private socket needs no port, no file and no authentication, and it tells
//! both sides at once when the other one dies: the worker ends at end-of-file, so none outlives its replica.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use super::{
    failure::{Kind, StartFailure},
    frame::{self, Failed, Init, Ready},
    link::{Incoming, Link},
    watch,
};
use crate::lines::output_of;

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
    /// The predictor gets lists.
    pub(super) batching: bool,
    pub(super) init: Duration,
}

/// A worker that is ready, what it says, and its process.
pub(super) type Started = (Arc<Worker>, Incoming, Process);

/// A worker that is ready for requests.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) link: Link,
    pub(super) ready: Ready,
    pub(super) pid: u32,
    /// Bytes of memory that it had when it was ready.
    pub(super) resident_at_start: u64,
    pub(super) told_of_memory: AtomicBool,
    /// Told when it is to be killed because it hangs.
    pub(super) hangs: Notify,
}

/// The process behind a [`Worker`]; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    child: Interpreter,
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
    /// Starts a worker and waits until its predictor is ready, which says something of itself.
    pub(super) async fn start(&self) -> Result<(Started, Bytes), StartFailure> {
        let failed = |error: io::Error| StartFailure(Kind::Spawn(error.to_string()));
        let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let mut child = Interpreter::of(self.command(theirs).spawn().map_err(failed)?);
        let pid = child.pid;
        let (link, mut incoming) = Link::new(UnixStream::from_std(ours).map_err(failed)?);
        let failure = match timeout(self.init, self.initialize(&link, &mut incoming)).await {
            Ok(Ok((ready, said))) => {
                let worker = Worker {
                    link,
                    ready,
                    pid,
                    resident_at_start: watch::resident(pid).unwrap_or_default(),
                    told_of_memory: AtomicBool::new(false),
                    hangs: Notify::new(),
                };
                return Ok(((Arc::new(worker), incoming, Process { child }), said));
            }
            // Its last lines must be in the log before anybody reads there why it failed.
            Ok(Err(Some(failure))) => {
                child.end().await;
                failure
            }
            Ok(Err(None)) => Kind::Died { path: self.path.clone(), how: child.end().await },
            Err(_) => Kind::TooSlow { path: self.path.clone(), limit: self.init },
        };
        Err(StartFailure(failure))
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
    async fn initialize(&self, link: &Link, incoming: &mut Incoming) -> Result<(Ready, Bytes), Option<Kind>> {
        let init = Init {
            path: &self.path,
            python_path: &self.python_path.to_string_lossy(),
            project: &self.project.to_string_lossy(),
            config: &self.config,
            threads: self.threads,
            batching: self.batching,
        };
        let wrong = |error: serde_json::Error| Some(Kind::Protocol(error.to_string()));
        link.push(frame::INIT, 0, &serde_json::to_vec(&init).map_err(wrong)?, Bytes::new());
        link.flush();
        let said = tokio::select! {
            said = incoming.read() => said,
            () = link.write_rest() => return Err(None),
        };
        let mut frames = said.map_err(|error| Some(Kind::Protocol(error.to_string())))?;
        let Some(frame) = frames.pop() else { return Err(None) };
        match frame.kind {
            frame::READY => Ok((serde_json::from_slice(&frame.meta).map_err(wrong)?, frame.body)),
            frame::FAILED => {
                let Failed { stage, message, traceback } = serde_json::from_slice(&frame.meta).map_err(wrong)?;
                let text = if traceback.is_empty() { &message } else { &traceback };
                tracing::error!(target: "predictor", "{}", text.trim_end());
                Err(Some(Kind::Refused { path: self.path.clone(), stage, message }))
            }
            kind => Err(Some(Kind::Protocol(format!("it said `{}` before it was ready", char::from(kind))))),
        }
    }
}

impl Worker {
    /// Asks it to end once it has answered what it has.
    pub(super) fn stop(&self) {
        self.link.send(frame::STOP, 0, b"");
    }
}

impl Process {
    /// Waits for the end of the process, and of what it says, and tells how it ended.
    pub(super) async fn ended(&mut self, worker: &Worker, mut reading: JoinHandle<()>) -> String {
        tokio::select! {
            _ = self.child.child.wait() => {
                // A child of the worker may still hold the socket open, so there may be no end-of-file.
                let _ = timeout(LAST_WORDS, &mut reading).await;
            }
            _ = &mut reading => {}
            () = worker.hangs.notified() => {
                self.child.tell_where_and_kill().await;
                // Other threads of it may have answered.
                let _ = timeout(LAST_WORDS, &mut reading).await;
            }
            () = async {
                worker.link.write_rest().await;
                std::future::pending::<()>().await;
            } => {}
        }
        reading.abort();
        self.child.end().await
    }
}

impl Interpreter {
    fn of(mut child: Child) -> Self {
        let pid = child.id().unwrap_or_default();
        let log = move |stream: &str, line: &str| tracing::info!(target: "predictor", stream, pid, "{line}");
        let output = output_of(&mut child, log);
        Self { child, pid, output }
    }

    /// Has the traceback of what it does in the log, then kills it.
    async fn tell_where_and_kill(&mut self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::USR2);
        }
        // It writes that in a signal handler, whatever it does otherwise.
        let _ = timeout(LAST_WORDS / 2, self.child.wait()).await;
        let _ = self.child.start_kill();
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
