//! A cluster of this machine that is gone when the test is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api::replica::{Phase, ReplicaSpec, ReplicaStatus};
use serde_json::Value;

use crate::{Cortex, Https, Outcome, Version, cortex::target, eventually, leaks, ports::Ports, process};

/// The processes that a cluster always has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Node,
    Operator,
    Gateway,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Operator => "operator",
            Self::Gateway => "gateway",
        }
    }
}

/// What a `cluster.yaml` says besides the ports.
#[derive(Debug, Clone)]
pub struct Config {
    pub name: String,
    pub data_dir: Option<PathBuf>,
    /// Whole lines of other fields.
    pub fields: String,
    /// Environment variables of `cluster up`, and so of all processes.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self { name: "e2e".to_owned(), data_dir: None, fields: String::new(), environment: Vec::new() }
    }
}

pub struct Cluster {
    pub cortex: Cortex,
    pub name: String,
    pub directory: PathBuf,
    /// Relative to the working directory.
    pub config: String,
    pub ca: String,
    pub operator_endpoint: String,
    pub api_endpoint: String,
    pub key: String,
    environment: Vec<(&'static str, String)>,
    _ports: Ports,
}

/// A replica, as its own directory describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    pub api: String,
    pub id: String,
    pub pid: u32,
    pub ready: bool,
}

impl Cluster {
    /// `cluster up` and `env configure`, by a new user.
    pub fn up() -> Self {
        Self::up_as(&Cortex::new(), Config::default())
    }

    /// The same for this user. The environment has the cluster's name.
    pub fn up_as(cortex: &Cortex, config: Config) -> Self {
        let ports = Ports::reserve(&target().join("test-ports"));
        let Config { name, data_dir, fields, environment } = config;
        let (lb_port, operator_port) = (ports.first, ports.first + 1);
        let mut yaml =
            format!("cluster_name: {name}\nprovider: local\nlb_port: {lb_port}\noperator_port: {operator_port}\n");
        let directory = data_dir.clone().unwrap_or_else(|| cortex.home().join("clusters").join(&name));
        if let Some(data_dir) = data_dir {
            yaml += &format!("data_dir: {}\n", data_dir.display());
        }
        yaml += &fields;
        let file = format!("{name}.yaml");
        cortex.write(&file, yaml);
        let mut cluster = Self {
            cortex: cortex.clone(),
            directory,
            config: file,
            ca: String::new(),
            operator_endpoint: format!("https://localhost:{operator_port}"),
            api_endpoint: format!("https://localhost:{lb_port}"),
            key: String::new(),
            environment,
            _ports: ports,
            name,
        };
        cluster.up_again().ok();
        let name = cluster.name.clone();
        cortex.run(&["env", "configure", &name, "--cluster", &name]).ok();
        cluster.ca = cortex.run(&["cluster", "cert", "--name", &name]).ok().stdout;
        cluster.key = cortex.run(&["api-key", "get", "--env", &name]).ok().stdout.trim().to_owned();
        cluster
    }

    /// `cluster up`, which may be done at any time.
    pub fn up_again(&self) -> Outcome {
        let mut command = self.cortex.command(&["cluster", "up", "--yes", "-c", &self.config]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.cortex.run_command(command)
    }

    pub fn down(&self) -> Outcome {
        self.cortex.run(&["cluster", "down", "--yes", "--name", &self.name])
    }

    /// Runs `cortex` with these arguments against this cluster; for commands that take `--env`.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.cortex.run(&[arguments, &["--env", &self.name]].concat())
    }

    /// Deploys, and waits until everything is live.
    #[track_caller]
    pub fn deploy(&self, file: &str) -> Outcome {
        self.run(&["deploy", file]).ok()
    }

    /// `cortex get API -o json`.
    #[track_caller]
    pub fn get(&self, api: &str) -> Value {
        self.run(&["get", api, "-o", "json"]).ok().json()
    }

    /// A client that prefers HTTP/2.
    pub fn client(&self) -> Https {
        self.client_of(Version::Http2)
    }

    pub fn client_of(&self, version: Version) -> Https {
        Https::new(&self.api_endpoint, &self.ca, &self.key, version)
    }

    /// The file with the credential of the operator.
    pub fn token_file(&self) -> PathBuf {
        self.directory.join("admin-token")
    }

    /// The process id that the process itself wrote down.
    pub fn pid(&self, role: Role) -> u32 {
        self.try_pid(role).unwrap_or_else(|| panic!("the {} has no status", role.name()))
    }

    fn try_pid(&self, role: Role) -> Option<u32> {
        let file = self.directory.join("run").join(role.name()).with_extension("json");
        ReplicaStatus::read(&file).ok().flatten().map(|status| status.pid)
    }

