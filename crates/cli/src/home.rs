//! `~/.cortex`, or `$CORTEX_HOME`: everything this user's command line keeps.
//!
//! `environments.json`; `clusters/<name>.json` and `clusters/<name>/`, a local cluster each; `cache/` and
//! `prices/`, which can be deleted at any time.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::report::Failure;

#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    pub fn find() -> Result<Self, Failure> {
        if let Some(path) = env::var_os("CORTEX_HOME").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            return std::path::absolute(&path).map(Self).map_err(|error| io_failure("use", &path, &error));
        }
        env::home_dir().map(|home| Self(home.join(".cortex"))).ok_or_else(|| {
            Failure::internal("this user has no home directory").hint("set CORTEX_HOME to a directory for cortex")
        })
    }

    pub fn environments_file(&self) -> PathBuf {
        self.0.join("environments.json")
    }

    pub fn clusters(&self) -> PathBuf {
        self.0.join("clusters")
    }

    /// Of the one replica in a container.
    pub fn task(&self) -> PathBuf {
        self.0.join("task")
    }

    /// What AWS has said about its prices.
    #[cfg(feature = "aws")]
    pub fn prices(&self) -> PathBuf {
        self.0.join("prices")
    }

    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }
}

/// Makes a directory that only this user can enter.
pub fn make_private_directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| io_failure("make", path, &error))
}

/// Replaces a file that only this user can read, in one step.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let staged = path.with_extension("new");
    let attempt = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    attempt().map_err(|error| io_failure("write", path, &error))
}

/// A file operation that failed, as a user should hear of it.
pub fn io_failure(verb: &str, path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::internal(format!("cannot {verb} {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull => failure.hint("the disk is full: make room and try again"),
        io::ErrorKind::PermissionDenied => failure.hint("this user may not do that"),
        _ => failure,
    }
}
