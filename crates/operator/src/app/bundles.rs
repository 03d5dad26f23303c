//! Bundles: the project directory as a tar file, named by its SHA-256.
//!
//! An upload goes to a scratch file while it is hashed, and into the store only once the hash is the promised one, so a
//! broken upload leaves nothing behind and the memory it takes does not grow with its size.

use std::{io, path::PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use state::StateError;
use tokio::{
    fs::File,
    io::{AsyncWriteExt as _, BufWriter},
};

use super::{App, AppError, bundle_key};

/// The largest bundle taken. S3's limit for one put is 5 GB.
const LIMIT_BYTES: u64 = 5_000_000_000;

/// A stream of an upload's content.
pub type Upload = dyn Stream<Item = Result<Bytes, String>> + Send + Unpin;

impl App {
    pub async fn has_bundle(&self, sha256: &str) -> Result<bool, AppError> {
        check_name(sha256)?;
        Ok(self.store.state().has_blob(&bundle_key(sha256)).await?)
    }

    pub async fn put_bundle(&self, sha256: &str, content: &mut Upload) -> Result<(), AppError> {
        check_name(sha256)?;
        let scratch = Scratch(self.scratch.join(format!("upload-{}", uuid::Uuid::now_v7())));
        let found = receive(&scratch, content).await?;
        if found != sha256 {
            return Err(AppError::Invalid {
                kind: "bundle.hash_mismatch",
                message: format!("the bundle's SHA-256 is {found}, not {sha256}: it was damaged on the way; try again"),
            });
        }
        self.store.state().put_blob(&bundle_key(sha256), &scratch.0).await?;
        Ok(())
    }
}

async fn receive(scratch: &Scratch, content: &mut Upload) -> Result<String, AppError> {
    let full = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => AppError::DiskFull(StateError::Full { path: scratch.0.clone() }),
        _ => AppError::Unavailable(format!("{}: {error}", scratch.0.display())),
    };
    let mut file = BufWriter::with_capacity(256 * 1024, File::create(&scratch.0).await.map_err(full)?);
    let mut hash = Sha256::new();
    let mut length = 0u64;
    while let Some(chunk) = content.next().await {
        let chunk = chunk.map_err(AppError::Interrupted)?;
        length += chunk.len() as u64;
        if length > LIMIT_BYTES {
            return Err(AppError::TooLarge { limit_bytes: LIMIT_BYTES });
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    Ok(hex::encode(hash.finalize()))
}

/// A file that is gone when this is, unless somebody took it away.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = %self.0.display(), "a scratch file could not be removed");
            }
            _ => {}
        }
    }
}

pub(super) fn check_name(sha256: &str) -> Result<(), AppError> {
    if sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(AppError::Invalid {
        kind: "bundle.invalid_name",
        message: "a bundle is named by 64 lower-case hex digits, its SHA-256".to_owned(),
    })
}
