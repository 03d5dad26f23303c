//! The last good snapshot on disk, for a gateway that starts while the store cannot be read.
//!
//! The file holds hashes of keys and addresses of replicas; only the present user can read it. It is replaced in one
//! step and synced first, so that after a crash there is the old one or the new one.
//!
//! A key that was revoked while its gateway was down is accepted again by a gateway that starts from the file. So the file
//! is no good any more a day after the store last agreed with it: [`KEPT`]. Its age is that of its last modification, and
//! a gateway whose store agrees rewrites it now and then.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use api::routes::{Keys, Routes};
use serde::{Deserialize, Serialize};

const FILE: &str = "snapshot.json";
/// How long after the last agreement with the store a gateway may live on the file.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The content of the two documents that make a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Documents {
    pub(crate) routes: Routes,
    pub(crate) keys: Keys,
}

/// What is on disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    TooOld,
    /// And for how much longer.
    Good(Documents, Duration),
}

pub(crate) async fn load(directory: &Path) -> io::Result<Kept> {
    let file = directory.join(FILE);
    blocking(move || {
        let modified = match fs::metadata(&file) {
            Ok(found) => found.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::Nothing),
            Err(error) => return Err(error),
        };
        // The time of a file from the future says nothing, since somebody put the clock back: it counts as new.
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        let Some(left) = KEPT.checked_sub(age) else { return Ok(Kept::TooOld) };
        Ok(Kept::Good(serde_json::from_slice(&fs::read(&file)?)?, left))
    })
    .await
}

pub(crate) async fn store(directory: &Path, documents: &Documents) -> io::Result<()> {
    let (directory, bytes) = (directory.to_owned(), serde_json::to_vec(documents)?);
    blocking(move || write(&directory, &bytes)).await
}

fn write(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let (staged, file): (PathBuf, PathBuf) = (directory.join("snapshot.new"), directory.join(FILE));
    // What a crash left behind may have other permissions, and those of an existing file stay as they are.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(staged, file)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use api::routes::KeyHash;

    use super::*;

    async fn loaded(directory: &Path) -> Documents {
        match load(directory).await.unwrap() {
            Kept::Good(documents, left) if left > KEPT - Duration::from_secs(60) => documents,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_stored_is_loaded_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("gateway");
        assert_eq!(load(&inner).await.unwrap(), Kept::Nothing);
        let mut documents = Documents::default();
        for id in ["old", "new"] {
            documents.keys.keys.push(KeyHash { id: id.to_owned(), sha256: "00".repeat(32), ..KeyHash::default() });
            store(&inner, &documents).await.unwrap();
            assert_eq!(loaded(&inner).await, documents);
        }
        assert_eq!(fs::metadata(inner.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[tokio::test]
    async fn what_a_crash_left_is_no_obstacle_and_rubbish_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("snapshot.new"), "half").unwrap();
        store(directory.path(), &Documents::default()).await.unwrap();
        assert_eq!(loaded(directory.path()).await, Documents::default());
        fs::write(directory.path().join(FILE), "{").unwrap();
        assert!(load(directory.path()).await.is_err());
    }

    #[tokio::test]
    async fn what_the_store_has_not_confirmed_for_a_day_is_no_good() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path(), &Documents::default()).await.unwrap();
        let file = fs::File::options().write(true).open(directory.path().join(FILE)).unwrap();
        let minute = Duration::from_secs(60);
        file.set_modified(SystemTime::now() - KEPT + minute).unwrap();
        assert!(matches!(load(directory.path()).await.unwrap(), Kept::Good(_, left) if left <= minute));
        file.set_modified(SystemTime::now() - KEPT - minute).unwrap();
        assert_eq!(load(directory.path()).await.unwrap(), Kept::TooOld);
    }
}
