//! The `cortex` binary, and a home directory of the test's own for it.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use crate::{Outcome, TinyDisk, leaks};

/// The longest temporary directory that leaves room for the path of a replica's socket (107 bytes in all).
const LONGEST_TEMPORARY: usize = 30;

/// A user's shell, so to speak. Clones are the same user.
#[derive(Clone)]
pub struct Cortex {
    inner: Arc<Inner>,
}

struct Inner {
    binary: PathBuf,
    /// `h` is `CORTEX_HOME`, `t` is `TMPDIR`, `p` the working directory, with the projects.
    root: TempDir,
    /// Commands run where this is mounted.
    disk: Option<TinyDisk>,
}

impl Cortex {
    /// A user who has nothing yet but a cache of what was once fetched, which is the same for all tests: everything in it
    /// lies under the name of its content's hash and is made under a lock.
    #[expect(clippy::new_without_default, reason = "it makes directories")]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A user whose commands, and all that they start, see this disk at [`Cortex::disk`].
    pub fn on(disk: TinyDisk) -> Self {
        Self::with(Some(disk))
    }

    fn with(disk: Option<TinyDisk>) -> Self {
        let root = temporary();
        for name in ["h", "t", "p", "disk"] {
            fs::create_dir(root.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let cache = target().join("test-cache");
        fs::create_dir_all(&cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
        symlink(&cache, root.path().join("h/cache")).unwrap_or_else(|error| panic!("the cache: {error}"));
        if let Some(disk) = &disk {
            disk.mount(&root.path().join("disk"));
        }
        Self { inner: Arc::new(Inner { binary: binary(), root, disk }) }
    }

    /// All of the test's files.
    pub fn root(&self) -> &Path {
        self.inner.root.path()
    }

    /// `CORTEX_HOME`.
    pub fn home(&self) -> PathBuf {
        self.root().join("h")
    }

    /// `TMPDIR`, and where well-behaved programs keep what they want to find again.
    pub fn temporary(&self) -> PathBuf {
        self.root().join("t")
    }

    /// The working directory of every command.
    pub fn working_directory(&self) -> PathBuf {
        self.root().join("p")
    }

    /// Where the tiny disk is, if there is one.
    pub fn disk(&self) -> PathBuf {
        self.root().join("disk")
    }

    pub fn tiny_disk(&self) -> Option<&TinyDisk> {
        self.inner.disk.as_ref()
    }

    /// A file as the commands see it; empty if there is none.
    pub fn read(&self, path: &Path) -> String {
        let Some(disk) = &self.inner.disk else { return fs::read_to_string(path).unwrap_or_default() };
        let output = disk.enter().arg("cat").arg(path).output().expect("nsenter can be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes a file below the working directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.working_directory().join(name);
        let parent = path.parent().expect("it is below a directory");
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, content))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The command, ready to be changed and run: without a terminal, and without what the environment of the test says of
    /// `cortex`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.inner.disk {
            Some(disk) => {
                let mut command = disk.enter();
                // Entering leaves the working directory.
                command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(self.working_directory());
                command.arg(&self.inner.binary);
                command
            }
            None => Command::new(&self.inner.binary),
        };
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CORTEX_")) {
                command.env_remove(name);
            }
        }
        // Everything that can be logged is, and searched for secrets.
        command
            .env("CORTEX_LOG", env::var_os("CORTEX_TEST_LOG").unwrap_or_else(|| "trace".into()))
            .args(arguments)
            .env("CORTEX_HOME", self.home())
            .env("TMPDIR", self.temporary())
            .env("XDG_CACHE_HOME", self.temporary())
            .env("PIP_NO_CACHE_DIR", "1")
            .env_remove("COLUMNS")
            .current_dir(self.working_directory())
            .stdin(Stdio::null());
        command
    }

    /// Runs `cortex` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_command(self.command(arguments))
    }

    /// Runs `cortex` with something on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // A command that does not read its input breaks the pipe, which is its own business.
        let _ = child.stdin.take().expect("it is a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.outcome(&command, &output)
    }

    /// Runs what [`Cortex::command`] made.
    pub fn run_command(&self, mut command: Command) -> Outcome {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.outcome(&command, &output)
    }

    fn outcome(&self, command: &Command, output: &std::process::Output) -> Outcome {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what cortex prints is UTF-8");
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        // Printing keys is what these commands are for.
        let shows = arguments.iter().any(|argument| argument == "api-key");
        for said in [&output.stderr, &output.stdout].into_iter().take(if shows { 1 } else { 2 }) {
            if let Some(leak) = leaks::find(&String::from_utf8_lossy(said), &[]) {
                panic!("{command:?} says a secret: {leak}");
            }
        }
        Outcome {
            command: format!("cortex {}", arguments.join(" ")),
            code: output.status.code().unwrap_or_else(|| panic!("{command:?} was ended: {}", output.status)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            root: self.root().display().to_string(),
        }
    }
}

fn temporary() -> TempDir {
    let mut base = env::temp_dir();
    if base.as_os_str().len() > LONGEST_TEMPORARY {
        base = "/tmp".into();
    }
    tempfile::Builder::new().prefix("ctx").tempdir_in(base).expect("a temporary directory can be made")
}

/// Cargo's target directory: the test is in `debug/deps` of it.
pub(crate) fn target() -> PathBuf {
    profile().parent().expect("cargo's layout").to_owned()
}

fn profile() -> PathBuf {
    let test = env::current_exe().expect("the test knows its own path");
    test.ancestors().nth(2).expect("cargo's layout").to_owned()
}

fn binary() -> PathBuf {
    let path = env::var_os("CORTEX_BIN").map_or_else(|| profile().join("cortex"), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no {}: build it with `cargo build -p cli --no-default-features`, or name one in CORTEX_BIN",
        path.display()
    );
    std::path::absolute(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
