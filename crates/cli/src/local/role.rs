//! The long-running processes of a local cluster: who lives, and how each is doing.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::replica::{Phase, ReplicaStatus};
use rustix::process::{Pid, Signal, kill_process};

use super::Layout;
use crate::{
    home::io_failure,
    report::{Exit, Failure},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Node,
    Operator,
    Gateway,
}

/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(20);
/// A look at a lock takes it for an instant; a process that starts in that instant tries again for so long.
const CLAIM: Duration = Duration::from_secs(1);

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Operator => "operator",
            Self::Gateway => "gateway",
        }
    }

    /// Whether such a process lives in this cluster.
    pub fn is_running(self, layout: &Layout) -> bool {
        let path = ReplicaStatus::lock_path(&layout.status_file(self));
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Whether a process lives that has passed its role on and finishes its last requests.
    pub fn is_draining(self, layout: &Layout) -> bool {
        File::open(layout.draining_lock(self))
            .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// What the process last said of itself, dead or alive.
    pub fn status(self, layout: &Layout) -> Option<ReplicaStatus> {
        ReplicaStatus::read(&layout.status_file(self)).ok().flatten()
    }

    /// Asks the process to end and waits for it, and for those that are ending; kills it when it takes longer than
    /// `patience`.
    pub async fn stop(self, layout: &Layout, patience: Duration) {
        let start = Instant::now();
        let mut asked = false;
        while self.is_running(layout) {
            let overdue = start.elapsed() > patience;
            if !asked || overdue {
                let signal = if overdue { Signal::KILL } else { Signal::TERM };
                asked = self.status(layout).is_some_and(|status| send(status.pid, signal));
            }
            tokio::time::sleep(POLL).await;
        }
        while self.is_draining(layout) && start.elapsed() < patience {
            tokio::time::sleep(POLL).await;
        }
    }
}

fn send(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// A process's own hold on its role, for as long as it lives, or until it passes the role on.
pub struct Claim {
    path: PathBuf,
    draining: PathBuf,
    hold: Mutex<Hold>,
}

enum Hold {
    Role(#[expect(dead_code, reason = "it is locked")] File),
    /// Shared: several may drain at a time.
    Draining(#[expect(dead_code, reason = "it is locked")] File),
}

impl Claim {
    pub async fn take(layout: &Layout, role: Role) -> Result<Self, Failure> {
        let path = layout.status_file(role);
        let lock_path = ReplicaStatus::lock_path(&path);
        let lock = File::create(&lock_path).map_err(|error| io_failure("make", &lock_path, &error))?;
        lock_within(&lock, CLAIM).await.map_err(|error| match error {
            TryLockError::WouldBlock => Failure::new(
                Exit::Conflict,
                "cluster.already_running",
                format!("another {} of this cluster is running", role.name()),
            ),
            TryLockError::Error(error) => io_failure("lock", &lock_path, &error),
        })?;
        let claim = Self { path, draining: layout.draining_lock(role), hold: Mutex::new(Hold::Role(lock)) };
        claim.say(Phase::Starting, "starting")?;
        Ok(claim)
    }

    /// From now on another process may claim the role, while this one finishes what it has begun.
    pub fn pass_on(&self) -> Result<(), Failure> {
        self.say(Phase::Draining, "finishing the last requests")?;
        let locked = File::create(&self.draining).and_then(|file| file.lock_shared().map(|()| file));
        let locked = locked.map_err(|error| io_failure("lock", &self.draining, &error))?;
        *self.hold() = Hold::Draining(locked);
        Ok(())
    }

    /// Tells of this process; after it has passed the role on, nobody asks.
    pub fn say(&self, phase: Phase, message: &str) -> Result<(), Failure> {
        if matches!(*self.hold(), Hold::Draining(_)) {
            return Ok(());
        }
        let status = ReplicaStatus { pid: std::process::id(), phase, message: message.to_owned() };
        status.write(&self.path).map_err(|error| io_failure("write", &self.path, &error))
    }
}

impl Claim {
    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn lock_within(lock: &File, limit: Duration) -> Result<(), TryLockError> {
    let start = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if start.elapsed() < limit => tokio::time::sleep(POLL).await,
            outcome => return outcome,
        }
    }
}

/// The end of a process's log, for messages.
pub fn last_lines(path: &Path, count: usize) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].join("\n"))
}
