//! Everything a cluster must not forget, behind one trait.
//!
//! A State is a flat map from keys (`apis/iris/head.json`) to small documents, with compare-and-swap, plus a store of
//! blobs named by their content hash. Any number of processes share one State; whoever writes what it has read before
//! says which version it read. There is an embedded implementation on SQLite; another has only to pass
//! [`conformance`].

mod document;
mod lease;
mod local;
mod watch;

#[cfg(feature = "conformance")]
pub mod conformance;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use document::{read, update, write};
pub use lease::{Lease, LeaseRecord};
pub use local::LocalState;
pub use watch::Watch;

/// Names one state of one document; equal versions mean equal content. An ETag on S3, a counter in SQLite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version(pub String);

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub bytes: Bytes,
    pub version: Version,
}

/// A document in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub version: Version,
}

/// What must be true of a document for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Anything,
    /// No document of that key.
    Absent,
    /// Exactly what was read.
    Version(Version),
}

/// Names one intended write, so that a repetition of it (after a reply was lost) is known to be the same write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteId(String);

impl WriteId {
    pub fn new() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for WriteId {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The document is not as expected: read it again and decide again.
    #[error("`{key}` was changed by somebody else in the meantime")]
    Conflict { key: String },
    #[error("the disk under {} is full: make room and try again", path.display())]
    Full { path: PathBuf },
    #[error("`{key}` cannot be read as what it should be")]
    Damaged {
        key: String,
        #[source]
        source: serde_json::Error,
    },
    /// The store cannot be reached or does not work; nothing is known about the write.
    #[error("the state store failed: {0}")]
    Unavailable(String),
}

impl StateError {
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// The store. All methods may be called by many tasks and processes at once.
#[async_trait]
pub trait State: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Document>, StateError>;

    /// Writes if `expect` holds, else [`StateError::Conflict`]. If the document already is the outcome of the write
    /// named `id`, that is success, whatever `expect` says.
    async fn put(&self, key: &str, bytes: Bytes, expect: &Expect, id: &WriteId) -> Result<Version, StateError>;

    /// Deletes if `expect` holds. Deleting what is not there is success, except for [`Expect::Version`].
    async fn delete(&self, key: &str, expect: &Expect) -> Result<(), StateError>;

    /// All documents whose key begins with `prefix`, sorted by key.
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError>;

    /// Tells of changes under a prefix, from now on.
    async fn watch(&self, prefix: &str) -> Result<Watch, StateError>;

    /// Keeps the file's content under `key`, which names the content: a key once put never changes. Takes the file away.
    async fn put_blob(&self, key: &str, file: &Path) -> Result<(), StateError>;

    /// Whether the blob is there in full.
    async fn has_blob(&self, key: &str) -> Result<bool, StateError>;

    /// Writes the blob's content to a new file. `false` if there is no such blob.
    async fn get_blob(&self, key: &str, to: &Path) -> Result<bool, StateError>;

    async fn delete_blob(&self, key: &str) -> Result<(), StateError>;

    /// Keys of all blobs that begin with `prefix`, sorted.
    async fn list_blobs(&self, prefix: &str) -> Result<Vec<String>, StateError>;
}
