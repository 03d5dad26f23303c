//! The process of the user's server and all that it starts, which is a process group.
//!
//! Nothing may outlive the replica, which may be killed without a word. Without `unsafe` there is no death signal to ask the
//! kernel for, so a shell waits beside the server for the end of a pipe whose other end only the replica holds, and then
//! kills the group. Where the replica has a container to itself the kernel does that, and there may be no shell.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use spec::realtime::PORT_MARK;
use tokio::{
    process::{Child, ChildStdin, Command},
    task::JoinHandle,
    time::timeout,
};

use super::probe;
use crate::{error::minutes, lines::output_of};

/// The first line keeps the pipe aside; the second is the guard, which has no other file open and no parent that would
/// have to wait for it; the third becomes the server.
const GUARDED: &str = r#"exec 3<&0 </dev/null
( (trap '' TERM INT HUP; cat <&3; kill -9 0) >/dev/null 2>&1 & )
exec 3<&-; exec "$@""#;

/// How long the last output of a server that has ended may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All that is needed to start the server, as often as one is needed.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) command: Vec<String>,
    /// Values may be secret: never logged.
    pub(super) env: BTreeMap<String, String>,
    pub(super) project: PathBuf,
    /// At which to listen; `None` for a free one.
    pub(super) port: Option<u16>,
    pub(super) readiness_path: Option<String>,
    /// From the start to being ready.
    pub(super) init: Duration,
}

/// A server that runs. Dropping it kills it and all that it started.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Of the process and of its group; 0 once both are gone, so that nobody else's is ever signalled.
    pid: u32,
    pub(super) port: u16,
    /// Turns its output into log lines.
    output: JoinHandle<()>,
    /// The replica's end of the guard's pipe.
    _guard: Option<ChildStdin>,
}

impl Launch {
    /// Starts the server and waits until it is ready; the text says why it is not.
    pub(super) async fn start(&self) -> Result<Server, String> {
        let port = match self.port {
            Some(port) => port,
            None => free_port().map_err(|error| format!("there is no free port: {error}"))?,
        };
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let child = self.command(port).spawn().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
        let mut server = Server::of(child, port);
        let early = tokio::select! {
            status = server.child.wait() => status,
            ready = timeout(self.init, probe::until_ready(port, self.readiness_path.as_deref())) => {
                return match ready {
                    Ok(()) => Ok(server),
                    Err(_) => Err(format!("it was not ready after {}: {}", minutes(self.init), self.unready(port))),
                };
            }
        };
        server.read_out().await;
        Err(match early {
            Ok(status) if status.code() == Some(127) => format!("`{program}` is not there"),
            Ok(status) if status.code() == Some(126) => format!("`{program}` may not be executed"),
            Ok(status) => format!("it ended ({status}) before it was ready"),
            Err(error) => error.to_string(),
        })
    }

    fn unready(&self, port: u16) -> String {
        match &self.readiness_path {
            Some(path) => format!("`{path}` did not answer with a status below 400 at port {port}"),
            None => format!("it took no connections at port {port}, which is in its variable PORT"),
        }
    }

    fn command(&self, port: u16) -> Command {
        let port = port.to_string();
        let mut arguments = self.command.iter().map(|argument| argument.replace(PORT_MARK, &port));
        let mut command = match self.port {
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", GUARDED, "sh"]).args(arguments).stdin(Stdio::piped());
                command
            }
            Some(_) => {
                let mut command = Command::new(arguments.next().unwrap_or_default());
                command.args(arguments).stdin(Stdio::null());
                command
            }
        };
        command
            .current_dir(&self.project)
            .envs(&self.env)
            .env("PORT", &port)
            .env("CORTEX_PORT", &port)
            // Python and others hold back lines that go into a pipe.
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Server {
    fn of(mut child: Child, port: u16) -> Self {
        let pid = child.id().unwrap_or_default();
        let guard = child.stdin.take();
        let log = move |stream: &str, line: &str| tracing::info!(target: "container", stream, pid, "{line}");
        let output = output_of(&mut child, log);
        Self { child, pid, port, output, _guard: guard }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end. Safe to drop and call again.
    pub(super) async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        self.read_out().await;
        told(status)
    }

    /// Asks it to end, and kills it if it has not after `grace`.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.signal(Signal::TERM);
        if timeout(grace, self.child.wait()).await.is_err() {
            tracing::warn!(pid = self.pid, "killing the server, which did not end by itself");
            self.kill().await;
        }
        self.read_out().await;
    }

    pub(super) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
        self.pid = 0;
    }

    /// To all of the group, which is there as long as one process of it is, the guard for one.
    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // There may be nobody left to hear it.
            let _ = kill_process_group(group, signal);
        }
    }

    /// What it has written is in the log by then, unless something that it started still writes.
    async fn read_out(&mut self) {
        if !self.output.is_finished() {
            let _ = timeout(LAST_WORDS, &mut self.output).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn told(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
