//! Virtual environments, one per set of requirements and interpreter, shared by all replicas of the machine.
//!
//! An environment lives at `<cache>/venvs/<key>`, where the key is a hash of everything that decides what gets
//! installed. It is made under a lock, in place because environments cannot be moved, and is complete when its marker
//! file exists: one without is the leftover of a crash and is made again. A project without requirements runs on the
//! interpreter itself, which saves seconds at every first start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use api::replica::ReplicaSpec;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::{
    command::{Outcome, disk_full, missing_module, no_python, pip_reason, run_tool},
    error::Error,
    file_lock::lock,
    status::StatusFile,
};

const REQUIREMENTS: &str = "requirements.txt";
/// Written last.
const MARKER: &str = ".cortex-complete";
/// What makes two interpreters different for an environment: version and place (environments link to it).
const IDENTITY: &str = "import platform, sys; print(sys.version, sys.base_prefix, sys.executable, platform.machine())";

/// The interpreter that sees what the project requires.
pub(super) async fn ensure(
    spec: &ReplicaSpec,
    project: &Path,
    limit: Duration,
    status: &StatusFile,
) -> Result<PathBuf, Error> {
    let identity = identity(&spec.python).await?;
    let Some(requirements) = Requirements::read(project)? else {
        return Ok(spec.python.clone());
    };
    let env = spec.program.predictor().map(|predictor| &predictor.env);
    let pip_settings: BTreeMap<_, _> = env.into_iter().flatten().filter(|(name, _)| name.starts_with("PIP_")).collect();
    let directory = spec.cache.join("venvs");
    fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let directory = std::path::absolute(&directory).map_err(Error::io("find", &directory))?;
    let key = requirements.key(&identity, &pip_settings, project);
    let environment = directory.join(&key);
    let python = environment.join("bin/python");

    let _lock = lock(&directory.join(format!("{key}.lock")), || {
        // A status that cannot be written is reported by the next one that must be.
        let _ = status.starting("waiting for another replica to install the same requirements");
    })
    .await?;
    if environment.join(MARKER).exists() {
        tracing::info!("using the virtual environment {key}");
        return Ok(python);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).map_err(Error::io("remove", &environment))?;
    }

    let pip = Pip::of(&spec.python).await;
    status.starting("creating a virtual environment")?;
    create(&spec.python, pip, &environment, limit).await?;
    status.starting(&match requirements.count {
        1 => "installing 1 requirement".to_owned(),
        more => format!("installing {more} requirements"),
    })?;
    install(&spec.python, pip, &environment, project, &pip_settings, limit).await?;
    let marker = environment.join(MARKER);
    fs::write(&marker, "").map_err(Error::io("write", &marker))?;
    Ok(python)
}

/// Which `pip` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pip {
    /// The interpreter's own: `--python` came with 22.3. It saves the seconds that it takes to put one into the
    /// environment.
    Outside,
    /// The one that Python carries along (`ensurepip`).
    Inside,
}

impl Pip {
    async fn of(python: &Path) -> Self {
        let output = Command::new(python).args(["-m", "pip", "--version"]).stdin(Stdio::null()).output().await;
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        if version(&text) >= Some((22, 3)) { Self::Outside } else { Self::Inside }
    }
}

/// Of `pip 23.0.1 from ...`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("pip ")?.split(['.', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn create(python: &Path, pip: Pip, environment: &Path, limit: Duration) -> Result<(), Error> {
    let mut command = Command::new(python);
    command.args(["-m", "venv"]).args((pip == Pip::Outside).then_some("--without-pip")).arg(environment);
    let lines = match run_tool(command, python, "creating the virtual environment", limit).await? {
        Outcome::Done => return Ok(()),
        Outcome::Failed(lines) => lines,
    };
    let known = missing_module(python, &lines).or_else(|| disk_full(environment, &lines));
    Err(known.unwrap_or_else(|| Error::VirtualEnvironment { reason: lines.join("; ") }))
}

