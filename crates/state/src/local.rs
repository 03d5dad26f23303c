//! State on one machine: documents in SQLite, blobs as files.
//!
//! SQLite in WAL mode lets several processes read while one writes, and `synchronous = FULL` means that what was
//! acknowledged survives a power cut. Every write adds one to a revision number; a watcher polls only that number.

mod blobs;

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::watch;

use crate::{Document, Entry, Expect, State, StateError, Version, Watch, WriteId};

/// How often a watcher looks at the revision number. A look costs microseconds.
const POLL: Duration = Duration::from_millis(25);
/// How long a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS document (
        key      TEXT PRIMARY KEY,
        body     BLOB NOT NULL,
        version  INTEGER NOT NULL,
        write_id TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS revision (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), value INTEGER NOT NULL);
    INSERT OR IGNORE INTO revision VALUES (1, 0);
";

/// A State in a directory. Clones share one connection.
#[derive(Clone)]
pub struct LocalState {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    connection: Mutex<Connection>,
    revision: watch::Receiver<i64>,
}

impl LocalState {
    /// Opens the store in `directory`, making both if need be; only the present user can read it. Must be called in a
    /// tokio runtime, which carries the poller that wakes watchers.
    pub async fn open(directory: &Path) -> Result<Self, StateError> {
        let directory = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory.join("blobs"))
                .map_err(|error| io_error(&directory, &error))?;
            let connection = connect(&directory).map_err(|error| sqlite_error(&directory, "", error))?;
            let poller = connect(&directory).map_err(|error| sqlite_error(&directory, "", error))?;
            Ok((directory, connection, poller))
        });
        let (directory, connection, poller) = opened.await.map_err(panicked)??;
        let revision = poll_revision(poller);
        Ok(Self { inner: Arc::new(Inner { directory, connection: Mutex::new(connection), revision }) })
    }

    /// Runs `work` on the connection, off the async threads.
    async fn with<T, F>(&self, key: &str, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &str) -> rusqlite::Result<Result<T, StateError>> + Send + 'static,
    {
        let (inner, key) = (Arc::clone(&self.inner), key.to_owned());
        tokio::task::spawn_blocking(move || {
            let mut connection = inner.connection();
            work(&mut connection, &key).unwrap_or_else(|error| Err(sqlite_error(&inner.directory, &key, error)))
        })
        .await
        .map_err(panicked)?
    }
}

impl Inner {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolls it back; the connection itself stays good.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl State for LocalState {
    async fn get(&self, key: &str) -> Result<Option<Document>, StateError> {
        self.with(key, |connection, key| {
            let mut query = connection.prepare_cached("SELECT body, version FROM document WHERE key = ?1")?;
            let found = query.query_row([key], |row| {
                Ok(Document { bytes: Bytes::from(row.get::<_, Vec<u8>>(0)?), version: version(row.get(1)?) })
            });
            Ok(Ok(found.optional()?))
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes, expect: &Expect, id: &WriteId) -> Result<Version, StateError> {
        let (expect, id) = (expect.clone(), id.clone());
        self.with(key, move |connection, key| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let present = present(&transaction, key)?;
            if let Some((number, write_id)) = &present
                && write_id == id.as_str()
            {
                return Ok(Ok(version(*number)));
            }
            if !holds(&expect, present.as_ref().map(|(number, _)| *number)) {
                return Ok(Err(StateError::Conflict { key: key.to_owned() }));
            }
            let number = next_revision(&transaction)?;
            transaction.execute(
                "INSERT INTO document (key, body, version, write_id) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET body = ?2, version = ?3, write_id = ?4",
                params![key, &bytes[..], number, id.as_str()],
            )?;
            transaction.commit()?;
            Ok(Ok(version(number)))
        })
        .await
    }

    async fn delete(&self, key: &str, expect: &Expect) -> Result<(), StateError> {
        let expect = expect.clone();
        self.with(key, move |connection, key| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let present = present(&transaction, key)?.map(|(number, _)| number);
            if !holds(&expect, present) {
                return Ok(Err(StateError::Conflict { key: key.to_owned() }));
            }
            if present.is_some() {
                next_revision(&transaction)?;
                transaction.execute("DELETE FROM document WHERE key = ?1", [key])?;
            }
            transaction.commit()?;
            Ok(Ok(()))
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.with(prefix, |connection, prefix| {
            let mut query = connection.prepare_cached(
                "SELECT key, version FROM document WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key",
            )?;
            let rows =
                query.query_map([prefix], |row| Ok(Entry { key: row.get(0)?, version: version(row.get(1)?) }))?;
            Ok(Ok(rows.collect::<Result<_, _>>()?))
        })
        .await
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StateError> {
        Watch::new(Arc::new(self.clone()), prefix, self.inner.revision.clone()).await
    }

    async fn put_blob(&self, key: &str, file: &Path) -> Result<(), StateError> {
        blobs::put(&self.inner.directory, key, file).await
    }

    async fn has_blob(&self, key: &str) -> Result<bool, StateError> {
        blobs::has(&self.inner.directory, key).await
    }

    async fn get_blob(&self, key: &str, to: &Path) -> Result<bool, StateError> {
        blobs::get(&self.inner.directory, key, to).await
    }

    async fn delete_blob(&self, key: &str) -> Result<(), StateError> {
        blobs::delete(&self.inner.directory, key).await
    }

    async fn list_blobs(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        blobs::list(&self.inner.directory, prefix).await
    }
}

fn connect(directory: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(directory.join("state.db"))?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Publishes the revision number whenever it changes, until the last receiver is gone.
fn poll_revision(connection: Connection) -> watch::Receiver<i64> {
    let read = |connection: &Connection| connection.query_row("SELECT value FROM revision", [], |row| row.get(0));
    let (sender, receiver) = watch::channel(read(&connection).unwrap_or(0));
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(POLL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !sender.is_closed() {
            tick.tick().await;
            match read(&connection) {
                Ok(number) => drop(sender.send_if_modified(|old| std::mem::replace(old, number) != number)),
                Err(error) => tracing::debug!(%error, "the revision number could not be read"),
            }
        }
    });
    receiver
}

fn version(number: i64) -> Version {
    Version(number.to_string())
}

fn present(connection: &Connection, key: &str) -> rusqlite::Result<Option<(i64, String)>> {
    connection
        .prepare_cached("SELECT version, write_id FROM document WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn next_revision(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("UPDATE revision SET value = value + 1 RETURNING value", [], |row| row.get(0))
}

fn holds(expect: &Expect, present: Option<i64>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => present.is_none(),
        Expect::Version(wanted) => present.is_some_and(|number| version(number) == *wanted),
    }
}

fn sqlite_error(directory: &Path, key: &str, error: rusqlite::Error) -> StateError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StateError::Full { path: directory.to_owned() },
        _ if key.is_empty() => StateError::Unavailable(format!("{}: {error}", directory.display())),
        _ => StateError::Unavailable(format!("{}, `{key}`: {error}", directory.display())),
    }
}

fn io_error(path: &Path, error: &std::io::Error) -> StateError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StateError::Full { path: path.to_owned() },
        _ => StateError::Unavailable(format!("{}: {error}", path.display())),
    }
}

fn panicked(error: tokio::task::JoinError) -> StateError {
    StateError::Unavailable(error.to_string())
}
