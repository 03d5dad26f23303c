//! Programs that come from Debian's packages.

use anyhow::{Result, bail};

use crate::{python, run};

/// Installs what is missing, where nobody has to be asked: as root of a Debian. Elsewhere says how. Pairs of program and
/// package.
pub(super) fn provide(programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| !run::is_on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn install(missing: &[&str]) -> Result<()> {
    if !run::is_root() || !run::is_on_path("apt-get") {
        bail!("what is measured needs {}; {}", missing.join(" and "), python::advice(missing));
    }
    run::stage("package lists", run::program("apt-get").args(["update", "-qq"]))?;
    let mut install = run::program("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing);
    run::stage("programs to compare with", install.env("DEBIAN_FRONTEND", "noninteractive"))
}
