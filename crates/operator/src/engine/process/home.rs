//! One replica's directory.
//!
//! `replica.json` is the engine's own record, `spec.json` what the replica is told, `status.json` what it says of itself,
//! `status.lock` is locked while it lives, `s` is its socket (the name is short because the whole path must be).

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use api::replica::{ReplicaSpec, ReplicaStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transport::Address;

use super::failed;
use crate::engine::EngineError;

/// What the engine remembers of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub api: String,
    pub version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Times it was started again.
    pub restarts: u32,
    /// Ends since it was last ready.
    pub attempts: u32,
    /// Why it last ended, until it is ready again.
    pub end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub message: String,
    /// The replica itself said that another start will not help.
    pub hopeless: bool,
}

impl Record {
    pub(super) fn new(api: &str, version: &str) -> Self {
        Self {
            api: api.to_owned(),
            version: version.to_owned(),
            created_at: OffsetDateTime::now_utc(),
            restarts: 0,
            attempts: 0,
            end: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Home {
    pub id: String,
    pub directory: PathBuf,
    pub record: Record,
}

pub(super) fn replicas(data: &Path) -> PathBuf {
    data.join("r")
}

impl Home {
    /// A new directory with a new id.
    pub(super) fn create(data: &Path, record: Record) -> Result<Self, EngineError> {
        let id = hex::encode(rand::random::<[u8; 4]>());
        let directory = replicas(data).join(&id);
        fs::create_dir(&directory).map_err(|error| failed(&directory, &error))?;
        let home = Self { id, directory, record };
        home.save()?;
        Ok(home)
    }

    /// Every replica that has a directory. One without a record was never started: it goes.
    pub(super) fn all(data: &Path) -> Result<Vec<Self>, EngineError> {
        let root = replicas(data);
        let mut homes = Vec::new();
        for directory in fs::read_dir(&root).map_err(|error| failed(&root, &error))? {
            let directory = directory.map_err(|error| failed(&root, &error))?.path();
            let Some(id) = directory.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            let record = fs::read(directory.join("replica.json"))
                .map_err(|error| error.to_string())
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
            match record {
                Ok(record) => homes.push(Self { id, directory, record }),
                Err(error) => {
                    tracing::warn!(replica = id, error, "a replica's directory holds no record: removed");
                    let _ = fs::remove_dir_all(&directory);
                }
            }
        }
        Ok(homes)
    }

    pub(super) fn save(&self) -> Result<(), EngineError> {
        let path = self.directory.join("replica.json");
        let staged = self.directory.join("replica.new");
        let bytes = serde_json::to_vec(&self.record).map_err(|error| EngineError::Failed(error.to_string()))?;
        fs::write(&staged, bytes).and_then(|()| fs::rename(&staged, &path)).map_err(|error| failed(&path, &error))
    }

    pub(super) fn address(&self) -> Address {
        Address::Unix(self.directory.join("s"))
    }

    pub(super) fn status_file(&self) -> PathBuf {
        self.directory.join("status.json")
    }

    pub(super) fn spec_file(&self) -> PathBuf {
        self.directory.join("spec.json")
    }

    pub(super) fn write_spec(&self, spec: &ReplicaSpec) -> Result<(), EngineError> {
        let path = self.spec_file();
        let bytes = serde_json::to_vec(spec).map_err(|error| EngineError::Failed(error.to_string()))?;
        fs::write(&path, bytes).map_err(|error| failed(&path, &error))
    }

    /// As the replica was told.
    pub(super) fn drain_timeout(&self) -> Option<Duration> {
        let spec: ReplicaSpec = serde_json::from_slice(&fs::read(self.spec_file()).ok()?).ok()?;
        Some(spec.drain_timeout)
    }

    pub(super) fn status(&self) -> Option<ReplicaStatus> {
        ReplicaStatus::read(&self.status_file()).ok().flatten()
    }

    /// A status left by an earlier process must not be taken for the next one's.
    pub(super) fn clear_status(&self) {
        let _ = fs::remove_file(self.status_file());
    }

    /// Whether some process is this replica. Takes the lock for an instant if not, for which a starting replica waits.
    pub(super) fn is_locked(&self) -> bool {
        let lock = match File::open(ReplicaStatus::lock_path(&self.status_file())) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                tracing::warn!(replica = self.id, %error, "the lock cannot be looked at");
                return true;
            }
        };
        matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    }

    pub(super) fn remove(&self) {
        if let Some(Err(error)) = super::cgroup::tree().map(|tree| tree.remove(&self.id)) {
            tracing::warn!(replica = self.id, %error, "a replica's cgroup could not be removed");
        }
        if let Err(error) = fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(replica = self.id, %error, "a replica's directory could not be removed");
        }
    }
}

/// Signals a process that is known to be a living replica.
pub(super) fn signal(pid: u32, signal: Signal) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    if let Err(error) = kill_process(process, signal) {
        tracing::warn!(pid, %error, "a replica could not be signalled");
    }
}
