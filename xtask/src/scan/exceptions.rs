//! The rules that the product breaks on purpose: a table for people to read and for `cargo xtask scan` to hold against what
//! the scanners say.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::Finding;

pub(crate) const EXCEPTIONS: &str = "docs/security/exceptions.md";

const HEADER: [&str; 4] = ["scanner", "rule", "resources", "why"];
const SCANNERS: [&str; 2] = ["checkov", "prowler"];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    scanner: String,
    rule: String,
    /// `*` stands for any text.
    resources: Vec<String>,
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        self.resources.iter().any(|pattern| self.covers_by(pattern, finding))
    }

    fn covers_by(&self, pattern: &str, finding: &Finding) -> bool {
        self.scanner == finding.scanner && self.rule == finding.rule && matches(pattern, &finding.resource)
    }
}

/// The rows of every table with the right header.
pub(crate) fn parse(text: &str) -> Result<Vec<Exception>> {
    let mut exceptions = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix('|') else {
            inside = false;
            continue;
        };
        let cells: Vec<&str> = row.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
        if cells == HEADER {
            inside = true;
        } else if inside && !cells.iter().all(|cell| cell.starts_with("--")) {
            exceptions.push(exception(&cells, at + 1)?);
        }
    }
    let mut seen = BTreeSet::new();
    for Exception { scanner, rule, .. } in &exceptions {
        if !seen.insert((scanner, rule)) {
            bail!("{EXCEPTIONS} has {rule} of {scanner} twice; one row can name several resources");
        }
    }
    Ok(exceptions)
}

fn exception(cells: &[&str], line: usize) -> Result<Exception> {
    let [scanner, rule, resources, why] = cells else {
        bail!("{EXCEPTIONS}:{line} has {} cells instead of {}", cells.len(), HEADER.len());
    };
    if !SCANNERS.contains(scanner) {
        bail!("{EXCEPTIONS}:{line} names the scanner `{scanner}`; there are {}", SCANNERS.join(" and "));
    }
    let rule = code(rule);
    let resources: Vec<String> = resources.split(',').map(code).collect();
    if rule.is_empty() || resources.iter().any(String::is_empty) || why.is_empty() {
        bail!("{EXCEPTIONS}:{line} has an empty cell: rule, resources and why are all needed");
    }
    Ok(Exception { scanner: (*scanner).to_owned(), rule, resources })
}

fn code(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}

/// What is found and not excepted, what is excepted and not found.
pub(crate) fn judge(findings: &[Finding], known: &[Exception]) -> Vec<String> {
    let mut problems = BTreeSet::new();
    for finding in findings.iter().filter(|finding| !known.iter().any(|exception| exception.covers(finding))) {
        let Finding { scanner, rule, resource, says } = finding;
        problems.insert(format!("{scanner} {rule} {resource}: {says}"));
    }
    for exception in known {
        for pattern in &exception.resources {
            if !findings.iter().any(|finding| exception.covers_by(pattern, finding)) {
                let Exception { scanner, rule, .. } = exception;
                problems.insert(format!(
                    "{scanner} {rule} {pattern}: is in {EXCEPTIONS}, and does not fail; take it out there"
                ));
            }
        }
    }
    problems.into_iter().collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            // The shortest that works is not always right, so all are tried: the texts are short.
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exception, Finding, judge, matches, parse};

    const TABLE: &str = "\
| what | else |
|---|---|
| a | b |

| scanner | rule | resources | why |
|---|---|---|---|
| checkov | `CKV_1` | `public:aws_lb.*`, `private:aws_lb.shared` | it costs |
";

    fn finding(rule: &str, resource: &str) -> Finding {
        Finding { scanner: "checkov", rule: rule.to_owned(), resource: resource.to_owned(), says: "no".to_owned() }
    }

    #[test]
    fn rows_of_the_right_table_are_read() {
        let resources = vec!["public:aws_lb.*".to_owned(), "private:aws_lb.shared".to_owned()];
        let expected = Exception { scanner: "checkov".to_owned(), rule: "CKV_1".to_owned(), resources };
        assert_eq!(parse(TABLE).expect("a good table"), [expected]);
    }

    #[test]
    fn half_a_row_is_refused() {
        for row in [
            "| checkov | `A` | `x` |",
            "| trivy | `A` | `x` | y |",
            "| checkov | `A` | `x` | |",
            "| checkov | `CKV_1` | `x` | y |",
        ] {
            assert!(parse(&format!("{TABLE}{row}\n")).is_err(), "{row}");
        }
    }

    #[test]
    fn every_failure_has_its_exception_and_every_exception_its_failure() {
        let known = parse(TABLE).expect("a good table");
        let both = [finding("CKV_1", "public:aws_lb.shared"), finding("CKV_1", "private:aws_lb.shared")];
        assert_eq!(judge(&both, &known), [""; 0]);
        let other = judge(&[both.as_slice(), &[finding("CKV_2", "public:aws_vpc.vpc")]].concat(), &known);
        assert_eq!(other, ["checkov CKV_2 public:aws_vpc.vpc: no"]);
        let stale = judge(&both[..1], &known);
        assert_eq!(stale.len(), 1);
        assert!(stale[0].starts_with("checkov CKV_1 private:aws_lb.shared: is in"), "{stale:?}");
    }

    #[test]
    fn a_star_is_any_text() {
        assert!(matches("*:aws_*.shared", "public:aws_lb.shared") && matches("a*", "a") && matches("*", ""));
        assert!(!matches("a*b", "abc") && !matches("a", "ab") && matches("a*bc", "abbc"));
    }
}
