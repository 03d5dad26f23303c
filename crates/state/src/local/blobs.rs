//! Blobs as files: `<directory>/blobs/<key>`, complete or not there at all.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::fs;

use super::io_error;
use crate::StateError;

pub(super) async fn put(directory: &Path, key: &str, file: &Path) -> Result<(), StateError> {
    let target = path(directory, key)?;
    let attempt = async {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).await?;
        }
        fs::File::open(file).await?.sync_all().await?;
        match fs::rename(file, &target).await {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let staged = target.with_extension("partial");
                fs::copy(file, &staged).await?;
                fs::File::open(&staged).await?.sync_all().await?;
                fs::rename(&staged, &target).await?;
                fs::remove_file(file).await
            }
            outcome => outcome,
        }
    };
    attempt.await.map_err(|error| io_error(&target, &error))
}

pub(super) async fn has(directory: &Path, key: &str) -> Result<bool, StateError> {
    let target = path(directory, key)?;
    fs::try_exists(&target).await.map_err(|error| io_error(&target, &error))
}

pub(super) async fn get(directory: &Path, key: &str, to: &Path) -> Result<bool, StateError> {
    match fs::copy(path(directory, key)?, to).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error(to, &error)),
    }
}

pub(super) async fn delete(directory: &Path, key: &str) -> Result<(), StateError> {
    let target = path(directory, key)?;
    match fs::remove_file(&target).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&target, &error)),
        _ => Ok(()),
    }
}

pub(super) async fn list(directory: &Path, prefix: &str) -> Result<Vec<String>, StateError> {
    let root = directory.join("blobs");
    let mut keys = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(folder) = pending.pop() {
        let mut entries = match fs::read_dir(&folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| io_error(&folder, &error))?,
        };
        while let Some(entry) = entries.next_entry().await.map_err(|error| io_error(&folder, &error))? {
            let file = entry.path();
            if file.is_dir() {
                pending.push(file);
            } else if file.extension().is_none_or(|extension| extension != "partial")
                && let Some(key) = file.strip_prefix(&root).ok().and_then(Path::to_str)
                && key.starts_with(prefix)
            {
                keys.push(key.to_owned());
            }
        }
    }
    keys.sort();
    Ok(keys)
}

/// A key is a relative path of plain segments; anything else could leave the directory.
fn path(directory: &Path, key: &str) -> Result<PathBuf, StateError> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if key.split('/').all(plain) {
        Ok(directory.join("blobs").join(key))
    } else {
        Err(StateError::Unavailable(format!("`{key}` is not a blob's key")))
    }
}
