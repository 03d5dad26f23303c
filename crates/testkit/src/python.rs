//! A Python with ONNX Runtime, as the yardstick of ours, and with clients that others wrote.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use crate::{cortex::target, project::repository};

/// What is in `CORTEX_TEST_PYTHON`, which `cargo xtask test` sets; else a virtual environment of the same requirements that
/// is made now.
pub fn interpreter() -> PathBuf {
    if let Some(python) = env::var_os("CORTEX_TEST_PYTHON") {
        return python.into();
    }
    let directory = target().join("test-python/e2e");
    // Tests of other processes may want it at the same moment.
    let parent = directory.parent().expect("it is below the target directory");
    fs::create_dir_all(parent).expect("the target directory is writable");
    let lock = File::create(directory.with_extension("lock")).expect("the target directory is writable");
    lock.lock().expect("files can be locked");
    let (python, complete) = (directory.join("bin/python"), directory.join(".complete"));
    let [list, bare] = ["tests/python/requirements.txt", "tests/python/old-clients.txt"].map(repository);
    let read = |list: &PathBuf| fs::read_to_string(list).expect("it is in the repository");
    let wanted = read(&list) + &read(&bare);
    if fs::read_to_string(&complete).ok() != Some(wanted.clone()) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory));
        let install = |options: &[&str], list: &PathBuf| {
            let pip = ["-m", "pip", "install", "--quiet", "--requirement"];
            run(Command::new(&python).args(pip).arg(list).args(options));
        };
        install(&[], &list);
        install(&["--no-deps", "--no-build-isolation"], &bare);
        fs::write(complete, wanted).expect("the target directory is writable");
    }
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed; Python 3.11 or newer with venv and pip is needed, or a Python that has what \
         requirements.txt and old-clients.txt of tests/python/ name, in CORTEX_TEST_PYTHON\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
