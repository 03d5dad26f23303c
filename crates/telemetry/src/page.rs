//! The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).

use std::fmt::{Display, Write as _};

use crate::{Family, number::Histogram};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub struct Page(String);

/// The series of one family.
#[derive(Debug)]
pub struct Series<'a> {
    text: &'a mut String,
    family: &'static Family,
}

impl Page {
    /// Each family once.
    pub fn family(&mut self, family: &'static Family) -> Series<'_> {
        let Family { name, kind, help, .. } = family;
        // Nobody else hears of it if a string cannot be written to.
        let _ = writeln!(self.0, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.name());
        Series { text: &mut self.0, family }
    }

    /// A family of one series.
    pub fn one(&mut self, family: &'static Family, value: impl Display) {
        self.family(family).add(&[], value);
    }

    pub fn text(self) -> String {
        self.0
    }
}

impl Series<'_> {
    /// `labels`: values of the family's labels, in their order.
    pub fn add(&mut self, labels: &[&str], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    pub fn histogram(&mut self, labels: &[&str], histogram: &Histogram) -> &mut Self {
        let told = |value: u64| if histogram.is_latency() { value as f64 / 1e6 } else { value as f64 };
        let mut count = 0;
        for (bound, below) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| told(bound).to_string());
            self.line("_bucket", labels, Some(&bound), below);
            count = below;
        }
        self.line("_sum", labels, None, told(histogram.sum()));
        self.line("_count", labels, None, count);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{}", self.family.name);
        let pairs = self.family.labels.iter().copied().zip(labels.iter().copied());
        write_line(self.text, &[self.family.name, suffix], pairs.chain(bound.map(|bound| ("le", bound))), &value);
    }
}

/// One line of a page.
pub(crate) fn write_line<'a>(
    text: &mut String,
    name: &[&str],
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: &dyn Display,
) {
    text.extend(name.iter().copied());
    let mut separator = '{';
    for (label, value) in labels {
        text.push(separator);
        text.push_str(label);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_page_is_what_the_format_asks_for() {
        static ODD: Family =
            Family { name: "odd", kind: Kind::Gauge, labels: &["a", "b"], help: "One \\ line\nor two." };
        static TOOK: Family = Family { name: "took", kind: Kind::Histogram, labels: &[], help: "Time." };
        let mut page = Page::default();
        page.family(&ODD).add(&["quote \" back \\ line\n", ""], 1.5);
        let histogram = Histogram::latency();
        histogram.count(1_500_000);
        page.family(&TOOK).histogram(&[], &histogram);
        let text = page.text();
        assert!(text.starts_with(
            "# HELP odd One \\\\ line\\nor two.\n# TYPE odd gauge\nodd{a=\"quote \\\" back \\\\ line\\n\",b=\"\"} 1.5\n"
        ));
        assert!(text.contains("took_bucket{le=\"1\"} 0\ntook_bucket{le=\"2.5\"} 1\n"), "{text}");
        assert!(text.ends_with("took_bucket{le=\"+Inf\"} 1\ntook_sum 1.5\ntook_count 1\n"), "{text}");
    }
}
