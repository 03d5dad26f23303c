//! Runs a tool (`pip`, `venv`) to its end: its output goes to the log as it comes, and enough of it is kept to say in
//! one line why it failed.

use std::{collections::VecDeque, io, path::Path, process::Stdio, sync::Mutex, time::Duration};

use tokio::process::Command;

use crate::{error::Error, lines::each_line};

/// Lines kept for the reason of a failure.
const KEPT_LINES: usize = 200;

/// How a tool ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// It ended unhappily after printing this.
    Failed(Vec<String>),
}

/// Runs `command`, which is `what` in messages. `python` is the program, for the message when there is none.
pub(crate) async fn run_tool(
    mut command: Command,
    python: &Path,
    what: &str,
    limit: Duration,
) -> Result<Outcome, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|source| no_python(python, source))?;
    let kept = Mutex::new(VecDeque::new());
    let keep = |line: &str| {
        if line.trim().is_empty() {
            return;
        }
        tracing::info!(target: "replica::install", "{line}");
        if let Ok(mut kept) = kept.lock() {
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line.to_owned());
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        tokio::join!(
            async {
                if let Some(pipe) = stdout {
                    each_line(pipe, keep).await;
                }
            },
            async {
                if let Some(pipe) = stderr {
                    each_line(pipe, keep).await;
                }
            },
        );
        child.wait().await
    };
    let status = tokio::time::timeout(limit, output)
        .await
        .map_err(|_| Error::TooSlow { what: what.to_owned(), limit })?
        .map_err(Error::io("wait for", python))?;
    if status.success() {
        return Ok(Outcome::Done);
    }
    let mut lines: Vec<String> = kept.into_inner().unwrap_or_default().into();
    if lines.is_empty() {
        lines.push(format!("{what} ended with {status}"));
    }
    Ok(Outcome::Failed(lines))
}

pub(crate) fn no_python(python: &Path, source: io::Error) -> Error {
    Error::NoPython { python: python.to_owned(), source }
}

/// What `pip` or `venv` says of itself when it is not all there.
pub(crate) fn missing_module(python: &Path, lines: &[String]) -> Option<Error> {
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    let module = if says("No module named pip") {
        "pip"
    } else if says("No module named venv") || says("No module named ensurepip") || says("ensurepip is not available") {
        "venv"
    } else {
        return None;
    };
    Some(Error::NoPythonModule { python: python.to_owned(), module })
}

/// A full disk, as a tool reports it.
pub(crate) fn disk_full(directory: &Path, lines: &[String]) -> Option<Error> {
    let full =
        lines.iter().any(|line| line.contains("No space left on device") || line.contains("Disk quota exceeded"));
    full.then(|| Error::DiskFull { path: directory.to_owned() })
}

/// The line of `pip`'s output that says why it failed.
pub(crate) fn pip_reason(lines: &[String]) -> String {
    let said = lines.iter().map(|line| line.trim()).filter(|line| {
        let chatter = ["[notice]", "WARNING:", "note:", "hint:", "[end of output]"];
        !line.is_empty() && !chatter.iter().any(|start| line.starts_with(start))
    });
    let reason = said
        .clone()
        .rfind(|line| line.starts_with("ERROR:"))
        .or_else(|| said.clone().next_back())
        .unwrap_or("pip gave no reason")
        .trim_start_matches("ERROR:")
        .trim()
        .to_owned();
    let unreachable = ["NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError"];
    if lines.iter().any(|line| unreachable.iter().any(|sign| line.contains(sign))) {
        return format!("the package index cannot be reached ({reason})");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn pip_reason_is_the_last_error() {
        let output = lines(
            "ERROR: Could not find a version that satisfies the requirement foo==9.9 (from versions: 1.0)\n\
             ERROR: No matching distribution found for foo==9.9\n\
             [notice] A new release of pip is available",
        );
        assert_eq!(pip_reason(&output), "No matching distribution found for foo==9.9");
        assert_eq!(pip_reason(&[]), "pip gave no reason");
        assert_eq!(pip_reason(&lines("Traceback\nOSError: boom\nWARNING: later")), "OSError: boom");
    }

    #[test]
    fn an_unreachable_index_is_not_called_a_missing_package() {
        let output = lines(
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('...')'\n\
             ERROR: No matching distribution found for foo",
        );
        let reason = pip_reason(&output);
        assert_eq!(reason, "the package index cannot be reached (No matching distribution found for foo)");
    }

    #[tokio::test]
    async fn a_tool_is_killed_at_its_limit() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let error = run_tool(command, Path::new("sleep"), "sleeping", Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.one_line(), "sleeping took longer than 0 s");
    }

    #[tokio::test]
    async fn the_output_of_a_failed_tool_is_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let outcome = run_tool(command, Path::new("sh"), "shell", Duration::from_secs(10)).await.unwrap();
        let Outcome::Failed(mut lines) = outcome else { panic!("it failed") };
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
    }
}
