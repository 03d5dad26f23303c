//! What is shown while a plan is carried out, and Ctrl-C.

use std::{
    io::IsTerminal as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use provision::{
    execute::{Event, Events},
    plan::Act,
};
use tokio_util::sync::CancellationToken;

use crate::output::say;

/// Retries below this pause are not worth a line.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// One line per thing that is done, with the time since the beginning.
pub struct Progress {
    begun: Instant,
    total: usize,
    done: AtomicUsize,
    /// The last line, which a terminal may overwrite.
    running: Mutex<Vec<String>>,
    terminal: bool,
}

impl Progress {
    /// `total`: steps of the plan; 0 if nobody knows.
    pub fn new(total: usize) -> Self {
        Self {
            begun: Instant::now(),
            total,
            done: AtomicUsize::new(0),
            running: Mutex::default(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
        say!("{:>6.1} s  {text}", self.begun.elapsed().as_secs_f64());
        self.status();
    }

    fn status(&self) {
        if !self.terminal {
            return;
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = running.first() {
            let more = running.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            eprint!("\r\x1b[K{:>6.1} s  … {first}{more}", self.begun.elapsed().as_secs_f64());
        }
    }

    fn begin(&self, what: String) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        self.status();
    }

    fn end(&self, what: &str) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).retain(|running| running != what);
    }

    /// Leaves the terminal's last line clean.
    pub fn finish(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn verb(act: Act) -> &'static str {
    match act {
        Act::Create => "created",
        Act::Update => "changed",
        Act::Delete => "deleted",
    }
}

impl Events for Progress {
    fn event(&self, event: Event) {
        match event {
            Event::Started { key, .. } => self.begin(key.to_string()),
            Event::Waiting { key, expected, .. } => {
                self.end(key.as_str());
                if expected > Duration::ZERO {
                    self.begin(format!("{key} (about {} s)", expected.as_secs()));
                }
            }
            Event::Done { key, act, took, .. } => {
                self.end(key.as_str());
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                let of = if self.total > 0 { format!("[{done}/{}] ", self.total) } else { String::new() };
                self.line(&format!("{of}{} {key} ({:.1} s)", verb(act), took.as_secs_f64()));
            }
            Event::Ready { key, took, .. } => {
                let prefix = format!("{key} (about");
                self.running
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .retain(|running| !running.starts_with(&prefix) && running != key.as_str());
                if took > Duration::from_secs(1) {
                    self.line(&format!("{key} is available ({:.1} s)", took.as_secs_f64()));
                }
            }
            Event::Retrying { key, error, pause } if pause > LONG_PAUSE => {
                self.line(&format!("{key}: {error}; again in {} s", pause.as_secs()));
            }
            Event::Retrying { .. } => {}
            Event::Failed { key, error, .. } => {
                self.end(key.as_str());
                self.line(&format!("failed: {key}: {error}"));
            }
            Event::Skipped { key, because } => self.line(&format!("not done: {key}, which needs {because}")),
        }
    }
}

/// Cancelled by the first Ctrl-C; the second one ends the program.
pub fn interruptible() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        say!("\nfinishing what is in flight; Ctrl-C again to stop at once");
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            say!("\nstopped; the same command goes on from here");
            std::process::exit(130);
        }
    });
    token
}
