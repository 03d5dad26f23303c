//! Every metric, by the process that serves it.
//!
//! Names end in their unit, as Prometheus asks; `_total` are counters.

pub mod gateway;
pub mod operator;
pub mod process;
pub mod replica;
pub mod trace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is counted, and by what it is told apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// `CONSTANT = kind "name" [labels] "help";`
macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub static $constant: $crate::Family = $crate::Family {
            name: $name,
            kind: $crate::Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// All of them.
        pub static ALL: &[&$crate::Family] = &[$(&$constant),+];
    };
}
use families;

/// The reference page.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade from the code's own table by `cargo xtask generate`. How to get at them: \
         [metrics.md](../metrics.md).\n",
    );
    for (title, families) in [
        ("Gateway", gateway::ALL),
        ("Replica", replica::ALL),
        ("Operator", operator::ALL),
        ("Gateway and replica: traces", trace::ALL),
        ("Every process (Linux)", process::ALL),
    ] {
        text += &format!("\n## {title}\n\n| name | type | labels | what it is |\n| --- | --- | --- | --- |\n");
        for Family { name, kind, labels, help } in families {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            text += &format!("| `{name}` | {} | {} | {help} |\n", kind.name(), labels.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_kind_and_unit() {
        let all = [gateway::ALL, replica::ALL, operator::ALL, trace::ALL, process::ALL].concat();
        let names: BTreeSet<_> = all.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), all.len());
        for Family { name, kind, labels, help } in all {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.ends_with('.') && !help.contains('|'), "{name}");
            let valid = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(valid(name) && labels.iter().all(|label| valid(label) && *label != "le"), "{name}");
        }
    }
}
