//! checkov over the clusters as Terraform JSON.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Finding, Scanned};
use crate::{run, shapes::SHAPES, test::venv};

const NAME: &str = "checkov";

pub(super) fn scan(place: &Path) -> Result<Scanned> {
    let python = run::stage_of("python environment of checkov", || venv::ready("xtask/python/checkov.txt"))?;
    run::stage_of("export", || SHAPES.iter().try_for_each(|shape| shape.terraform(place).map(drop)))?;
    let exports = place.join("terraform");
    let report = run::stage_of(NAME, || {
        let mut command = run::program(python);
        // As its own script does; the environment has been moved, so that script does not work any more.
        command.args(["-m", "checkov.main", "--framework", "terraform_json", "--skip-download", "-o", "json", "-d"]);
        let output = command.arg(&exports).env("LOG_LEVEL", "ERROR").output()?;
        fs::write(place.join("checkov.json"), &output.stdout)?;
        // 1 if a check has failed.
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("checkov failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice::<Value>(&output.stdout).context("checkov did not print JSON")
    })?;
    judged(&report, |path| Ok(fs::read_to_string(exports.join(path))?))
}

fn judged(report: &Value, file_of: impl Fn(&str) -> Result<String>) -> Result<Scanned> {
    let summary = &report["summary"];
    if summary["parsing_errors"] != 0 {
        bail!("checkov could not read what was exported: {summary}");
    }
    let passed = usize::try_from(summary["passed"].as_u64().unwrap_or(0))?;
    let mut failed = Vec::new();
    for check in report["results"]["failed_checks"].as_array().into_iter().flatten() {
        let text = |field: &str| check[field].as_str().unwrap_or_default();
        let path = text("file_path").trim_start_matches('/');
        let (shape, _) = path.split_once('/').with_context(|| format!("checkov speaks of the file `{path}`"))?;
        let line = check["file_line_range"][0].as_u64().context("checkov names no line")?;
        let address = address(&file_of(path)?, usize::try_from(line)?);
        let address = address.with_context(|| format!("there is no resource at line {line} of {path}"))?;
        failed.push(Finding {
            scanner: NAME,
            rule: text("check_id").to_owned(),
            resource: format!("{shape}:{address}"),
            says: text("check_name").to_owned(),
        });
    }
    Ok(Scanned { scanner: NAME, passed, failed })
}

/// `aws_lb.shared`: the resource that begins at a line of what `provision` exports, which is indented by two spaces a level.
/// checkov itself does not always say of what type a resource is.
fn address(export: &str, line: usize) -> Option<String> {
    let name = |line: &str| Some(line.trim().strip_prefix('"')?.split_once('"')?.0.to_owned());
    let before: Vec<&str> = export.lines().take(line).collect();
    let of_type = before.iter().rev().find(|line| line.starts_with("    \""))?;
    Some(format!("{}.{}", name(of_type)?, name(before.last()?)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::judged;

    const EXPORT: &str = "{\n  \"resource\": {\n    \"aws_lb\": {\n      \"shared\": {\n        \"name\": \"a\"\n";

    #[test]
    fn failures_are_named_by_cluster_and_address() {
        let check = json!({
            "check_id": "CKV_1", "check_name": "no", "file_path": "/public/cluster.tf.json", "file_line_range": [4, 6],
            "resource": "resource.shared",
        });
        let report =
            json!({ "summary": { "passed": 3, "parsing_errors": 0 }, "results": { "failed_checks": [check] } });
        let scanned = judged(&report, |_| Ok(EXPORT.to_owned())).expect("a good report");
        assert_eq!((scanned.passed, scanned.failed[0].resource.as_str()), (3, "public:aws_lb.shared"));
    }

    #[test]
    fn what_cannot_be_read_is_no_success() {
        let report = json!({ "summary": { "passed": 3, "parsing_errors": 1 } });
        assert!(judged(&report, |_| Ok(EXPORT.to_owned())).is_err());
    }
}
