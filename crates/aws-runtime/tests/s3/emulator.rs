//! The emulator on a free port, checking signatures, for as long as the value lives.
//!
//! Not moto as it comes: that handles requests at the same time and looks at `If-Match` long before it writes, so under
//! load two of them succeed where S3 lets one through.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use aws_credential_types::Credentials;
use serde_json::Value;
use testkit::project::repository;

pub(crate) struct Emulator {
    server: Child,
    pub(crate) url: String,
    /// An administrator's.
    pub(crate) credentials: Credentials,
    pub(crate) account: String,
}

impl Emulator {
    pub(crate) fn start() -> Self {
        let mut server = Command::new(interpreter())
            .arg(repository("crates/testkit/emulator/serve.py"))
            .args(["--port", "0", "--mode", "plain", "--auth", "full", "--exit-with-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator can be started");
        let mut line = String::new();
        let out = server.stdout.take().expect("it is a pipe");
        BufReader::new(out).read_line(&mut line).expect("it says where it is");
        let welcome: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("`{line}`: {error}"));
        let text = |pointer| welcome.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}"));
        let credentials =
            Credentials::new(text("/admin/access_key_id"), text("/admin/secret_access_key"), None, None, "emulator");
        let url = text("/endpoint").to_owned();
        let emulator = Self { server, url, credentials, account: text("/account").to_owned() };
        // It answers 501 to HEAD for what is not there, taking the reply without a body for a page of HTML.
        emulator.disable("proper_errors");
        emulator
    }

    fn disable(&self, rule: &str) {
        let body = format!(r#"{{"disable":["{rule}"]}}"#);
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("it listens");
        let head =
            "POST /_cortex/rules HTTP/1.1\r\nhost: emulator\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What is in `CORTEX_TEST_EMULATOR_PYTHON`; else a virtual environment that is made now.
fn interpreter() -> PathBuf {
    if let Some(python) = std::env::var_os("CORTEX_TEST_EMULATOR_PYTHON") {
        return python.into();
    }
    let directory = target().join("test-python/emulator");
    let parent = directory.parent().expect("it is below the target directory");
    fs::create_dir_all(parent).expect("the target directory is writable");
    // Tests of other processes may want it at the same moment.
    let lock = File::create(directory.with_extension("lock")).expect("the target directory is writable");
    lock.lock().expect("files can be locked");
    let (python, complete) = (directory.join("bin/python"), directory.join(".complete"));
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory));
        let requirements = repository("crates/testkit/emulator/requirements.txt");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements));
        File::create(complete).expect("the target directory is writable");
    }
    python
}

/// The directory of this test's binary, `<target>/<profile>/deps`, tells.
fn target() -> PathBuf {
    let binary = std::env::current_exe().expect("a test has a file");
    binary.ancestors().nth(3).map(Path::to_owned).expect("it lies in the target directory")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr));
}
