//! The directory that stands in for `~/.cortex`.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

/// Lines of each log that are shown after a failure.
const LOG_LINES: usize = 20;

pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    /// A new one, for this user only: the cluster's keys will be in it. Its real path, as processes will show it.
    pub(crate) fn create() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let path = temporary().join(format!("cortex-quickstart-{}-{now:x}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path).and_then(|()| path.canonicalize());
        let path = made.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The logs are about to go with the rest.
    pub(crate) fn print_ends_of_logs(&self) {
        let mut logs = Vec::new();
        find_logs(&self.path, &mut logs);
        for log in logs {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            eprintln!("\n--- end of {}", log.strip_prefix(&self.path).unwrap_or(&log).display());
            last_lines(&text, LOG_LINES).for_each(|line| eprintln!("{line}"));
        }
    }

    pub(crate) fn remove(self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ if self.path.exists() => bail!("{} came back: something still writes to it", self.path.display()),
            _ => Ok(()),
        }
    }
}

/// Not a long one: replicas listen on sockets far below it, whose paths have 104 bytes on macOS and 108 on Linux (unix(4),
/// unix(7)).
fn temporary() -> PathBuf {
    const LONGEST: usize = 30;
    let usual = std::env::temp_dir();
    if usual.as_os_str().len() <= LONGEST { usual } else { PathBuf::from("/tmp") }
}

/// Best effort: what cannot be read is left out.
fn find_logs(directory: &Path, logs: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_logs(&path, logs);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
}

fn last_lines(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{Home, find_logs, last_lines};

    #[test]
    fn a_home_is_private_and_goes_away() {
        let home = Home::create().expect("the temporary directory is writable");
        let path = home.path().to_owned();
        assert_eq!(fs::metadata(&path).expect("it exists").permissions().mode() & 0o777, 0o700);
        fs::create_dir(path.join("logs")).expect("it is writable");
        fs::write(path.join("logs/operator.log"), "x").expect("it is writable");
        let mut logs = Vec::new();
        find_logs(&path, &mut logs);
        assert_eq!(logs, [path.join("logs/operator.log")]);
        home.remove().expect("it is ours");
        assert!(!path.exists());
    }

    #[test]
    fn the_end_of_a_log() {
        assert_eq!(last_lines("a\nb\nc\n", 2).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(last_lines("a", 2).collect::<Vec<_>>(), ["a"]);
    }
}
