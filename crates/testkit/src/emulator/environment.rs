//! A Python with moto: a virtual environment in `target/test-python/`, made once for each list of requirements and each
//! Python, at the same place and in the same way as `cargo xtask test` makes its own.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{cortex::target, project::repository};

const REQUIREMENTS: &str = "crates/testkit/emulator/requirements.txt";

/// The Python that the emulator runs in: what is in `CORTEX_TEST_EMULATOR_PYTHON`, else an environment that is made now.
pub fn python() -> PathBuf {
    if let Some(python) = env::var_os("CORTEX_TEST_EMULATOR_PYTHON") {
        return python.into();
    }
    let requirements = repository(REQUIREMENTS);
    let text = fs::read_to_string(&requirements).unwrap_or_else(|error| panic!("{REQUIREMENTS}: {error}"));
    let parent = target().join("test-python");
    fs::create_dir_all(&parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let place = parent.join(key(&text, &build_of_python()));
    if !place.exists() {
        // Tests of other processes want it at the same moment; one of them makes it.
        let lock = File::create(place.with_extension("lock")).unwrap_or_else(|error| panic!("the lock: {error}"));
        lock.lock().unwrap_or_else(|error| panic!("the lock: {error}"));
        if !place.exists() {
            make(&place, &requirements);
        }
    }
    place.join("bin/python")
}

/// As xtask's: needs not be stable over versions of Rust, another key only means another environment.
fn key(requirements: &str, python: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (requirements, python).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn build_of_python() -> String {
    let asked = ["-c", "import sys; sys.stdout.write(sys.version + sys.prefix)"];
    let output = Command::new("python3").args(asked).output().unwrap_or_else(|error| panic!("python3: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Beside its place, and moved there when it is complete.
fn make(place: &Path, requirements: &Path) {
    let draft = place.with_extension(format!("draft-{}", std::process::id()));
    run(Command::new("python3").args(["-m", "venv"]).arg(&draft));
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(Command::new(draft.join("bin/python")).args(pip).arg("-r").arg(requirements));
    fs::rename(&draft, place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed; the emulator needs Python 3.11 with venv and pip\n{said}");
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn other_requirements_or_another_python_is_another_environment() {
        assert_eq!(key("moto==5", "3.12"), key("moto==5", "3.12"));
        assert_ne!(key("moto==5", "3.12"), key("moto==6", "3.12"));
        assert_ne!(key("moto==5", "3.12"), key("moto==5", "3.13"));
    }
}
