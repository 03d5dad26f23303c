//! Running other programs: cargo, Python, the product itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the repository")
}

/// A program, started in the repository.
///
/// Without the variables that `cargo run` gives xtask about itself: a cargo below would hand them to build scripts, some
/// of which (ring's) ask to be run again whenever they change, and half the graph would be compiled anew each time one
/// changes between `cargo build` and `cargo xtask`.
pub(crate) fn program(name: impl AsRef<Path>) -> Command {
    let mut command = Command::new(name.as_ref());
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_xtask) {
            command.env_remove(name);
        }
    }
    command
}

fn is_about_xtask(variable: &str) -> bool {
    const EXACT: [&str; 6] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
    ];
    variable.starts_with("CARGO_PKG_") || EXACT.contains(&variable)
}

/// Whether a program of that name would be found.
pub(crate) fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

pub(crate) fn is_root() -> bool {
    stdout_of(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Cargo, the one that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// What `cargo metadata` says.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Value> {
    let output = stdout_of(cargo(&["metadata", "--format-version", "1"]).args(arguments))?;
    serde_json::from_str(&output).context("`cargo metadata` did not print JSON")
}

/// Cargo's target directory, wherever the user has put it.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let target = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(target.into())
}

/// Where the dev profile's binaries are.
pub(crate) fn binaries() -> Result<PathBuf> {
    Ok(target()?.join("debug"))
}

/// Runs to the end with nothing captured but stdout. Stderr is the user's to see.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(&shown))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed something else than UTF-8"))
}

/// Runs one stage of a longer task; its command goes to stderr before, its time after.
pub(crate) fn stage(name: &str, command: &mut Command) -> Result<()> {
    let (status, time) = timed(name, command)?;
    report(name, time);
    if !status.success() {
        bail!("{name} failed ({status}); the command was `{}`", shown(command));
    }
    Ok(())
}

/// [`stage`] for work that is not one command.
pub(crate) fn stage_of<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = work();
    report(name, start.elapsed());
    result
}

/// Like [`stage`], but the exit status is the caller's to judge and nothing is printed after the command.
pub(crate) fn last_stage(name: &str, command: &mut Command) -> Result<ExitStatus> {
    timed(name, command).map(|(status, _)| status)
}

fn timed(name: &str, command: &mut Command) -> Result<(ExitStatus, Duration)> {
    let shown = shown(command);
    eprintln!("==> {name}: {shown}");
    let start = Instant::now();
    let status = command.status().with_context(|| cannot_start(&shown))?;
    Ok((status, start.elapsed()))
}

fn report(name: &str, time: Duration) {
    eprintln!("    {name}: {}", seconds(time));
}

/// `1.2 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn cannot_start(shown: &str) -> String {
    format!("cannot start `{shown}`")
}

/// The command as one would type it, the program by its last name.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{is_about_xtask, shown};

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "-E", "test(a b)", "it's", ""]);
        assert_eq!(shown(&command), r"cargo test -E 'test(a b)' 'it'\''s' ''");
    }

    #[test]
    fn only_what_cargo_says_about_xtask_is_dropped() {
        assert!(is_about_xtask("CARGO_PKG_NAME") && is_about_xtask("CARGO_MANIFEST_DIR"));
        assert!(!is_about_xtask("CARGO_HOME") && !is_about_xtask("CARGO_TARGET_DIR") && !is_about_xtask("CARGO"));
    }
}
