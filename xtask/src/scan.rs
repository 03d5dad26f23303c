//! `cargo xtask scan`: what security scanners say about a cluster, and whether it is known and argued for.
//!
//! checkov reads the wanted clusters as Terraform JSON, offline; prowler looks at what `cortex cluster up` has made in an
//! emulated account. Every rule of theirs that fails has to be in `docs/security/exceptions.md` with its reason, and
//! everything there has to fail still.
//!
//! What they were given and what they answered stays in `target/scan/`.

mod checkov;
mod exceptions;
mod prowler;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{run, shapes};
use exceptions::{EXCEPTIONS, judge};

/// A rule that a resource does not keep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) scanner: &'static str,
    pub(crate) rule: String,
    /// Of which cluster, and which resource of it: `public:aws_lb.shared`, `public:load-balancer/shared`.
    pub(crate) resource: String,
    pub(crate) says: String,
}

pub(crate) struct Scanned {
    pub(crate) scanner: &'static str,
    pub(crate) passed: usize,
    pub(crate) failed: Vec<Finding>,
}

pub(crate) fn run() -> Result<()> {
    let text = fs::read_to_string(run::root().join(EXCEPTIONS)).with_context(|| format!("cannot read {EXCEPTIONS}"))?;
    let known = exceptions::parse(&text)?;
    let place = shapes::place("scan")?;
    run::stage("build", &mut run::cargo(&["build", "-p", "cli"]))?;
    let scanned = [checkov::scan(&place)?, prowler::scan(&place)?];
    for Scanned { scanner, passed, failed } in &scanned {
        if *passed == 0 {
            bail!("{scanner} has found nothing that it could judge; {} has what it said", place.display());
        }
        println!("{scanner}: {passed} checks passed, {} failed", failed.len());
    }
    let findings: Vec<Finding> = scanned.into_iter().flat_map(|scanned| scanned.failed).collect();
    let problems = judge(&findings, &known);
    if !problems.is_empty() {
        bail!("{} problems:\n  {}", problems.len(), problems.join("\n  "));
    }
    println!("every failure is one of the {} exceptions in {EXCEPTIONS}, and none of those is stale", known.len());
    Ok(())
}
