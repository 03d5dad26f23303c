//! A virtual environment in `target/test-python/`, made once for each list of requirements and each Python.
//!
//! It is made beside its place and moved there when it is complete, so a run that was killed, or one at the same time,
//! leaves no half of one. Moving breaks the scripts in its `bin/` but not its interpreter: call `python -m pip`.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{python, run};

/// The interpreter of an environment with what the file of the repository lists, all versions pinned.
pub(crate) fn ready(requirements: &str) -> Result<PathBuf> {
    ready_with(requirements, None)
}

/// The same with what a second file lists, built from source and without what it says it needs: the first file has that.
pub(crate) fn ready_with(requirements: &str, bare: Option<&str>) -> Result<PathBuf> {
    let path = |file: &str| run::root().join(file);
    let mut text = String::new();
    for file in [Some(requirements), bare].into_iter().flatten() {
        text += &fs::read_to_string(path(file)).with_context(|| format!("cannot read {file}"))?;
    }
    let parent = run::target()?.join("test-python");
    let place = parent.join(key(&text, &python::find()?.build));
    if !place.exists() {
        make(&place, &path(requirements), bare.map(path).as_deref())
            .with_context(|| format!("cannot install {requirements}"))?;
    }
    Ok(place.join("bin/python"))
}

/// Need not be stable over versions of Rust: another key only means another environment.
fn key(requirements: &str, python: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (requirements, python).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn make(place: &Path, requirements: &Path, bare: Option<&Path>) -> Result<()> {
    let draft = place.with_extension(format!("draft-{}", std::process::id()));
    let made = fill(&draft, requirements, bare).and_then(|()| move_to(&draft, place));
    if draft.exists() {
        // Not this run's to use: a failure, or another run was faster. `cargo clean` takes what cannot be removed now.
        let _ = fs::remove_dir_all(&draft);
    }
    made
}

fn fill(draft: &Path, requirements: &Path, bare: Option<&Path>) -> Result<()> {
    run::stage("venv", run::program("python3").args(["-m", "venv"]).arg(draft))?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let install = |options: &[&str], list: &Path| {
        run::stage("pip", run::program(draft.join("bin/python")).args(pip).args(options).arg("-r").arg(list))
    };
    install(&["--only-binary", ":all:"], requirements)?;
    bare.map_or(Ok(()), |list| install(&["--no-deps", "--no-build-isolation"], list))
}

fn move_to(draft: &Path, place: &Path) -> Result<()> {
    match fs::rename(draft, place) {
        Err(_) if place.exists() => Ok(()),
        result => result.with_context(|| format!("cannot move {} into its place", draft.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn other_requirements_or_another_python_is_another_environment() {
        assert_eq!(key("numpy==2", "3.12"), key("numpy==2", "3.12"));
        assert_ne!(key("numpy==2", "3.12"), key("numpy==3", "3.12"));
        assert_ne!(key("numpy==2", "3.12"), key("numpy==2", "3.13"));
    }
}
