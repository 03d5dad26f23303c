//! `cargo xtask quickstart`: the product from nothing to a prediction and back to nothing, as a newcomer would type it.
//!
//! Every command is run by `sh` from the very text that is printed, with the built `cortex` first on the `PATH` and a fresh
//! directory as `CORTEX_HOME`, so the transcript can be repeated by hand and the user's own `~/.cortex` is never touched.
//! Predictions are compared with the label of the sample, and at the end nothing may be left: no process, no file.
//!
//! Ctrl-C reaches the running command from the terminal; here it only ends the walk, and the cluster is taken down.

mod aws;
mod emulator;
mod home;
mod leftovers;
mod prediction;
mod shell;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{python, run};
pub(crate) use aws::run as run_on_aws;
use home::Home;
use shell::Shell;

const BUILD: &str = "cargo build -p cli --no-default-features";
const CLUSTER_UP: &str = "cortex cluster up -c examples/quickstart/cluster.yaml --yes";
const CLUSTER_DOWN: &str = "cortex cluster down --yes";
const SAMPLE: &str = "examples/digits/sample.json";

/// With `keep`, the cluster stays up, also after a failure.
pub(crate) fn run(keep: bool) -> Result<()> {
    python::find()?;
    let label = prediction::label_of_sample(&read(SAMPLE)?, &read("examples/digits/digits.csv")?)?;
    let binaries = run::binaries()?;
    let home = Home::create()?;
    let mut shell = Shell::new(&binaries, home.path())?;
    let walked = walk(&mut shell, &label, keep);
    let stays = keep && shell.has_run(CLUSTER_UP);
    let closed = if stays { Ok(()) } else { close(&mut shell, home, walked.is_ok()) };
    println!("\n{}", shell.summary());
    if stays {
        println!("\n{}", what_next(&binaries, shell.home()));
    }
    report_both(walked, closed)
}

/// The commands, in order.
fn walk(shell: &mut Shell, label: &str, keep: bool) -> Result<()> {
    shell.run(BUILD)?;
    shell.announce();
    shell.run(CLUSTER_UP)?;
    shell.run("cortex env configure local --cluster quickstart")?;

    shell.run("cortex deploy examples/digits/cortex.yaml")?;
    let table = shell.capture("cortex get")?;
    predict(shell, &format!("cortex predict digits {SAMPLE}"), label)?;
    predict_by_curl(shell, endpoint(&table, "digits")?, label)?;

    shell.run("cortex deploy examples/digits-python/cortex.yaml")?;
    predict(shell, "cortex predict digits-python examples/digits-python/sample.json", label)?;
    shell.run("cortex logs digits-python --tail 5")?;
    if !keep {
        shell.run("cortex delete digits-python")?;
        shell.run(CLUSTER_DOWN)?;
    }
    Ok(())
}

fn predict(shell: &mut Shell, command: &str, label: &str) -> Result<()> {
    let reply = shell.capture(command)?;
    prediction::verify(&reply, label).with_context(|| format!("wrong answer to `{command}`"))
}

/// What any HTTP client does, with the cluster's certificate and its API key.
fn predict_by_curl(shell: &mut Shell, endpoint: &str, label: &str) -> Result<()> {
    if shell.has("curl") {
        shell.run("cortex cluster cert > \"$CORTEX_HOME/ca.pem\"")?;
    }
    predict_by_curl_at(shell, endpoint, label)
}

/// The same, the certificate being there.
fn predict_by_curl_at(shell: &mut Shell, endpoint: &str, label: &str) -> Result<()> {
    if !shell.has("curl") {
        println!("\n(there is no curl here: the same request by curl is left out)");
        return Ok(());
    }
    let request = [
        "curl -sS --fail --cacert \"$CORTEX_HOME/ca.pem\"",
        "-H \"Authorization: Bearer $(cortex api-key get)\"",
        &format!("-H \"Content-Type: application/json\" --data-binary @{SAMPLE}"),
        endpoint,
    ];
    predict(shell, &request.join(" \\\n    "), label)
}

/// The address in an API's row of `cortex get`, where a person would take it from.
fn endpoint<'a>(table: &'a str, api: &str) -> Result<&'a str> {
    let mut rows = table.lines().map(str::split_whitespace);
    let row = rows.find(|row| row.clone().next() == Some(api));
    let address = row.and_then(|mut row| row.find(|word| word.starts_with("https://")));
    address.with_context(|| format!("`cortex get` shows no address of {api}"))
}

/// Takes down what a failed walk left up, and asserts that nothing remains.
fn close(shell: &mut Shell, home: Home, walked: bool) -> Result<()> {
    if !walked {
        if !shell.interrupted() {
            home.print_ends_of_logs();
        }
        if shell.has_run(CLUSTER_UP) && !shell.has_run(CLUSTER_DOWN) {
            // It may fail because `up` did: what it leaves is found and ended below.
            let _ = shell.clean_up(CLUSTER_DOWN);
        }
    }
    let nothing_runs = leftovers::end_all(home.path());
    let nothing_kept = if walked { leftovers::no_clusters(home.path()) } else { Ok(()) };
    home.remove()?;
    nothing_runs.and(nothing_kept)?;
    println!("\nNothing is left: no process, no file.");
    Ok(())
}

fn what_next(binaries: &Path, home: &Path) -> String {
    format!(
        "The cluster is still up, in {home}. For this shell:\n\
         \n  export PATH=\"{binaries}:$PATH\"\
         \n  export CORTEX_HOME={home}\n\
         \nTry:\n\
         \n  cortex get digits\
         \n  cortex logs digits-python\
         \n  cortex deploy examples/digits-python/cortex.yaml    # after a change of predictor.py\n\
         \nRemove it:\n\
         \n  cortex cluster down --yes && rm -rf \"$CORTEX_HOME\"",
        home = home.display(),
        binaries = binaries.display(),
    )
}

/// The first failure is the cause; a second one is told with it.
fn report_both(walked: Result<()>, closed: Result<()>) -> Result<()> {
    match (walked, closed) {
        (Err(cause), Err(after)) => bail!("{cause:#}\nand then, cleaning up: {after:#}"),
        (walked, closed) => walked.and(closed),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(run::root().join(path)).with_context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn the_address_is_in_the_apis_row() {
        let table =
            "api      status   endpoint\nother    live     https://h:1/other\ndigits   live     https://h:1/digits\n";
        assert_eq!(endpoint(table, "digits").expect("there is such a row"), "https://h:1/digits");
        assert!(endpoint(table, "api").is_err());
        assert!(endpoint(table, "digit").is_err());
    }
}
