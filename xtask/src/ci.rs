//! `cargo xtask ci`: what has to pass before a change lands, cheapest first, stopping at the first failure.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{deps, generate, run, test};

pub(crate) fn run() -> Result<ExitCode> {
    run::stage("format", &mut run::cargo(&["fmt", "--all", "--check"])).context("`cargo fmt --all` puts it right")?;
    run::stage_of("deps", deps::run)?;
    if run::cargo(&["deny", "--version"]).output().is_ok_and(|output| output.status.success()) {
        // Not `advisories`: they change without a change here, and have to be fetched.
        run::stage("deny", &mut run::cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    }
    run::stage("clippy", &mut run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // What `cargo xtask quickstart` builds.
    let without = ["clippy", "-p", "cli", "--no-default-features", "--all-targets", "--", "-D", "warnings"];
    run::stage("clippy without AWS", &mut run::cargo(&without))?;
    run::stage_of("generate --check", || generate::run(true))?;
    test::run(&test::Options::default())
}
