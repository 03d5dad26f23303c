//! `cargo xtask generate`: the pages of `docs/` that are made from code, so that they cannot disagree with it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::run;

/// A generated page, and the built program whose stdout it is.
struct Page {
    path: &'static str,
    program: &'static str,
    argument: &'static str,
}

const PAGES: [Page; 12] = [
    Page { path: "docs/schema/cluster.schema.json", program: "examples/schema", argument: "cluster" },
    Page { path: "docs/schema/cortex.schema.json", program: "examples/schema", argument: "cortex" },
    Page { path: "docs/schema/operator.openapi.json", program: "examples/openapi", argument: "operator" },
    Page { path: "docs/reference/cli.md", program: "cortex", argument: "__reference" },
    Page { path: "docs/reference/metrics.md", program: "examples/metrics", argument: "all" },
    Page { path: "docs/iam/create-network.json", program: "examples/iam", argument: "create-network" },
    Page { path: "docs/iam/create-storage.json", program: "examples/iam", argument: "create-storage" },
    Page { path: "docs/iam/create-nodes.json", program: "examples/iam", argument: "create-nodes" },
    Page { path: "docs/iam/control-node.json", program: "examples/iam", argument: "control-node" },
    Page { path: "docs/iam/worker.json", program: "examples/iam", argument: "worker" },
    Page { path: "docs/iam/replica.json", program: "examples/iam", argument: "replica" },
    Page { path: "docs/iam/cli.json", program: "examples/iam", argument: "cli" },
];

/// Writes every page that is stale; with `check`, only says which are.
pub(crate) fn run(check: bool) -> Result<()> {
    build()?;
    let binaries = run::binaries()?;
    let mut stale = Vec::new();
    for page in &PAGES {
        let text = made(page, &binaries)?;
        let path = run::root().join(page.path);
        match difference(fs::read_to_string(&path).ok().as_deref(), &text) {
            None => {}
            Some(difference) if check => stale.push(format!("{}: {difference}", page.path)),
            Some(_) => write(&path, &text)?,
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("generated pages are stale; `cargo xtask generate` writes them\n  {}", stale.join("\n  "));
}

/// Programs that write a page each.
const EXAMPLES: [&str; 4] = ["schema", "openapi", "iam", "metrics"];

/// The whole workspace's selection of features (`--workspace`, and an example brings in the dev-dependencies), so that
/// what is built here is what `xtask test` needs next.
fn build() -> Result<()> {
    let mut build = run::cargo(&["build", "--workspace", "--bin", "cortex"]);
    for example in EXAMPLES {
        build.args(["--example", example]);
    }
    run::stage("build", &mut build)
}

fn made(page: &Page, binaries: &Path) -> Result<String> {
    let mut command: Command = run::program(binaries.join(page.program));
    let text = run::stdout_of(command.arg(page.argument)).with_context(|| format!("cannot make {}", page.path))?;
    if text.trim().is_empty() {
        bail!("`{} {}` printed nothing; it should print {}", page.program, page.argument, page.path);
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().expect("every page is in a directory");
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// What is different, in a few words; nothing if they are equal.
fn difference(old: Option<&str>, new: &str) -> Option<String> {
    let Some(old) = old else {
        return Some("missing".to_owned());
    };
    if old == new {
        return None;
    }
    let line = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count() + 1;
    Some(format!("differs from line {line}"))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn equal_pages_are_not_stale() {
        assert_eq!(difference(Some("a\nb\n"), "a\nb\n"), None);
    }

    #[test]
    fn stale_pages_say_where() {
        assert_eq!(difference(None, "a\n").as_deref(), Some("missing"));
        assert_eq!(difference(Some("a\nb\n"), "a\nc\n").as_deref(), Some("differs from line 2"));
        assert_eq!(difference(Some("a\n"), "a\nc\n").as_deref(), Some("differs from line 2"));
        assert_eq!(difference(Some("a"), "a\n").as_deref(), Some("differs from line 2"));
    }
}
