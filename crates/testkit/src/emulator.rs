//! AWS as the tests know it: moto's server with our plug-in (`emulator/`; `docs/emulator.md` says what it enforces), one
//! process for each [`Emulator`], gone when that is dropped.
//!
//! What a test asks the emulator itself, over and above the AWS API, is here: who has credentials, how long things take,
//! what there is, what was called. Everything blocks for some milliseconds and panics with what went wrong.

mod delays;
mod environment;
mod http;
mod identities;
mod record;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::repository;

pub use delays::Delays;
pub use environment::python;
pub use identities::Credentials;
pub use record::{Asked, Call, Inventory};

/// Lines of the emulator's log that a failing test shows.
const SHOWN_LOG: usize = 60;

/// How much like AWS it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// moto with its bugs fixed. Signatures of calls to STS are checked, policies are not.
    Plain,
    /// All rules. Signatures and policies of every call are checked.
    Strict,
}

/// Whose requests are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Off,
    /// Signatures of calls to STS; what [`Mode::Plain`] starts with.
    Sts,
    /// Signatures and policies of all calls; what [`Mode::Strict`] starts with.
    Full,
}

/// A running emulator, with one administrator in it.
#[derive(Debug)]
pub struct Emulator {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    pub account: String,
    pub region: String,
    pub admin: Credentials,
    process: Child,
    directory: TempDir,
}

impl Emulator {
    /// Starts one in `us-east-1`. The first on a machine installs moto, which takes a minute.
    pub fn start(mode: Mode, delays: &Delays) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let log = File::create(directory.path().join("log")).expect("the log can be made");
        let mut process = Command::new(python())
            .arg(repository("crates/testkit/emulator/serve.py"))
            .args(["--port", "0", "--exit-with-stdin", "--mode"])
            .arg(if mode == Mode::Strict { "strict" } else { "plain" })
            .args(["--delays"])
            .args(delays.arguments())
            // It ends when this pipe does, so it never outlives the test, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .spawn()
            .unwrap_or_else(|error| panic!("the emulator cannot be started: {error}"));
        let welcome = first_line(&mut process);
        let text = |name: &str| welcome[name].as_str().unwrap_or_default().to_owned();
        let emulator = Self {
            endpoint: text("endpoint"),
            account: text("account"),
            region: "us-east-1".to_owned(),
            admin: Credentials::from_json(&welcome["admin"]),
            process,
            directory,
        };
        assert!(!emulator.endpoint.is_empty(), "the emulator did not start\n{}", emulator.log());
        emulator
    }

    /// The environment of a child process that is to work in this account as its administrator.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment_of(&self.admin)
    }

    /// The environment of a child process that is to work with these credentials.
    pub fn environment_of(&self, credentials: &Credentials) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL".to_owned(), self.endpoint.clone()),
            ("AWS_REGION".to_owned(), self.region.clone()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
            // Whatever the developer has in his home directory is not for tests.
            ("AWS_CONFIG_FILE".to_owned(), "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/dev/null".to_owned()),
        ];
        variables.extend(credentials.environment());
        variables
    }

    /// What is pending happens as if so much time had passed.
    pub fn advance(&self, time: Duration) {
        self.ask("advance", &json!({ "seconds": time.as_secs_f64() }));
    }

    /// From now on; what is pending already keeps its time.
    pub fn set_delays(&self, delays: &Delays) {
        self.ask("delays", &delays.json());
    }

    pub fn set_auth(&self, auth: Auth) {
        let name = match auth {
            Auth::Off => "off",
            Auth::Sts => "sts",
            Auth::Full => "full",
        };
        self.ask("mode", &json!({ "auth": name }));
    }

    /// By its code, like `L-F678F1CE` for VPCs of a region.
    pub fn set_quota(&self, code: &str, value: u32) {
        self.ask("quotas", &json!({ code: value }));
    }

    /// Switches off exactly these rules.
    pub fn disable_rules(&self, names: &[&str]) {
        self.ask("rules", &json!({ "disable": names }));
    }

    /// What health checks of a target group (by name or ARN) say of a target from now on; `None`: what the emulator makes up.
    pub fn set_target_health(&self, target_group: &str, target: &str, state: Option<&str>) {
        let facts = json!({ "target_group": target_group, "target": target, "state": state, "region": self.region });
        self.ask("targets/health", &facts);
    }

    /// ECS agents are somebody else's from now on: instances register and tasks run when a node runner says so.
    pub fn leave_agents_to_nodes(&self) {
        self.ask("agents/mode", &json!({ "mode": "nodes" }));
    }

    /// Where in all that is stored one of these texts occurs: paths like `ec2/…/launch_templates/…`.
    pub fn search(&self, needles: &[&str]) -> Vec<String> {
        let found = self.ask("search", &json!({ "needles": needles }));
        found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// One of the emulator's own functions; see `emulator/cortex_emulator/control.py`.
    pub fn ask(&self, function: &str, parameters: &Value) -> Value {
        let address = self.endpoint.trim_start_matches("http://");
        let (status, body) = http::post(address, &format!("/_cortex/{function}"), parameters.to_string().as_bytes())
            .unwrap_or_else(|error| panic!("the emulator does not answer {function}: {error}\n{}", self.log()));
        assert!(status == 200, "the emulator refuses {function}: {body}\n{}", self.log());
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{function} answered {body}: {error}"))
    }

    /// The process, for tests that kill it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The last lines that the emulator wrote.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LOG)..].join("\n")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the emulator's log:\n{}", self.log());
        }
        // An emulator that a test has killed is no more to be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Printed when it accepts connections; null if it ended instead.
fn first_line(process: &mut Child) -> Value {
    let mut line = String::new();
    let output = process.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).unwrap_or_else(|error| panic!("the emulator's output: {error}"));
    serde_json::from_str(&line).unwrap_or_default()
}
