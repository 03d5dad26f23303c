//! The emulated AWS: moto's server with the plug-in of `crates/testkit/emulator/`, one process for each.

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

/// Enforces what AWS enforces, and checks signatures and permissions of every call.
pub(crate) const STRICT: [&str; 4] = ["--mode", "strict", "--auth", "full"];

pub(crate) struct Emulator {
    python: PathBuf,
    welcome: Value,
    server: Child,
}

impl Emulator {
    /// On a free port, with more arguments of `serve.py`.
    pub(crate) fn start(arguments: &[&str], log: &Path) -> Result<Self> {
        let python = run::stage_of("python environment of the emulator", || {
            venv::ready(&format!("{DIRECTORY}/requirements.txt"))
        })?;
        let mut server = program(&python, "serve.py", log)?;
        server.args(["--port", "0"]).args(arguments);
        let (server, welcome) = begin(server)?;
        Ok(Self { python, welcome, server })
    }

    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.welcome["endpoint"].as_str().unwrap_or_default()
    }

    /// For its administrator.
    pub(crate) fn environment(&self) -> [(&'static str, String); 6] {
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
    pub(crate) fn inventory(&self) -> Result<BTreeSet<String>> {
        let kinds = self.ask("inventory", r#"{"regions": ["us-east-1"]}"#)?;
        let kinds = kinds.as_object().context("an inventory is a map")?.iter();
        let kinds = kinds.filter(|(kind, _)| *kind != "service_linked_role");
        let names = |(kind, found): (&String, &Value)| {
            found.as_object().into_iter().flatten().map(|(name, _)| format!("{kind} {name}")).collect::<Vec<_>>()
        };
        Ok(kinds.flat_map(names).collect())
    }

    pub(crate) fn ask(&self, function: &str, body: &str) -> Result<Value> {
        let url = format!("{}/_cortex/{function}", self.endpoint());
        let output = run::program(&self.python).args(["-c", ASK, &url, body]).output()?;
        if !output.status.success() {
            bail!("the emulator does not answer {function}: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the emulator answers with something else than JSON")
    }

    pub(crate) fn end(self) {
        end(self.server);
    }
}

/// One of the emulator's programs, out of reach of Ctrl-C: a cluster has to be taken down after that.
pub(crate) fn program(python: &Path, name: &str, log: &Path) -> Result<Command> {
    let log = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = run::program(python);
    command.arg(run::root().join(DIRECTORY).join(name)).arg("--exit-with-stdin");
    command.env("PYTHONDONTWRITEBYTECODE", "1").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    Ok(command)
}

/// Waits for the line that it prints when it serves.
pub(crate) fn begin(mut command: Command) -> Result<(Child, Value)> {
    let mut child = command.spawn().context("cannot start the emulator")?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let said = serde_json::from_str(&line).with_context(|| format!("{command:?} did not start"))?;
    Ok((child, said))
}

/// The end of its input is the sign to end.
pub(crate) fn end(mut child: Child) {
    drop(child.stdin.take());
    let _ = child.wait();
}
