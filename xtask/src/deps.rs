//! `cargo xtask deps`: who may depend on whom.
//!
//! The rules are in [`rules`], pure and over the small [`graph`] that is read from `cargo metadata`: all platforms and all
//! features, so that what only another machine would compile is checked too.

mod graph;
mod rules;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::run;

const PAGE: &str = "docs/dependencies.md";

pub(crate) fn run() -> Result<()> {
    let graph = graph::Graph::read(&run::metadata(&["--all-features"])?)?;
    let page = read(PAGE)?;
    let mut violations = rules::check(&graph);
    violations.extend(rules::unexplained(&graph, &page, PAGE));
    violations.extend(rules::unused(&graph, &read("Cargo.toml")?));
    for violation in &violations {
        eprintln!("{}\n  fix: {}", violation.what, violation.fix);
    }
    match violations.len() {
        0 => Ok(()),
        count => bail!("{count} thing{} to put right in the dependencies", if count == 1 { "" } else { "s" }),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(run::root().join(path)).with_context(|| format!("cannot read {path}"))
}
