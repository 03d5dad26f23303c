//! How long `cluster up` takes where everything takes as long as on AWS, and how much of that is physics.
//!
//! Each cluster is made in an account of its own: an emulator with strict rules and injected delays. The critical path is the
//! longest chain of these delays that no program can shorten; calls themselves take no time in it. All tools make the same
//! resources, since the two others are given the cluster as cortex exports it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Options, page,
    tools::{Again, Bench, Run, Tool},
};
use crate::{
    emulator::Emulator,
    run,
    shapes::{self, SHAPES, Shape},
    test::venv,
};

/// Runs of a tool with a shape, one a round.
type Runs = BTreeMap<(usize, Tool), Vec<Run>>;

pub(super) fn run(options: &Options) -> Result<()> {
    let place = shapes::place("bench-provision")?;
    let python = run::stage_of("python environment with Ansible and boto3", || {
        venv::ready("xtask/python/bench/requirements.txt")
    })?;
    run::stage("build", &mut run::cargo(&["build", "-p", "cli"]))?;
    run::stage_of("export", || SHAPES.iter().try_for_each(|shape| shape.terraform(&place).map(drop)))?;
    let delays = delays(options, &place.join("emulator.log"))?;
    let bench = Bench { python, place: &place, scale: options.scale };
    let mut runs = Runs::new();
    for round in 1..=options.rounds {
        for (at, shape) in SHAPES.iter().enumerate() {
            for tool in Tool::ALL {
                let name = format!("round {round}: {}, {}", shape.name, tool.name());
                match run::stage_of(&name, || bench.run(tool, shape)) {
                    Ok(made) => {
                        eprintln!("    made in {:.1} s with {} calls", made.seconds, total(&made.calls));
                        runs.entry((at, tool)).or_default().push(made);
                    }
                    // What others cannot do here is worth a row.
                    Err(error) if tool.is_other() => eprintln!("{error:#}"),
                    Err(error) => return Err(error),
                }
            }
        }
    }
    let report = Report { options, delays: &delays, runs: &runs };
    let table = report.table()?;
    println!("{table}");
    if options.write {
        page::write("provision", &table)?;
    }
    println!("{}", report.json()?);
    Ok(())
}

fn delays(options: &Options, log: &std::path::Path) -> Result<BTreeMap<String, f64>> {
    let emulator = Emulator::start(&["--delays", &format!("scale={}", options.scale)], log)?;
    let delays = emulator.ask("delays", "{}");
    emulator.end();
    serde_json::from_value(delays?).context("delays have names and are seconds")
}

struct Report<'a> {
    options: &'a Options,
    delays: &'a BTreeMap<String, f64>,
    runs: &'a Runs,
}

