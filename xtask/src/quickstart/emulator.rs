//! The emulated AWS and what runs on its instances: two Python programs of `crates/testkit/emulator/`.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{run, test::venv};

const DIRECTORY: &str = "crates/testkit/emulator";

/// Asks one of the emulator's own functions; there is no HTTP client here.
const ASK: &str = "
import sys, urllib.request
url, body = sys.argv[1:]
sys.stdout.write(urllib.request.urlopen(urllib.request.Request(url, body.encode())).read().decode())
";

pub(super) struct Emulator {
    python: PathBuf,
    welcome: Value,
    nodes: PathBuf,
    server: Child,
    runner: Child,
}

impl Emulator {
    /// With all that its nodes write below `home`.
    pub(super) fn start(home: &Path) -> Result<Self> {
        let python = run::stage_of("python environment of the emulator", || {
            venv::ready(&format!("{DIRECTORY}/requirements.txt"))
        })?;
        let nodes = home.join("nodes");
        let log = |name: &str| fs::File::create(home.join(name)).with_context(|| format!("cannot write {name}"));
        let mut server = program(&python, "serve.py");
        server.args(["--port", "0", "--mode", "strict", "--auth", "full"]).stderr(log("emulator.log")?);
        let (server, welcome) = begin(server)?;
        let endpoint = welcome["endpoint"].as_str().unwrap_or_default().to_owned();
        let mut runner = program(&python, "nodes.py");
        runner.args(["--endpoint", &endpoint, "--directory"]).arg(&nodes).stderr(log("nodes.log")?);
        let (runner, _) = begin(runner)?;
        let emulator = Self { python, welcome, nodes, server, runner };
        emulator.ask("agents/mode", r#"{"mode": "nodes"}"#)?;
        Ok(emulator)
    }

    pub(super) fn endpoint(&self) -> &str {
        self.welcome["endpoint"].as_str().unwrap_or_default()
    }

    /// For its administrator.
    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        let admin = |name: &str| self.welcome["admin"][name].as_str().unwrap_or_default().to_owned();
        [
            ("AWS_ENDPOINT_URL", self.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", admin("access_key_id")),
            ("AWS_SECRET_ACCESS_KEY", admin("secret_access_key")),
            // What the user has set up for AWS is not for an emulator.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// What is in the account, each as `kind identifier`. Service-linked roles do not count: AWS keeps them, too.
    pub(super) fn inventory(&self) -> Result<BTreeSet<String>> {
        let kinds = self.ask("inventory", r#"{"regions": ["us-east-1"]}"#)?;
        let kinds = kinds.as_object().context("an inventory is a map")?.iter();
        let kinds = kinds.filter(|(kind, _)| *kind != "service_linked_role");
        let names = |(kind, found): (&String, &Value)| {
            found.as_object().into_iter().flatten().map(|(name, _)| format!("{kind} {name}")).collect::<Vec<_>>()
        };
        Ok(kinds.flat_map(names).collect())
    }

    /// As curl's `--connect-to` has it.
    pub(super) fn connect_to(&self) -> Result<Vec<String>> {
        Ok(self.balancers()?.iter().map(|(name, address)| format!("{name}:{address}")).collect())
    }

    /// Where a port of the load balancer is reached here, by a name that is in the cluster's certificate.
    pub(super) fn reached(&self, port: u16) -> Result<String> {
        let balancers = self.balancers()?;
        let found = balancers.iter().find(|(name, _)| name.ends_with(&format!(":{port}")));
        let (_, address) = found.with_context(|| format!("no load balancer listens on port {port}"))?;
        Ok(address.replace("127.0.0.1", "https://localhost"))
    }

    fn balancers(&self) -> Result<Vec<(String, String)>> {
        let status = fs::read(self.nodes.join("status.json")).context("the node runner says nothing")?;
        let status: Value = serde_json::from_slice(&status)?;
        let balancers = status["balancers"].as_object().context("no load balancers")?.iter();
        Ok(balancers.map(|(name, to)| (name.clone(), to.as_str().unwrap_or_default().to_owned())).collect())
    }

    fn ask(&self, function: &str, body: &str) -> Result<Value> {
        let url = format!("{}/_cortex/{function}", self.endpoint());
        let output = run::program(&self.python).args(["-c", ASK, &url, body]).output()?;
        if !output.status.success() {
            bail!("the emulator does not answer {function}: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the emulator answers with something else than JSON")
    }

    /// The nodes first, with all that runs on them.
    pub(super) fn end(self) {
        for mut child in [self.runner, self.server] {
            // The end of its input is the sign to end.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Out of reach of Ctrl-C, which the cluster has to be taken down after.
fn program(python: &Path, name: &str) -> Command {
    let mut command = run::program(python);
    command.arg(run::root().join(DIRECTORY).join(name)).arg("--exit-with-stdin");
    command.env("PYTHONDONTWRITEBYTECODE", "1").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Waits for the line that it prints when it serves.
fn begin(mut command: Command) -> Result<(Child, Value)> {
    let mut child = command.spawn().context("cannot start the emulator")?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let said = serde_json::from_str(&line).with_context(|| format!("{command:?} did not start"))?;
    Ok((child, said))
}
