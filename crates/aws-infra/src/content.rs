//! Where the content of objects comes from.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;

/// What goes into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ContentError(pub String);

/// Makes the content of [`Object`](provision::resource::Object)s.
#[async_trait]
pub trait Contents: Send + Sync {
    /// `source` and `inputs` are the object's.
    ///
    /// # Errors
    ///
    /// There is none for this source.
    async fn content(&self, source: &str, inputs: &BTreeMap<String, String>) -> Result<Content, ContentError>;
}

/// For those who create nothing: `down`, `info`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoContents;

#[async_trait]
impl Contents for NoContents {
    async fn content(&self, source: &str, _: &BTreeMap<String, String>) -> Result<Content, ContentError> {
        Err(ContentError(format!("nothing is known about `{source}`")))
    }
}