    /// Waits until a process other than that one has the role.
    pub async fn successor(&self, role: Role, of: u32) -> u32 {
        eventually("the process is started again", async || match self.try_pid(role) {
            Some(pid) if pid != of && process::is_alive(pid) => Ok(pid),
            other => Err(format!("{} is {other:?}, was {of}", role.name())),
        })
        .await
    }

    /// Waits until the process that has the role serves.
    pub async fn ready(&self, role: Role) {
        let file = self.directory.join("run").join(role.name()).with_extension("json");
        eventually("the process serves", async || match ReplicaStatus::read(&file) {
            Ok(Some(status)) if status.phase == Phase::Ready && process::is_alive(status.pid) => Ok(()),
            other => Err(format!("{}: {other:?}", role.name())),
        })
        .await;
    }

    /// Every replica that runs.
    pub fn replicas(&self) -> Vec<Replica> {
        let Ok(entries) = fs::read_dir(self.directory.join("r")) else { return Vec::new() };
        let mut replicas: Vec<_> = entries.flatten().filter_map(|entry| read_replica(&entry.path())).collect();
        replicas.sort();
        replicas
    }

    /// Every replica of one API that runs.
    pub fn replicas_of(&self, api: &str) -> Vec<Replica> {
        self.replicas().into_iter().filter(|replica| replica.api == api).collect()
    }

    /// Waits until exactly that many replicas of an API run, all of them ready.
    pub async fn settled(&self, api: &str, count: usize) -> Vec<Replica> {
        eventually("the replicas settle", async || {
            let replicas = self.replicas_of(api);
            let ready = replicas.len() == count && replicas.iter().all(|replica| replica.ready);
            if ready { Ok(replicas) } else { Err(format!("{count} of {api} wanted: {replicas:?}")) }
        })
        .await
    }

    /// Waits until the operator says that the API is live with that many ready replicas.
    pub async fn live(&self, api: &str, ready: u64) {
        eventually("the API is live", async || {
            let outcome = self.run(&["get", api, "-o", "json"]);
            let live = outcome.code == 0 && {
                let api = outcome.json();
                api["status"] == "live" && api["replicas"]["ready"] == ready
            };
            if live { Ok(()) } else { Err(outcome.to_string()) }
        })
        .await;
    }

    /// Kills the process and waits until it is gone.
    pub async fn kill(&self, pid: u32) {
        process::kill(pid);
        eventually("the killed process is gone", async || match process::is_alive(pid) {
            true => Err(process::command_line(pid)),
            false => Ok(()),
        })
        .await;
    }

    /// Processes that belong to this cluster.
    pub fn processes(&self) -> Vec<u32> {
        process::of_directory(&self.directory)
    }

    /// Waits until no process of the cluster is left: what is told to end may take a moment to be gone.
    pub async fn no_process_left(&self) {
        eventually("no process is left", async || {
            let left: Vec<_> = self.processes().into_iter().map(process::command_line).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    /// Sorted names of the files in a directory of the cluster; none if there is no such directory.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.directory.join(directory)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn read_replica(directory: &Path) -> Option<Replica> {
    let spec: ReplicaSpec = serde_json::from_slice(&fs::read(directory.join("spec.json")).ok()?).ok()?;
    let status = ReplicaStatus::read(&directory.join("status.json")).ok()??;
    process::is_alive(status.pid).then(|| Replica {
        api: spec.api,
        id: spec.replica,
        pid: status.pid,
        ready: status.phase == Phase::Ready,
    })
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for role in [Role::Node, Role::Operator, Role::Gateway] {
                let log = self.directory.join("run").join(role.name()).with_extension("log");
                let text = self.cortex.read(&log);
                let chatter =
                    |line: &&str| [r#""level":"TRACE""#, r#""level":"DEBUG""#].iter().any(|it| line.contains(it));
                let lines: Vec<_> = text.lines().filter(|line| !chatter(line)).collect();
                eprintln!("--- end of {}.log\n{}", role.name(), lines[lines.len().saturating_sub(15)..].join("\n"));
            }
        }
        let leaks = leaks::in_logs(&self.directory, &[]);
        let outcome = self.down();
        // 5: the test took it down itself.
        if outcome.code != 0 && outcome.code != 5 {
            eprintln!("{outcome}");
        }
        // The node first, lest it start the others again.
        let known = [Role::Node, Role::Operator, Role::Gateway].map(|role| self.try_pid(role));
        let replicas = self.replicas().into_iter().map(|replica| replica.pid);
        let mine = self.directory.display().to_string();
        for pid in known.into_iter().flatten().chain(replicas) {
            if process::is_alive(pid) && process::command_line(pid).contains(&mine) {
                eprintln!("killing what `cluster down` left: {}", process::command_line(pid));
                process::kill(pid);
            }
        }
        assert!(std::thread::panicking() || leaks.is_empty(), "secrets in logs: {leaks:?}");
    }
}
