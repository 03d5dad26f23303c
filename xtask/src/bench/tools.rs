//! What makes a cluster's resources: `cortex`, Ansible's collections for AWS, and a script with AWS's SDK for Python.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::control_plane::ControlPlane;
use crate::{emulator::Emulator, run, shapes::Shape};

const PROGRAMS: &str = "xtask/python/bench";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Cortex,
    /// Waits until the control nodes answer.
    CortexReady,
    Ansible,
    Boto3,
}

impl Tool {
    pub(super) const ALL: [Self; 4] = [Self::Cortex, Self::CortexReady, Self::Ansible, Self::Boto3];

    pub(super) fn is_other(self) -> bool {
        matches!(self, Self::Ansible | Self::Boto3)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cortex => "cortex cluster up --no-wait",
            Self::CortexReady => "cortex cluster up",
            Self::Ansible => "Ansible (amazon.aws, community.aws)",
            Self::Boto3 => "boto3 script",
        }
    }
}

/// One tool making one cluster in an empty account.
pub(super) struct Run {
    pub(super) seconds: f64,
    /// Of the tool, by action.
    pub(super) calls: BTreeMap<String, u64>,
    /// In which the emulator was at work on them.
    pub(super) emulator_seconds: f64,
    /// How many resources there are now that were not there before.
    pub(super) made: usize,
    /// Of a second `up`, which has nothing to do.
    pub(super) again: Option<Again>,
}

pub(super) struct Again {
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) writes: u64,
}

pub(super) struct Bench<'a> {
    /// With Ansible and boto3.
    pub(super) python: PathBuf,
    pub(super) place: &'a Path,
    pub(super) scale: f64,
}

impl Bench<'_> {
    pub(super) fn run(&self, tool: Tool, shape: &Shape) -> Result<Run> {
        let scale = format!("scale={}", self.scale);
        let arguments = ["--mode", "strict", "--auth", "full", "--delays", &scale];
        let emulator = Emulator::start(&arguments, &self.place.join("emulator.log"))?;
        let run = self.run_on(&emulator, tool, shape);
        emulator.end();
        run.with_context(|| format!("{} made no {} cluster", tool.name(), shape.name))
    }

    fn run_on(&self, emulator: &Emulator, tool: Tool, shape: &Shape) -> Result<Run> {
        let mut command = self.command(emulator, tool, shape)?;
        let before = emulator.inventory()?;
        let plane = match tool {
            Tool::CortexReady => Some(ControlPlane::start(&self.python, emulator)?),
            _ => None,
        };
        let begun = Instant::now();
        let output = command.output()?;
        let seconds = begun.elapsed().as_secs_f64();
        if let Some(plane) = plane {
            plane.end();
        }
        let log = [output.stdout, output.stderr].concat();
        fs::write(self.place.join(format!("{tool:?}-{}.log", shape.name)), &log)?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&log);
            let end: Vec<&str> = log.lines().rev().take(10).collect();
            bail!("{}: {}", output.status, end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        let calls = Calls::since(emulator, 0)?;
        let made = emulator.inventory()?.difference(&before).count();
        let again = match tool {
            Tool::Cortex => Some(again(&mut command, emulator, calls.last)?),
            _ => None,
        };
        Ok(Run { seconds, calls: calls.by_action, emulator_seconds: calls.seconds, made, again })
    }

    fn command(&self, emulator: &Emulator, tool: Tool, shape: &Shape) -> Result<Command> {
        let program = |name: &str| run::root().join(PROGRAMS).join(name);
        let mut command = match tool {
            Tool::Cortex => {
                let mut command = shape.up(self.place, emulator)?;
                command.arg("--no-wait");
                command
            }
            Tool::CortexReady => shape.up(self.place, emulator)?,
            Tool::Boto3 => {
                let mut command = run::program(&self.python);
                command.arg(program("by_boto3.py")).arg(self.terraform(shape)).arg(self.scale.to_string());
                command
            }
            Tool::Ansible => {
                let mut making = run::program(&self.python);
                making.arg(program("playbook.py")).arg(self.terraform(shape)).env("PYTHONDONTWRITEBYTECODE", "1");
                let text = run::stdout_of(&mut making)?;
                let playbook = self.place.join(format!("{}-playbook.json", shape.name));
                fs::write(&playbook, text)?;
                let mut command = run::program(&self.python);
                command.args(["-m", "ansible.cli.playbook", "-i", "localhost,"]).arg(playbook);
                command.env("ANSIBLE_PYTHON_INTERPRETER", &self.python).env("ANSIBLE_HOME", self.place.join("ansible"));
                command.env("ANSIBLE_LOCALHOST_WARNING", "False").env("LC_ALL", "C.UTF-8");
                command
            }
        };
        command.envs(emulator.environment()).env("AWS_REGION", "us-east-1").env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }

    fn terraform(&self, shape: &Shape) -> PathBuf {
        self.place.join("terraform").join(shape.name).join("cluster.tf.json")
    }
}

fn again(command: &mut Command, emulator: &Emulator, since: u64) -> Result<Again> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("the second `up` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let calls = Calls::since(emulator, since)?;
    Ok(Again { calls: calls.by_action, writes: calls.writes })
}

struct Calls {
    last: u64,
    by_action: BTreeMap<String, u64>,
    writes: u64,
    seconds: f64,
}

impl Calls {
    /// Of the emulator's administrator, who is the one that runs the tools.
    fn since(emulator: &Emulator, since: u64) -> Result<Self> {
        let answer = emulator.ask("calls", &format!("{{\"since\": {since}}}"))?;
        let last = answer["last"].as_u64().context("the emulator counts its calls")?;
        let mut calls = Self { last, by_action: BTreeMap::new(), writes: 0, seconds: 0.0 };
        let own = |call: &&Value| call["principal"].as_str().is_some_and(|who| who.ends_with(":user/emulator-admin"));
        for call in answer["calls"].as_array().into_iter().flatten().filter(own) {
            let text = |field: &str| call[field].as_str().unwrap_or_default();
            *calls.by_action.entry(format!("{}:{}", text("service"), text("action"))).or_default() += 1;
            calls.writes += u64::from(call["mutating"] == true);
            calls.seconds += call["milliseconds"].as_f64().unwrap_or_default() / 1000.0;
        }
        Ok(calls)
    }
}
