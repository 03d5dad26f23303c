//! prowler over what `cortex cluster up` makes in an emulated account.
//!
//! An account has more than clusters, and moto puts things of its own into it. A finding is about a cluster if its resource has
//! the cluster's tag, or appeared in the account while that cluster was made: so also what AWS makes by itself (network access
//! lists, default groups), and what prowler reports without tags.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Finding, Scanned};
use crate::{
    emulator::{Emulator, STRICT},
    run,
    shapes::{SHAPES, Shape},
    test::venv,
};

const NAME: &str = "prowler";
const SERVICES: [&str; 8] = ["vpc", "ec2", "elbv2", "s3", "iam", "ecs", "autoscaling", "cloudwatch"];
const REGION: &str = "us-east-1";

const CLUSTER_TAG: &str = "cortex.dev/cluster-name:";
const RESOURCE_TAG: &str = "cortex.dev/resource:";

/// Cluster and kind of everything that appeared with a cluster, by identifier.
type Made = BTreeMap<String, (&'static str, String)>;

pub(super) fn scan(place: &Path) -> Result<Scanned> {
    let python = run::stage_of("python environment of prowler", || venv::ready("xtask/python/prowler.txt"))?;
    let emulator = Emulator::start(&STRICT, &place.join("emulator.log"))?;
    let findings = look(place, &python, &emulator);
    emulator.end();
    let (made, report) = findings?;
    judged(report.as_array().context("prowler's report is no list")?, &made)
}

fn look(place: &Path, python: &Path, emulator: &Emulator) -> Result<(Made, Value)> {
    let mut made = Made::new();
    for shape in SHAPES {
        let before = emulator.inventory()?;
        run::stage_of(&format!("cluster up {}", shape.name), || up(place, emulator, &shape))?;
        for found in emulator.inventory()?.difference(&before) {
            let (kind, identifier) = found.split_once(' ').context("an inventory has kinds and identifiers")?;
            made.insert(identifier.to_owned(), (shape.name, kind.replace('_', "-")));
        }
    }
    let mut command = run::program(python);
    // 0 also if a check has failed.
    command.args(["-m", "prowler", "aws", "--no-banner", "--no-color", "--only-logs", "--ignore-exit-code-3"]);
    command.args(["--filter-region", REGION, "--output-formats", "json-ocsf", "--output-filename", NAME]);
    command.arg("--output-directory").arg(place).arg("--services").args(SERVICES);
    command.envs(emulator.environment()).env("AWS_DEFAULT_REGION", REGION).env("HOME", place);
    run::stage(NAME, &mut command)?;
    let report = fs::read(place.join(format!("{NAME}.ocsf.json"))).context("prowler has written no report")?;
    Ok((made, serde_json::from_slice(&report)?))
}

fn up(place: &Path, emulator: &Emulator, shape: &Shape) -> Result<()> {
    let output = shape.up(place, emulator)?.arg("--no-wait").output()?;
    if !output.status.success() {
        bail!("`cortex cluster up` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn judged(report: &[Value], made: &Made) -> Result<Scanned> {
    let mut scanned = Scanned { scanner: NAME, passed: 0, failed: Vec::new() };
    for finding in report {
        let Some(resource) = of_cluster(&finding["resources"][0], made) else { continue };
        match finding["status_code"].as_str() {
            Some("PASS") => scanned.passed += 1,
            Some("FAIL") => scanned.failed.push(Finding {
                scanner: NAME,
                rule: finding["metadata"]["event_code"].as_str().unwrap_or_default().to_owned(),
                resource,
                says: finding["status_detail"].as_str().unwrap_or_default().to_owned(),
            }),
            // For a person to look at.
            Some("MANUAL") => {}
            other => bail!("prowler's report has the status {other:?}"),
        }
    }
    Ok(scanned)
}

/// `public:load-balancer/shared`, if the resource is a cluster's.
fn of_cluster(resource: &Value, made: &Made) -> Option<String> {
    let labels = resource["labels"].as_array();
    let label = |tag: &str| labels?.iter().find_map(|label| label.as_str()?.strip_prefix(tag));
    if let (Some(cluster), Some(resource)) = (label(CLUSTER_TAG), label(RESOURCE_TAG)) {
        return Some(format!("{cluster}:{resource}"));
    }
    let uid = resource["uid"].as_str()?.trim_end_matches(":*");
    let (identifier, (cluster, kind)) = made.iter().find(|(identifier, _)| is(uid, identifier))?;
    Some(format!("{cluster}:{kind}/{identifier}"))
}

/// Whether an ARN is that of what has this identifier, which may be an ARN as well.
fn is(uid: &str, identifier: &str) -> bool {
    uid.strip_suffix(identifier).is_some_and(|before| before.is_empty() || before.ends_with([':', '/']))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Made, judged};

    fn finding(status: &str, uid: &str, labels: &[&str]) -> Value {
        json!({
            "status_code": status, "status_detail": "no", "metadata": { "event_code": "rule" },
            "resources": [{ "uid": uid, "labels": labels }],
        })
    }

    #[test]
    fn only_what_is_of_a_cluster_counts() {
        let made = Made::from([
            ("acl-1".to_owned(), ("public", "network-acl".to_owned())),
            ("/cortex/public".to_owned(), ("public", "log-group".to_owned())),
        ]);
        let report = [
            finding("FAIL", "arn:lb", &["cortex.dev/cluster-name:private", "cortex.dev/resource:load-balancer/shared"]),
            finding("FAIL", "arn:aws:ec2:r:1:network-acl/acl-1", &[]),
            finding("PASS", "arn:aws:logs:r:1:log-group:/cortex/public:*", &[]),
            finding("FAIL", "arn:aws:ec2:r:1:network-acl/acl-11", &[]),
            finding("FAIL", "arn:aws:iam::1:root", &["Name:else"]),
        ];
        let scanned = judged(&report, &made).expect("a good report");
        let failed: Vec<&str> = scanned.failed.iter().map(|finding| finding.resource.as_str()).collect();
        assert_eq!(failed, ["private:load-balancer/shared", "public:network-acl/acl-1"]);
        assert_eq!(scanned.passed, 1);
    }
}
