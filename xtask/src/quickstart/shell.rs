//! Runs a command from the text that is shown, and keeps the times.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::run;

struct Step {
    command: String,
    time: Duration,
    failed: bool,
}

pub(crate) struct Shell {
    home: PathBuf,
    binaries: PathBuf,
    /// The built binary first.
    path: std::ffi::OsString,
    /// Set for the commands, besides the path and the home.
    variables: Vec<(String, String)>,
    interrupted: Arc<AtomicBool>,
    steps: Vec<Step>,
}

impl Shell {
    /// From now on SIGINT and SIGTERM no longer end this process: the command in hand is the last one.
    pub(crate) fn new(binaries: &Path, home: &Path) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot listen for signals")?;
        }
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(binaries.to_owned()).chain(std::env::split_paths(&old)))
            .with_context(|| format!("{} cannot be on the PATH", binaries.display()))?;
        let (home, binaries) = (home.to_owned(), binaries.to_owned());
        Ok(Self { home, binaries, path, variables: Vec::new(), interrupted, steps: Vec::new() })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// For all commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Shows what was set for the commands that follow.
    pub(crate) fn announce(&self) {
        println!("\n$ export PATH=\"{}:$PATH\"", self.binaries.display());
        println!("$ export CORTEX_HOME={}", self.home.display());
        for (name, value) in &self.variables {
            println!("$ export {name}={value}");
        }
    }

    /// Runs it with this terminal as its own.
    pub(crate) fn run(&mut self, command: &str) -> Result<()> {
        self.step(command, Stdio::inherit(), |_| Ok(()))
    }

    /// [`Shell::run`], and what it wrote to stdout.
    pub(crate) fn capture(&mut self, command: &str) -> Result<String> {
        let mut output = Vec::new();
        self.step(command, Stdio::piped(), |child| pass_through(child, &mut output))?;
        String::from_utf8(output).with_context(|| format!("`{command}` printed something else than UTF-8"))
    }

    /// [`Shell::run`] after a failure or an interruption, out of reach of another Ctrl-C.
    pub(crate) fn clean_up(&mut self, command: &str) -> Result<()> {
        self.interrupted.store(false, Ordering::Relaxed);
        self.perform(command, self.sh(command).process_group(0), |_| Ok(()))
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn has_run(&self, command: &str) -> bool {
        self.steps.iter().any(|step| step.command == command)
    }

    pub(crate) fn has(&self, program: &str) -> bool {
        self.sh(&format!("command -v {program}")).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// A table of all steps.
    pub(crate) fn summary(&self) -> String {
        summary(&self.steps)
    }

    fn step(&mut self, command: &str, stdout: Stdio, during: impl FnOnce(&mut Child) -> io::Result<()>) -> Result<()> {
        self.stop_if_interrupted()?;
        let mut sh = self.sh(command);
        let result = self.perform(command, sh.stdout(stdout), during);
        self.stop_if_interrupted()?;
        result
    }

    fn perform(
        &mut self,
        command: &str,
        sh: &mut Command,
        during: impl FnOnce(&mut Child) -> io::Result<()>,
    ) -> Result<()> {
        println!("\n$ {command}");
        let start = Instant::now();
        let status = wait(sh, during).with_context(|| format!("cannot run `{command}`"));
        let (time, failed) = (start.elapsed(), !status.as_ref().is_ok_and(ExitStatus::success));
        println!("  ({})", run::seconds(time));
        self.steps.push(Step { command: command.to_owned(), time, failed });
        let status = status?;
        if failed {
            bail!("`{command}` failed ({status})");
        }
        Ok(())
    }

    fn stop_if_interrupted(&self) -> Result<()> {
        if self.interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// The user's own settings of the product, and of AWS, would change what is shown.
    fn sh(&self, command: &str) -> Command {
        let mut sh = run::program("sh");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CORTEX_") || name.starts_with("AWS_")) {
                sh.env_remove(name);
            }
        }
        sh.envs(self.variables.iter().map(|(name, value)| (name, value)));
        sh.args(["-c", command]).env("PATH", &self.path).env("CORTEX_HOME", &self.home).stdin(Stdio::null());
        sh
    }
}

fn wait(sh: &mut Command, during: impl FnOnce(&mut Child) -> io::Result<()>) -> io::Result<ExitStatus> {
    let mut child = sh.spawn()?;
    let passed = during(&mut child);
    let status = child.wait()?;
    passed.map(|()| status)
}

/// Shows what the child writes as it comes, and keeps it. Ends with a line break on the terminal.
fn pass_through(child: &mut Child, kept: &mut Vec<u8>) -> io::Result<()> {
    let mut from = child.stdout.take().ok_or_else(|| io::Error::other("stdout is not piped"))?;
    let mut to = io::stdout().lock();
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                kept.extend_from_slice(&buffer[..count]);
                to.write_all(&buffer[..count])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if kept.last().is_some_and(|last| *last != b'\n') {
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Of the commands in the summary.
const WIDEST: usize = 72;

fn summary(steps: &[Step]) -> String {
    let title = |step: &Step| {
        let line = step.command.lines().next().unwrap_or_default().trim_end_matches(" \\");
        match line.char_indices().nth(WIDEST) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line.to_owned(),
        }
    };
    let width = steps.iter().map(|step| title(step).len()).max().unwrap_or(0).max("total".len());
    let mut table = String::new();
    for step in steps {
        let mark = if step.failed { "  failed" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{:width$}  {:>8}{mark}", title(step), run::seconds(step.time));
    }
    let total = steps.iter().map(|step| step.time).sum();
    let _ = write!(table, "{:width$}  {:>8}", "total", run::seconds(total));
    table
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Shell, Step, summary};

    fn shell() -> Shell {
        Shell::new(Path::new("/opt/cortex/bin"), Path::new("/tmp/home")).expect("signals can be listened for")
    }

    #[test]
    fn commands_see_the_binary_and_the_home() {
        let output = shell().capture("echo \"$CORTEX_HOME ${PATH%%:*}\"").expect("echo works");
        assert_eq!(output, "/tmp/home /opt/cortex/bin\n");
    }

    #[test]
    fn a_failure_stops_and_is_remembered() {
        let mut shell = shell();
        let error = shell.run("exit 3").expect_err("it exits with 3");
        assert_eq!(error.to_string(), "`exit 3` failed (exit status: 3)");
        assert!(shell.has_run("exit 3") && shell.summary().contains("failed"));
    }

    #[test]
    fn programs_are_looked_for() {
        assert!(shell().has("sh") && !shell().has("no-such-program"));
    }

    #[test]
    fn the_summary_lines_up() {
        let step = |command: &str, millis, failed| {
            let (command, time) = (command.to_owned(), Duration::from_millis(millis));
            Step { command, time, failed }
        };
        let steps = [step("cortex get", 1240, false), step("curl \\\n  https://x", 65_000, true)];
        let expected = "cortex get     1.2 s\ncurl          65.0 s  failed\ntotal         66.2 s";
        assert_eq!(summary(&steps), expected);
    }
}
