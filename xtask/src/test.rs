//! `cargo xtask test`: every test of the repository, on a machine with nothing but Rust, Python and Chromium.
//!
//! One build for all: features are unified over the packages of one cargo command, so a command that names other packages
//! would compile half the graph a second time. Hence everything here says `--workspace` and takes the default features,
//! and the tests find the `cortex` of that build through an environment variable.
//!
//! What the tests are told: `CORTEX_BIN`, the binary; `CORTEX_TEST_PYTHON`, a Python with the packages of
//! `tests/python/requirements.txt` and `old-clients.txt`; `CORTEX_TEST_FULL=1` with `--full`.
//!
//! The runner comes last and nothing is printed after it, so the output ends with its own summary.

mod browser;
mod doctests;
pub(crate) mod venv;

use std::{
    path::Path,
    process::{Command, ExitCode, ExitStatus},
};

use anyhow::Result;

use crate::run;

const PYTHON_TESTS: &str = "crates/replica/src/python/worker";

/// Cases of each property test under `--full`; the default of proptest is 256.
const FULL_PROPTEST_CASES: &str = "4096";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The expensive tests whole, not a sample.
    pub(crate) full: bool,
    /// For cargo-nextest or `cargo test`; with any, only the runner is run.
    pub(crate) runner_arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.runner_arguments.is_empty() {
        browser::provide()?;
    }
    let python = run::stage_of("python environment", || {
        venv::ready_with("tests/python/requirements.txt", Some("tests/python/old-clients.txt"))
    })?;
    run::stage("build", &mut run::cargo(&["build", "--workspace", "--all-targets"]))?;
    let nextest = run::cargo(&["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    if options.runner_arguments.is_empty() {
        run::stage("python tests", run::program(&python).args(["-m", "unittest", "discover", "-s", PYTHON_TESTS]))?;
        if doctests::any(run::root())? {
            run::stage("doctests", &mut run::cargo(&["test", "--workspace", "--doc"]))?;
        }
    }
    let mut runner = run::cargo(&runner_command(nextest, &options.runner_arguments));
    tell(&mut runner, &run::binaries()?, &python, options.full);
    Ok(exit_code(run::last_stage("tests", &mut runner)?))
}

/// `--lib --bins --tests`: doctests have run, and what comes last has tests in it.
fn runner_command(nextest: bool, arguments: &[String]) -> Vec<&str> {
    let mut command = if nextest { vec!["nextest", "run"] } else { vec!["test"] };
    if !arguments.iter().any(|argument| selects_packages(argument)) {
        command.push("--workspace");
    }
    if arguments.is_empty() {
        command.push("--no-fail-fast");
        command.extend(if nextest { &[][..] } else { &["--lib", "--bins", "--tests"] });
    }
    command.extend(arguments.iter().map(String::as_str));
    command
}

fn selects_packages(argument: &str) -> bool {
    argument == "--package" || argument.starts_with("--package=") || argument.starts_with("-p")
}

fn tell(runner: &mut Command, binaries: &Path, python: &Path, full: bool) {
    runner.env("CORTEX_BIN", binaries.join("cortex")).env("CORTEX_TEST_PYTHON", python);
    if full {
        runner.env("CORTEX_TEST_FULL", "1");
        if std::env::var_os("PROPTEST_CASES").is_none() {
            runner.env("PROPTEST_CASES", FULL_PROPTEST_CASES);
        }
    }
}

/// The runner's own; one killed by a signal has none.
fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::runner_command;

    fn line(nextest: bool, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        runner_command(nextest, &arguments).join(" ")
    }

    #[test]
    fn everything_without_arguments() {
        assert_eq!(line(true, &[]), "nextest run --workspace --no-fail-fast");
        assert_eq!(line(false, &[]), "test --workspace --no-fail-fast --lib --bins --tests");
    }

    #[test]
    fn arguments_narrow_it_down() {
        assert_eq!(line(true, &["deploy"]), "nextest run --workspace deploy");
        assert_eq!(line(true, &["-p", "spec"]), "nextest run -p spec");
        assert_eq!(line(false, &["--package=spec", "yaml"]), "test --package=spec yaml");
    }
}
