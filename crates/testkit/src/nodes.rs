//! What boots and runs on an [`Emulator`]'s instances, on loopback: user data, units, ECS tasks, load balancers
//! (`emulator/nodes.py`; `docs/emulator.md` says how). One process for each [`Nodes`], which ends with all that it started
//! when that is dropped, or when the test ends in whatever way.
//!
//! Start it before the instances or after them; drop it before the emulator, so declare it after that.

mod status;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    emulator::{self, Emulator},
    process,
    project::repository,
};

pub use status::{Node, Status, Task, Unit};

/// The runner gives its processes ten seconds to end, and is done in a moment then.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of each log, what a failing test shows.
const SHOWN_LOG: usize = 40;

#[derive(Debug)]
pub struct Nodes {
    process: Child,
    directory: TempDir,
}

impl Nodes {
    /// From now on ECS agents and target health are its own: [`Emulator::leave_agents_to_nodes`].
    pub fn start(emulator: &Emulator) -> Self {
        let directory = TempDir::with_prefix("nodes-").expect("a temporary directory can be made");
        let log = File::create(directory.path().join("runner.log")).expect("the log can be made");
        let mut process = Command::new(emulator::python())
            .arg(repository("crates/testkit/emulator/nodes.py"))
            .args(["--endpoint", &emulator.endpoint, "--region", &emulator.region, "--exit-with-stdin", "--directory"])
            .arg(directory.path().join("nodes"))
            // It ends when this pipe does; in a group of its own, so that what ends the test's group lets it clean up.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("the node runner cannot be started: {error}"));
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).unwrap_or_else(|error| panic!("the runner's output: {error}"));
        let nodes = Self { process, directory };
        assert!(!line.is_empty(), "the node runner did not start\n{}", nodes.runner_log());
        nodes
    }

    /// Below it is a directory for each instance: `boot.log`, `agent.log`, `<unit>.log`, `tasks/<task>/log`, and the files
    /// that the instance's would be, by their paths.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().join("nodes")
    }

    /// As of some tenths of a second ago.
    pub fn status(&self) -> Status {
        let path = self.directory().join("status.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()))
    }

    /// Those that run units: control nodes.
    pub fn control(&self) -> Vec<Node> {
        self.status().nodes.into_iter().filter(|node| node.is_live() && !node.units.is_empty()).collect()
    }

    /// Those that are ECS container instances.
    pub fn workers(&self) -> Vec<Node> {
        self.status().nodes.into_iter().filter(|node| node.is_live() && node.ecs_config.is_some()).collect()
    }

    /// How to reach the load balancers by their names, as curl's `--connect-to` has it:
    /// `<dns name>:<port>:127.0.0.1:<port>`.
    pub fn connect_to(&self) -> Vec<String> {
        self.status().balancers.iter().map(|(name, address)| format!("{name}:{address}")).collect()
    }

    /// What an instance's user data wrote; empty before it has begun.
    pub fn boot_log(&self, instance: &str) -> String {
        fs::read_to_string(self.directory().join(instance).join("boot.log")).unwrap_or_default()
    }

    /// Every log of every node, by its path below [`Nodes::directory`].
    pub fn logs(&self) -> BTreeMap<PathBuf, String> {
        let root = self.directory();
        let mut logs = BTreeMap::new();
        for node in self.status().nodes {
            let tasks = node.tasks.iter().map(|task| task.directory.clone());
            for directory in [node.directory.clone()].into_iter().chain(tasks) {
                for path in logs_of(&directory) {
                    let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
                    logs.insert(path.strip_prefix(&root).unwrap_or(&path).to_owned(), text);
                }
            }
        }
        logs
    }

    /// What the runner itself had to say; nothing, usually.
    pub fn runner_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("runner.log")).unwrap_or_default()
    }

    /// The process, for tests that kill it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn show(&self) {
        eprintln!("the node runner's log:\n{}", self.runner_log());
        let status = fs::read_to_string(self.directory().join("status.json")).unwrap_or_default();
        eprintln!("the nodes: {status}");
        if serde_json::from_str::<Status>(&status).is_err() {
            return;
        }
        for (path, text) in self.logs() {
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LOG)..].join("\n");
            eprintln!("{}:\n{last}", path.display());
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show();
        }
        // The end of its input is the sign to end.
        drop(self.process.stdin.take());
        let begin = Instant::now();
        while !matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            if begin.elapsed() > PATIENCE {
                let _ = self.process.kill();
                let _ = self.process.wait();
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Nobody, unless the runner itself was killed: then the kernel has ended what it started, but not what that had.
        for pid in process::of_environment(&format!("HOME={}/", self.directory().display())) {
            process::kill_if_there(pid);
        }
    }
}

/// Wherever they lie below the directory: the unit's own, and those of the processes it keeps.
fn logs_of(directory: &Path) -> Vec<PathBuf> {
    let (mut logs, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(kind) if kind.is_file() && is_log(&path) => logs.push(path),
                _ => {}
            }
        }
    }
    logs
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "log") || path.ends_with("log")
}
