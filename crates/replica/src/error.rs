//! Everything that can end a replica. The text is what `cortex get` shows, so each says what happened and what to do.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use transport::Address;

/// Why a replica ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("another process already is this replica: it holds the lock {}", path.display())]
    AlreadyRunning { path: PathBuf },
    #[error("there is no directory for {}: it was removed, or never made", path.display())]
    NoDirectory { path: PathBuf },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("the disk is full: free some space in {}", path.display())]
    DiskFull { path: PathBuf },
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot listen on {address}")]
    Bind { address: Address, source: io::Error },
    #[error("cannot listen on {address}: another process uses it")]
    AddressInUse { address: Address },

    #[error("{} is not in the project: check `predictor.path` in cortex.yaml", path.display())]
    NoSuchFile { path: PathBuf },
    #[error("{} cannot be run: install Python 3 (Debian: apt install python3)", python.display())]
    NoPython { python: PathBuf, source: io::Error },
    #[error("{} has no {module}: install it (Debian: apt install python3-pip python3-venv)", python.display())]
    NoPythonModule { python: PathBuf, module: &'static str },
    #[error("{what} took longer than {}", minutes(*limit))]
    TooSlow { what: String, limit: Duration },
    #[error("the virtual environment cannot be made: {reason}")]
    VirtualEnvironment { reason: String },
    #[error("the requirements do not install: {reason}; correct requirements.txt and deploy again")]
    Requirements { reason: String },

    #[error("no ONNX Runtime {version} is known for {platform}: get one and name its file in `onnxruntime_library`")]
    NoRuntimeForPlatform { version: &'static str, platform: String },
    #[error("the ONNX Runtime library {} does not exist: correct `onnxruntime_library`", path.display())]
    NoRuntimeLibrary { path: PathBuf },
    #[error("ONNX Runtime {version} cannot be fetched: {reason}")]
    FetchRuntime { version: &'static str, reason: String },
    #[error("{what} has SHA-256 {got} instead of {want}: it was damaged or tampered with, and was not used")]
    WrongHash { what: String, got: String, want: String },
    #[error("the ONNX Runtime library {} cannot be loaded: {reason}", path.display())]
    LoadRuntime { path: PathBuf, reason: String },
    #[error("{model} cannot be loaded by ONNX Runtime: {reason}")]
    LoadModel { model: String, reason: String },
    #[error("{model} cannot be served: {reason}")]
    UnsupportedModel { model: String, reason: String },

    #[error(transparent)]
    Predictor(#[from] crate::python::StartFailure),
    #[error("a worker process could not be replaced, {failures} times in a row; the last time")]
    WorkersKeepFailing { failures: u32, source: crate::python::StartFailure },

    #[error("the server does not start: {reason}; its output is in the log")]
    ServerStart { reason: String },
    #[error("the server could not be replaced, {failures} times in a row; the last time: {reason}")]
    ServerKeepsFailing { failures: u32, reason: String },
}

impl Error {
    /// An I/O error while `doing` something with `path`; a full disk is named as such.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path: path.to_owned() },
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }

    /// The error and its causes in one line.
    pub fn one_line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        on_one_line(&text)
    }
}

/// `text` with its line breaks and runs of blanks made single blanks.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn minutes(limit: Duration) -> String {
    match (limit.as_secs() / 60, limit.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_named() {
        let error = Error::io("write", Path::new("/data"))(io::ErrorKind::StorageFull.into());
        assert_eq!(error.one_line(), "the disk is full: free some space in /data");
    }

    #[test]
    fn causes_follow_on_one_line() {
        let error = Error::io("read", Path::new("/data/x"))(io::Error::other("one\n  two"));
        assert_eq!(error.one_line(), "cannot read /data/x: one two");
    }
}
