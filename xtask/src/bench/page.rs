//! `docs/benchmarks.md`: prose by people, tables by `cargo xtask bench --write`.

use std::fs;

use anyhow::{Context, Result};

use crate::run;

const PAGE: &str = "docs/benchmarks.md";

/// Puts the table between the marks of that benchmark.
pub(super) fn write(benchmark: &str, table: &str) -> Result<()> {
    let path = run::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let page = with_table(&page, benchmark, table).with_context(|| format!("{PAGE} has no marks for {benchmark}"))?;
    fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))
}

fn with_table(page: &str, benchmark: &str, table: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {benchmark} -->\n"), format!("<!-- end of {benchmark} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{table}\n{end}{after}"))
}

/// Of which size it is, what day it is there, and what else it has to do.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let gib = kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or_default() / (1024 * 1024);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    format!("{}, {cores} cores, {gib} GiB, load average of the last quarter of an hour {load}", today())
}

/// `2026-11-23`, in UTC.
fn today() -> String {
    let date = run::stdout_of(run::program("date").args(["-u", "+%F"])).unwrap_or_default();
    date.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::with_table;

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        assert_eq!(with_table(page, "x", "new").as_deref(), Some("a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"));
        assert_eq!(with_table(page, "y", "new"), None);
    }
}
