//! An AWS account, a user with `cortex`, and what runs on the account's machines.

use std::process::Command;

use testkit::{
    Cortex, Https, Outcome, Version,
    emulator::{Call, Credentials, Delays, Emulator, Mode},
    leaks,
    nodes::Nodes,
    project::repository,
};

pub const PUBLIC: &str = "
cluster_name: demo
region: us-east-1
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
";

/// Nothing boots in most tests of provisioning, so what would boot need not be the 130 MB of the product.
const SMALL: [&str; 4] = ["--node-binary", "/bin/true", "--onnxruntime", "/bin/true"];

pub struct Account {
    pub cortex: Cortex,
    /// Dropped before the emulator.
    nodes: Option<Nodes>,
    pub emulator: Emulator,
}

impl Drop for Account {
    /// Whatever the test was about: no log of a machine has a secret in it.
    fn drop(&mut self) {
        if let (Some(nodes), false) = (&self.nodes, std::thread::panicking()) {
            let leaks = leaks::in_logs(&nodes.directory(), &[&self.emulator.admin.secret_access_key]);
            assert!(leaks.is_empty(), "secrets in logs: {leaks:?}");
        }
    }
}

impl Account {
    /// In which nothing boots.
    pub fn new(mode: Mode) -> Self {
        Self { cortex: Cortex::new(), nodes: None, emulator: Emulator::start(mode, &Delays::none()) }
    }

    /// Whose instances boot and run what they are told.
    pub fn with_nodes(mode: Mode) -> Self {
        let emulator = Emulator::start(mode, &Delays::none());
        let nodes = Nodes::start(&emulator);
        Self { cortex: Cortex::new(), nodes: Some(nodes), emulator }
    }

    pub fn nodes(&self) -> &Nodes {
        self.nodes.as_ref().expect("made with nodes")
    }

    /// A command of the account's administrator.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.emulator.admin, arguments)
    }

    pub fn command_of(&self, who: &Credentials, arguments: &[&str]) -> Command {
        let mut command = self.cortex.command(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.emulator.environment_of(who));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.cortex.run_command(self.command(arguments))
    }

    pub fn run_of(&self, who: &Credentials, arguments: &[&str]) -> Outcome {
        self.cortex.run_command(self.command_of(who, arguments))
    }

    /// Writes `cluster.yaml`.
    pub fn configure(&self, yaml: &str) {
        self.cortex.write("cluster.yaml", yaml);
    }

    /// `cluster up` of a cluster of which nothing will boot.
    pub fn make(&self) -> Outcome {
        self.run(&[&["cluster", "up", "--yes", "--no-wait"], SMALL.as_slice()].concat())
    }

    /// `cluster up` with the product itself.
    pub fn up(&self) -> Outcome {
        self.run(&["cluster", "up", "-c", "cluster.yaml", "--yes"])
    }

    pub fn down(&self) -> Outcome {
        self.run(&["cluster", "down", "-c", "cluster.yaml", "--yes"])
    }

    /// Makes an environment by the command that `cluster up` printed, with the addresses at which the load balancers are
    /// reached here.
    pub fn configure_environment(&self, up: &Outcome) -> Outcome {
        self.configure_environment_of(&self.emulator.admin, up)
    }

    pub fn configure_environment_of(&self, who: &Credentials, up: &Outcome) -> Outcome {
        let (_, line) = up.stdout.split_once("next: cortex ").unwrap_or_else(|| panic!("no next step\n{up}"));
        let rules = self.nodes().connect_to();
        let mut arguments: Vec<&str> = line.trim().split(' ').collect();
        for rule in &rules {
            arguments.extend(["--connect-to", rule]);
        }
        self.run_of(who, &arguments)
    }

    pub fn deploy(&self, example: &str) -> Outcome {
        let file = repository(&format!("examples/{example}/cortex.yaml"));
        self.run(&["deploy", file.to_str().expect("UTF-8")])
    }

    /// A client of the cluster's APIs that verifies the cluster's certificate.
    pub fn client(&self, version: Version) -> Https {
        let ca = self.run(&["cluster", "cert", "-c", "cluster.yaml"]).ok().stdout;
        let key = self.run(&["api-key", "get"]).ok().stdout;
        Https::new(&self.reached("443"), &ca, key.trim(), version)
    }

    /// `https://localhost:PORT` of the load balancer's port: the certificates name that as well.
    pub fn reached(&self, port: &str) -> String {
        let balancers = self.nodes().status().balancers;
        let (_, address) = balancers
            .iter()
            .find(|(name, _)| name.ends_with(&format!(":{port}")))
            .unwrap_or_else(|| panic!("no load balancer listens on port {port}: {balancers:?}"));
        address.replace("127.0.0.1", "https://localhost")
    }

    /// What was changed since a mark.
    pub fn changes_since(&self, mark: u64) -> Vec<Call> {
        self.emulator.calls_since(mark).into_iter().filter(|call| call.mutating).collect()
    }
}
