//! Are there any doctests? Running rustdoc over every package to find out costs more than reading the sources.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Whether a library of the repository has an example that rustdoc would run.
pub(crate) fn any(root: &Path) -> Result<bool> {
    any_below(&root.join("crates"))
}

fn any_below(directory: &Path) -> Result<bool> {
    let context = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let found = if path.is_dir() {
            any_below(&path)?
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            runs(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)
        } else {
            false
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Code blocks of doc comments are Rust unless they say otherwise: fenced ones, and those indented after a blank line.
fn runs(source: &str) -> bool {
    let (mut fenced, mut blank) = (false, true);
    for line in source.lines() {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or(line.strip_prefix("//!")) else {
            (fenced, blank) = (false, true);
            continue;
        };
        if let Some(language) = text.trim_start().strip_prefix("```") {
            if !fenced && is_run(language) {
                return true;
            }
            fenced = !fenced;
        } else if !fenced && blank && text.starts_with("     ") {
            return true;
        }
        blank = text.trim().is_empty();
    }
    false
}

fn is_run(language: &str) -> bool {
    let mut words = language.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.all(|word| {
        matches!(word, "rust" | "no_run" | "should_panic" | "compile_fail" | "standalone_crate" | "test_harness")
            || word.starts_with("edition")
    })
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn rust_examples_are_found() {
        assert!(runs("/// Text.\n///\n/// ```\n/// f();\n/// ```\nfn f() {}"));
        assert!(runs("    /// ```no_run,edition2024\n    /// ```"));
        assert!(runs("//! ```text\n//! ```\n//! ```rust\n//! ```"));
        assert!(runs("//! Text.\n//!\n//!     f();"));
    }

    #[test]
    fn other_blocks_are_not() {
        assert!(!runs("/// ```text\n/// ```\n/// ```yaml\n///     a: 1\n/// ```"));
        assert!(!runs("/// ```ignore\n/// ```"));
        assert!(!runs("// ```\n// ```\nlet s = \"```\";"));
        assert!(!runs("/// - a list\n///     that goes on"));
    }
}