impl Report<'_> {
    /// What nothing can be faster than: load balancer, NAT gateways and instances come to be side by side. An instance starts
    /// when EC2 sees its profile, and its target is healthy some time after it runs.
    fn critical_path(&self, tool: Tool, shape: &Shape) -> Result<f64> {
        let delay = |name: &str| self.delays.get(name).copied().with_context(|| format!("there is no delay {name}"));
        let instance = delay("iam_propagation")? + delay("instance_start")?;
        let nat = if shape.has_nat() { delay("nat_create")? } else { 0.0 };
        let healthy = if tool == Tool::CortexReady { instance + delay("target_health")? } else { instance };
        Ok(delay("elb_create")?.max(nat).max(healthy))
    }

    fn runs(&self, shape: usize, tool: Tool) -> &[Run] {
        self.runs.get(&(shape, tool)).map_or(&[], Vec::as_slice)
    }

    /// How many times its critical path the tool took for the shape, in the median. Nothing if it never got there.
    fn ratio(&self, at: usize, tool: Tool) -> Result<Option<f64>> {
        let path = self.critical_path(tool, &SHAPES[at])?;
        Ok(median(self.runs(at, tool).iter().map(|run| run.seconds)).map(|seconds| seconds / path))
    }

    /// Of all shapes, to two digits.
    fn worst(&self, tool: Tool) -> Result<Option<f64>> {
        let mut worst: Option<f64> = None;
        for at in 0..SHAPES.len() {
            worst = worst.into_iter().chain(self.ratio(at, tool)?).reduce(f64::max);
        }
        Ok(worst.map(|ratio| (ratio * 100.0).round() / 100.0))
    }

    fn again(&self) -> impl Iterator<Item = (&'static str, &Again)> {
        let first = |(at, shape): (usize, &'static Shape)| {
            Some((shape.name, self.runs(at, Tool::Cortex).first()?.again.as_ref()?))
        };
        SHAPES.iter().enumerate().filter_map(first)
    }

    fn table(&self) -> Result<String> {
        let Options { scale, rounds, .. } = self.options;
        let mut lines = vec![
            format!("{}; delays of AWS times {scale}; rounds: {rounds} (medians); `cortex` of the dev profile.", page::machine()),
            String::new(),
            "| cluster | made by | seconds | of the critical path | calls | of the seconds, emulator at work | resources |".into(),
            "|---|---|---:|---:|---:|---:|---:|".into(),
        ];
        for (at, shape) in SHAPES.iter().enumerate() {
            for tool in Tool::ALL {
                lines.push(self.row(at, shape, tool)?);
            }
        }
        lines.extend(["".into(), "A second `cluster up --no-wait`, with nothing to do:".into(), String::new()]);
        lines.extend(["| cluster | calls | writes | which |".into(), "|---|---:|---:|---|".into()]);
        for (shape, Again { calls, writes }) in self.again() {
            lines.push(format!("| {shape} | {} | {writes} | {} |", total(calls), listed(calls)));
        }
        Ok(lines.join("\n"))
    }

    fn row(&self, at: usize, shape: &Shape, tool: Tool) -> Result<String> {
        let runs = self.runs(at, tool);
        let (Some(first), Some(ratio)) = (runs.first(), self.ratio(at, tool)?) else {
            return Ok(format!("| {} | {} | failed | | | | |", shape.name, tool.name()));
        };
        Ok(format!(
            "| {} | {} | {:.1} | {ratio:.2} x {:.1} s | {} | {:.1} | {} |",
            shape.name,
            tool.name(),
            median(runs.iter().map(|run| run.seconds)).unwrap_or_default(),
            self.critical_path(tool, shape)?,
            total(&first.calls),
            median(runs.iter().map(|run| run.emulator_seconds)).unwrap_or_default(),
            first.made,
        ))
    }

    fn json(&self) -> Result<Value> {
        let most = |of: fn(&Again) -> u64| self.again().map(|(_, again)| of(again)).max().unwrap_or_default();
        Ok(json!({
            "bench": "provision",
            "scale": self.options.scale,
            "critical_path_ratio": self.worst(Tool::Cortex)?,
            "ready_critical_path_ratio": self.worst(Tool::CortexReady)?,
            "ansible_critical_path_ratio": self.worst(Tool::Ansible)?,
            "boto3_critical_path_ratio": self.worst(Tool::Boto3)?,
            "noop_calls": most(|again| total(&again.calls)),
            "noop_writes": most(|again| again.writes),
        }))
    }
}

fn total(calls: &BTreeMap<String, u64>) -> u64 {
    calls.values().sum()
}

/// The most frequent first.
fn listed(calls: &BTreeMap<String, u64>) -> String {
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let shown =
        calls.iter().map(|(name, count)| if **count == 1 { (*name).clone() } else { format!("{name} {count}") });
    shown.collect::<Vec<_>>().join(", ")
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::{listed, median};

    #[test]
    fn calls_are_listed_by_how_many() {
        let calls = [("s3:HeadObject", 2), ("ec2:DescribeVpcs", 1), ("iam:GetRole", 3)];
        let calls = calls.map(|(name, count)| (name.to_owned(), count)).into();
        assert_eq!(listed(&calls), "iam:GetRole 3, s3:HeadObject 2, ec2:DescribeVpcs");
    }

    #[test]
    fn a_median_is_one_of_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
