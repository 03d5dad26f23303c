//! This replica's account of itself on disk, and the lock that says it lives.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use api::replica::{Phase, ReplicaStatus};

use crate::error::Error;

/// How long a lock must be held by somebody else to be another replica's.
const CLAIM: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// The status file, held by this process alone.
#[derive(Debug)]
pub(crate) struct StatusFile {
    path: PathBuf,
    _lock: File,
}

impl StatusFile {
    /// Takes the lock for as long as the value lives. Nothing is written if another process has it.
    pub(crate) fn claim(path: &Path) -> Result<Self, Error> {
        let lock_path = ReplicaStatus::lock_path(path);
        let lock = File::create(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoDirectory { path: lock_path.clone() },
            _ => Error::io("create", &lock_path)(error),
        })?;
        let begin = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                // An engine that looks whether we live takes the lock for an instant. Nothing else runs here yet, so
                // blocking the thread is as good as anything.
                Err(TryLockError::WouldBlock) if begin.elapsed() < CLAIM => std::thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => return Err(Error::AlreadyRunning { path: lock_path }),
                Err(TryLockError::Error(source)) => return Err(Error::Lock { path: lock_path, source }),
            }
        }
    }

    /// The path of the status file with another extension: a place for what belongs to this replica only.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    /// A step of the start.
    pub(crate) fn starting(&self, message: &str) -> Result<(), Error> {
        tracing::info!("{message}");
        self.write(Phase::Starting, message)
    }

    pub(crate) fn write(&self, phase: Phase, message: &str) -> Result<(), Error> {
        let status = ReplicaStatus { pid: std::process::id(), phase, message: message.to_owned() };
        status.write(&self.path).map_err(Error::io("write", &self.path))
    }
}
