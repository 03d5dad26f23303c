//! Exclusive locks between the replicas of a machine that share the cache. The kernel releases them when the holder
//! dies, however it dies.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use crate::error::Error;

/// How often a taken lock is tried again. Polling and not a blocking call, so that a replica told to stop can.
const POLL: Duration = Duration::from_millis(50);

/// Waits for the lock on `path`, which is made if need be; `waiting` is called once if someone else holds it.
pub(crate) async fn lock(path: &Path, waiting: impl FnOnce()) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(Error::Lock { path: path.to_owned(), source }),
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