async fn install(
    python: &Path,
    pip: Pip,
    environment: &Path,
    project: &Path,
    settings: &BTreeMap<&String, &String>,
    limit: Duration,
) -> Result<(), Error> {
    let inside = environment.join("bin/python");
    let mut command = match pip {
        Pip::Inside => Command::new(&inside),
        Pip::Outside => Command::new(python),
    };
    command.args(["-m", "pip"]);
    if pip == Pip::Outside {
        command.arg("--python").arg(&inside);
    }
    command
        .args(["install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        .args(["--requirement", REQUIREMENTS])
        .envs(settings)
        .current_dir(project);
    let lines = match run_tool(command, python, "installing the requirements", limit).await? {
        Outcome::Done => return Ok(()),
        Outcome::Failed(lines) => lines,
    };
    let known = missing_module(python, &lines).or_else(|| disk_full(environment, &lines));
    Err(known.unwrap_or_else(|| Error::Requirements { reason: pip_reason(&lines) }))
}

async fn identity(python: &Path) -> Result<String, Error> {
    let output = Command::new(python)
        .args(["-c", IDENTITY])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| no_python(python, source))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(no_python(python, std::io::Error::other(format!("it ended with {}: {last}", output.status))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The project's requirements with all files they include.
struct Requirements {
    /// By path, in order.
    files: BTreeMap<PathBuf, String>,
    /// Lines that require something.
    count: usize,
    /// Whether a line means a part of the project itself (`.`, `-e`, `file:`).
    local: bool,
}

impl Requirements {
    /// `None` if the project requires nothing.
    fn read(project: &Path) -> Result<Option<Self>, Error> {
        let mut found = Self { files: BTreeMap::new(), count: 0, local: false };
        let mut unread = BTreeSet::from([PathBuf::from(REQUIREMENTS)]);
        while let Some(path) = unread.pop_first() {
            let file = project.join(&path);
            let text = match fs::read_to_string(&file) {
                Ok(text) => text,
                // An included file that is missing is for pip to complain about.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("read", &file)(error)),
            };
            for line in text.lines().map(meaning).filter(|line| !line.is_empty()) {
                match included(line) {
                    Some(name) => {
                        let next = path.parent().unwrap_or(Path::new("")).join(name);
                        if !found.files.contains_key(&next) {
                            unread.insert(next);
                        }
                    }
                    None => found.count += usize::from(!line.starts_with("--")),
                }
                found.local |= line.starts_with('.') || line.starts_with("-e") || line.contains("file:");
                found.local |= line.starts_with("--editable") || line.starts_with('/');
            }
            found.files.insert(path, text);
        }
        Ok((found.count > 0).then_some(found))
    }

    /// One-way, so that settings with passwords in them may go in.
    fn key(&self, identity: &str, settings: &BTreeMap<&String, &String>, project: &Path) -> String {
        let local = self.local.then_some(project);
        let mut hash = Sha256::new();
        hash.update(serde_json::json!([identity, self.files, settings, local]).to_string());
        hex::encode(&hash.finalize()[..16])
    }
}

/// A line without its comment.
fn meaning(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default().trim_end() }
}

/// The file that a line of a requirements file includes.
fn included(line: &str) -> Option<&str> {
    let name = ["--requirement", "--constraint", "-r", "-c"].iter().find_map(|option| line.strip_prefix(option))?;
    Some(name.trim_start_matches(['=', ' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn key(files: &[(&str, &str)], identity: &str) -> Option<String> {
        let project = project(files);
        let requirements = Requirements::read(project.path()).unwrap()?;
        Some(requirements.key(identity, &BTreeMap::new(), project.path()))
    }

    #[test]
    fn comments_require_nothing() {
        assert_eq!(key(&[], "3"), None);
        assert_eq!(key(&[("requirements.txt", "")], "3"), None);
        assert_eq!(key(&[("requirements.txt", "# numpy\n\n  # more\n")], "3"), None);
        let some = project(&[("requirements.txt", "numpy # why\n--no-binary :all:\nscipy")]);
        assert_eq!(Requirements::read(some.path()).unwrap().unwrap().count, 2);
    }

    #[test]
    fn versions_of_pip() {
        assert_eq!(version("pip 23.0.1 from /usr/lib (python 3.11)"), Some((23, 0)));
        assert_eq!(version("pip 26 from /usr/lib"), None);
        assert_eq!(version(""), None);
        assert!(version("pip 9.9") < Some((22, 3)) && None < Some((22, 3)));
    }

    #[test]
    fn the_key_covers_included_files_and_the_interpreter_but_not_the_project() {
        let base = [("requirements.txt", "-r more.txt\na"), ("more.txt", "-r requirements.txt\nb")];
        let changed = [("requirements.txt", "-r more.txt\na"), ("more.txt", "-r requirements.txt\nc")];
        assert_eq!(key(&base, "3.11"), key(&base, "3.11"));
        assert_ne!(key(&base, "3.11"), key(&changed, "3.11"));
        assert_ne!(key(&base, "3.11"), key(&base, "3.12"));
    }

    #[test]
    fn the_key_covers_the_project_if_it_is_installed_itself() {
        for line in [".", "./wheel.whl", "-e .", "name @ file:///x"] {
            let files = [("requirements.txt", line)];
            assert_ne!(key(&files, "3"), key(&files, "3"), "{line}");
        }
    }
}
