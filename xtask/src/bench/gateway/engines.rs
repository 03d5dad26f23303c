//! The gateway beside other ways to write one: `xtask/engines`.

use std::path::PathBuf;

use anyhow::Result;

use super::{super::wrk::Rate, proxies::Proxy};
use crate::{
    bench::{debian, page},
    run,
};

/// Where the programs are, once they are built.
pub(super) fn directory() -> Result<PathBuf> {
    Ok(built()?.join("release"))
}

fn built() -> Result<PathBuf> {
    Ok(run::target()?.join("bench").join("engines"))
}

/// Builds them.
pub(super) fn provide() -> Result<()> {
    // For what pingora is made of: it builds an OpenSSL of its own.
    debian::provide(&[("cmake", "cmake"), ("perl", "perl"), ("make", "make")])?;
    let manifest = run::root().join("xtask/engines/Cargo.toml");
    let mut build = run::cargo(&["build", "--release", "--locked", "--manifest-path"]);
    run::stage("engines", build.arg(manifest).arg("--target-dir").arg(built()?))
}

pub(super) fn table(rates: &[(Proxy, Rate)]) -> String {
    let nginx = rates.iter().find(|(proxy, _)| *proxy == Proxy::Nginx).map_or(f64::NAN, |(_, rate)| rate.per_second);
    let mut lines = vec![
        format!("{}; release profile; as above.", page::machine()),
        String::new(),
        "| TLS, key, forward | requests/s | to nginx | p99 ms | processor time per request, us |".to_owned(),
        "|---|---:|---:|---:|---:|".to_owned(),
    ];
    lines.extend(rates.iter().map(|(proxy, rate)| {
        let Rate { per_second, p99, cpu, .. } = rate;
        format!("| {} | {per_second:.0} | {:.2} | {p99:.2} | {cpu:.1} |", proxy.title(), per_second / nginx)
    }));
    lines.join("\n")
}
