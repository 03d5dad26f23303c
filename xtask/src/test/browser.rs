//! A Chromium for the tests that look through one. They find it as `crates/testkit/src/browser.rs` says.

use std::env;

use anyhow::Result;

use crate::{python, run};

const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Installs one if there is none, where nobody has to be asked: as root of a Debian, such as the container of a CI. Elsewhere
/// says how.
pub(crate) fn provide() -> Result<()> {
    if !is_missing() {
        return Ok(());
    }
    if run::is_root() && run::is_on_path("apt-get") {
        run::stage("package lists", run::program("apt-get").args(["update", "-qq"]))?;
        let install = ["install", "-y", "-qq", "--no-install-recommends", "chromium"];
        return run::stage("chromium", run::program("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install));
    }
    let advice = python::advice(&["chromium"]);
    eprintln!("note: there is no Chromium, and the tests that need one will fail; {advice}");
    Ok(())
}

fn is_missing() -> bool {
    env::var_os("CORTEX_TEST_BROWSER").is_none() && !NAMES.into_iter().any(run::is_on_path)
}
