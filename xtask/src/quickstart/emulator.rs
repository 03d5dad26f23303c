//! The emulated AWS and what runs on its instances.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Child,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::emulator::{self, STRICT, begin, end, program};

pub(super) struct Emulator {
    aws: emulator::Emulator,
    nodes: PathBuf,
    runner: Child,
}

impl Emulator {
    /// With all that its nodes write below `home`.
    pub(super) fn start(home: &Path) -> Result<Self> {
        let nodes = home.join("nodes");
        let aws = emulator::Emulator::start(&STRICT, &home.join("emulator.log"))?;
        let mut runner = program(aws.python(), "nodes.py", &home.join("nodes.log"))?;
        runner.args(["--endpoint", aws.endpoint(), "--directory"]).arg(&nodes);
        let (runner, _) = begin(runner)?;
        aws.ask("agents/mode", r#"{"mode": "nodes"}"#)?;
        Ok(Self { aws, nodes, runner })
    }

    pub(super) fn endpoint(&self) -> &str {
        self.aws.endpoint()
    }

    /// For its administrator.
    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        self.aws.environment()
    }

    pub(super) fn inventory(&self) -> Result<BTreeSet<String>> {
        self.aws.inventory()
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

    /// The nodes first, with all that runs on them.
    pub(super) fn end(self) {
        end(self.runner);
        self.aws.end();
    }
}
