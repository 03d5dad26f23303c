//! What strangers' junk costs the operator: malformed tokens as fast as they go, and well-formed ones with guessed secrets,
//! while a good caller goes on asking. Operator, STS and all callers are in one program, the test `aws_flood` of the operator.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Options, page};
use crate::run;

const TEST: [&str; 11] = [
    "test",
    "-p",
    "operator",
    "--release",
    "--test",
    "aws_flood",
    "--",
    "--ignored",
    "--exact",
    "--nocapture",
    "flood_bench::what_junk_costs",
];

pub(super) fn run(options: &Options) -> Result<()> {
    let out = run::stage_of("junk", || run::stdout_of(&mut run::cargo(&TEST)))?;
    let line = out.lines().find(|line| line.starts_with('{')).context("the measurement printed no line of JSON")?;
    let report: Value = serde_json::from_str(line).context("the measurement's line is JSON")?;
    let table = table(&report);
    println!("{table}");
    if options.write {
        page::write("operator", &table)?;
    }
    println!("{line}");
    Ok(())
}

fn table(report: &Value) -> String {
    let row = |beside: &str, at: usize| {
        let of = |name: &str| &report[name][at];
        format!("| {beside} | {} | {} | {} |", of("good_answers"), of("good_p50_ms"), of("good_p99_ms"))
    };
    let of = |name: &str| &report[name];
    [
        format!("{}; release profile, 10 s each.", page::machine()),
        String::new(),
        format!(
            "Malformed tokens: {} a second, {} of them reached STS, {} MB more memory. Well-formed with guessed secrets: {}, of which {} \
             reached STS (budget of one address: {}).",
            of("malformed_per_second"),
            of("junk_sts_calls"),
            of("junk_rss_growth_mb"),
            of("forged"),
            of("forged_sts_calls"),
            of("forged_budget")
        ),
        String::new(),
        "| a good caller, beside | answers | median ms | p99 ms |".to_owned(),
        "|---|---:|---:|---:|".to_owned(),
        row("nobody", 0),
        row("malformed tokens", 1),
        row("guessed secrets", 2),
    ]
    .join("\n")
}
