//! `cargo xtask quickstart --aws-emulator`: the same on AWS as it is emulated, with real nodes, operator, gateway and replicas.
//!
//! The AWS API is moto's server with the repository's plug-in in its strict mode: signatures and permissions of every call are
//! checked. What user data says is done on loopback, by the node runner. `docs/emulator.md` describes both.

use anyhow::{Context, Result, bail};

use super::{
    SAMPLE, close, emulator::Emulator, home::Home, predict, predict_by_curl_at, prediction, read, report_both,
    shell::Shell,
};
use crate::{python, run};

const BUILD: &str = "cargo build -p cli";
const CLUSTER_UP: &str = "cortex cluster up -c examples/quickstart/aws.yaml --yes";
const CLUSTER_DOWN: &str = "cortex cluster down -c examples/quickstart/aws.yaml --yes";

pub(crate) fn run() -> Result<()> {
    python::find()?;
    let label = prediction::label_of_sample(&read(SAMPLE)?, &read("examples/digits/digits.csv")?)?;
    let home = Home::create()?;
    let mut shell = Shell::new(&run::binaries()?, home.path())?;
    shell.run(BUILD)?;
    let emulator = Emulator::start(home.path())?;
    for (name, value) in emulator.environment() {
        shell.set(name, &value);
    }
    println!("\nThe AWS API is emulated at {}; nothing of this reaches AWS.", emulator.endpoint());
    shell.announce();
    let walked = walk(&mut shell, &emulator, &label);
    if walked.is_err() && shell.has_run(CLUSTER_UP) && !shell.has_run(CLUSTER_DOWN) {
        let _ = shell.clean_up(CLUSTER_DOWN);
    }
    emulator.end();
    let closed = close(&mut shell, home, walked.is_ok());
    println!("\n{}", shell.summary());
    report_both(walked, closed)
}

fn walk(shell: &mut Shell, emulator: &Emulator, label: &str) -> Result<()> {
    let before = emulator.inventory()?;
    let up = shell.capture(CLUSTER_UP)?;
    let configure =
        up.lines().find_map(|line| line.strip_prefix("next: ")).context("`cluster up` names no next step")?;
    println!(
        "\n(Load balancers have no address of their own here, so the environment is told where to connect instead.)"
    );
    let rules = emulator.connect_to()?;
    let rules: Vec<String> = rules.iter().map(|rule| format!(" \\\n    --connect-to {rule}")).collect();
    shell.run(&format!("{configure}{}", rules.concat()))?;

    shell.run("cortex deploy examples/digits/cortex.yaml")?;
    shell.run("cortex get")?;
    predict(shell, &format!("cortex predict digits {SAMPLE}"), label)?;
    shell.run("cortex cluster cert -c examples/quickstart/aws.yaml > \"$CORTEX_HOME/ca.pem\"")?;
    predict_by_curl_at(shell, &format!("{}/digits", emulator.reached(443)?), label)?;

    shell.run("cortex deploy examples/digits-python/cortex.yaml")?;
    predict(shell, "cortex predict digits-python examples/digits-python/sample.json", label)?;
    shell.run("cortex logs digits-python --tail 5")?;
    shell.run("cortex cluster info -c examples/quickstart/aws.yaml")?;
    shell.run(CLUSTER_DOWN)?;
    let after = emulator.inventory()?;
    let left: Vec<&String> = after.difference(&before).collect();
    if !left.is_empty() {
        bail!("`cortex cluster down` left in the account:\n  {left:?}");
    }
    println!("\nThe account is as it was: {} resources, none of the cluster.", after.len());
    Ok(())
}
