//! Pages of metrics, read: to put those of several processes together, and to compute with them.

use std::collections::BTreeMap;

use crate::page::write_line;

/// What a process answered is no page of metrics.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} is not in the text format of Prometheus")]
pub struct BadPage {
    line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With the suffix that a histogram's have.
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    /// Empty if it has no such label, which is the same to Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }

    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, quoted) = rest.split_once("=\"")?;
                let (value, after) = unquote(quoted)?;
                labels.push((label.to_owned(), value));
                rest = after.strip_prefix(',').unwrap_or(after);
            }
            rest = &rest[1..];
        }
        // A timestamp may follow.
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }
}

/// The text up to the closing quote, and what follows that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[position + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// Everything on a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    pub fn parse(text: &str) -> Result<Self, BadPage> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|(line, text)| Sample::parse(text).ok_or(BadPage { line: line + 1 }))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Samples of that name whose labels have all these values.
    pub fn of<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        let has = |sample: &&Sample| labels.iter().all(|(label, value)| sample.label(label) == *value);
        self.0.iter().filter(move |sample| sample.name == name).filter(has)
    }

    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // Without samples the sum of floats would be -0.
        self.of(name, labels).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// Cumulative buckets of all histograms of that name and these labels together, by bound.
    pub fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.of(&name, labels) {
            let Ok(bound) = sample.label("le").replace("+Inf", "inf").parse::<f64>() else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        buckets
    }
}

/// The value below which that part of what was measured lies, by linear interpolation within a bucket, as Prometheus'
/// `histogram_quantile` has it; the highest bound if it lies above that. `None` if nothing was measured.
pub fn quantile(part: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let all = buckets.last()?.1;
    if all <= 0.0 {
        return None;
    }
    let rank = part * all;
    let mut below = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank {
            if bound.is_infinite() {
                return Some(below.0);
            }
            let inside = count - below.1;
            let share = if inside > 0.0 { (rank - below.1) / inside } else { 1.0 };
            return Some(below.0 + (bound - below.0) * share);
        }
        below = (bound, count);
    }
    Some(below.0)
}

/// Pages of several processes as one: each family once, each sample with labels that tell whose it is.
#[derive(Debug, Default)]
pub struct Merged {
    /// What is said of families, and their lines, by name.
    families: BTreeMap<String, (String, String)>,
}

impl Merged {
    /// Takes a page over whole, or not at all. A label that the sample has already stays as it is.
    pub fn add(&mut self, page: &str, labels: &[(&str, &str)]) -> Result<(), BadPage> {
        let mut family = String::new();
        let mut read = BTreeMap::<String, (String, String)>::new();
        for (number, line) in page.lines().enumerate() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ').skip(1);
                words.next().ok_or(BadPage { line: number + 1 })?.clone_into(&mut family);
                let (comments, _) = read.entry(family.clone()).or_default();
                comments.push_str(line);
                comments.push('\n');
            } else if !line.is_empty() {
                let sample = Sample::parse(line).ok_or(BadPage { line: number + 1 })?;
                let own = sample.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
                let new = labels.iter().copied().filter(|(label, _)| sample.labels.iter().all(|(own, _)| own != label));
                let (_, lines) = read.entry(family.clone()).or_default();
                write_line(lines, &[&sample.name], own.chain(new), &sample.value);
            }
        }
        for (name, (comments, lines)) in read {
            let (known, all) = self.families.entry(name).or_default();
            if known.is_empty() {
                *known = comments;
            }
            all.push_str(&lines);
        }
        Ok(())
    }

    pub fn text(self) -> String {
        self.families.into_values().map(|(comments, lines)| comments + &lines).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP up Whether it is.\n# TYPE up gauge\nup{a=\"x \\\"y\\\" {z}, \\\\ \\n\",b=\"\"} 1\n\
                        # HELP n Number.\n# TYPE n counter\nn 2.5\n";

    #[test]
    fn what_was_written_is_read_again() {
        let samples = Samples::parse(PAGE).unwrap();
        assert_eq!(samples.0.len(), 2);
        assert_eq!(samples.0[0].label("a"), "x \"y\" {z}, \\ \n");
        assert_eq!(samples.sum("n", &[]), 2.5);
        assert_eq!(samples.sum("up", &[("b", "other")]), 0.0);
        for (bad, line) in [("x", 1), ("up 1\nx{a=\"1} 2", 2), ("x{a} 1", 1), ("x y", 1)] {
            assert_eq!(Samples::parse(bad), Err(BadPage { line }), "{bad}");
        }
    }

    #[test]
    fn merged_families_come_once_and_samples_tell_whose_they_are() {
        let mut merged = Merged::default();
        merged.add(PAGE, &[("process", "one"), ("b", "not this")]).unwrap();
        merged.add(PAGE, &[("process", "two")]).unwrap();
        assert!(merged.add("# TYPE z gauge\nz 1\nno", &[]).is_err());
        let text = merged.text();
        assert_eq!(text.matches("# TYPE up gauge").count(), 1, "{text}");
        assert!(!text.contains('z') || !text.contains("# TYPE z"), "{text}");
        let samples = Samples::parse(&text).unwrap();
        assert_eq!(samples.sum("n", &[]), 5.0);
        assert_eq!(samples.sum("n", &[("process", "two")]), 2.5);
        assert_eq!(samples.of("up", &[("process", "one")]).next().unwrap().label("b"), "");
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        let buckets = [(1.0, 50.0), (2.0, 90.0), (f64::INFINITY, 100.0)];
        assert_eq!(quantile(0.5, &buckets), Some(1.0));
        assert_eq!(quantile(0.7, &buckets), Some(1.5));
        assert_eq!(quantile(0.99, &buckets), Some(2.0), "above the highest bound");
        assert_eq!(quantile(0.5, &[(1.0, 0.0), (f64::INFINITY, 0.0)]), None);
        assert_eq!(quantile(0.5, &[]), None);
    }
}
