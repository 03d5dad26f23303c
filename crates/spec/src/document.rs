//! One document on its way from text to checked values, and the list of everything that is wrong with it.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use crate::{
    de::{self, At, Fault, What},
    problem::{Invalid, Kind, Problem, Refusal, dotted},
    rules,
    yaml::{self, NodeId, Tree, Value},
};

/// Nobody reads more than that; what is left shows after the first have been fixed.
const MAX_PROBLEMS: usize = 100;

/// What a document says about a field or a word it does not accept but that once meant something, or will.
/// Called with the general path (`node_groups[].priority`) and, for a word, the word.
pub(crate) type Explain = dyn Fn(&str, Option<&str>) -> Option<Refusal>;

pub(crate) struct Document<'a> {
    /// First part of every problem's kind.
    prefix: &'static str,
    source_name: &'a str,
    text: &'a str,
    tree: Tree,
    problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    pub(crate) fn parse(prefix: &'static str, source_name: &'a str, text: &'a str) -> Result<Self, Invalid> {
        // Editors on Windows write it; it is not part of the text, and would shift every position.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let yaml::Parsed { tree, duplicates } = yaml::parse(text).map_err(|(place, refusal)| {
            let problem = problem(prefix, String::new(), &place, refusal);
            Invalid::new(source_name, text, vec![problem])
        })?;
        let mut document = Self { prefix, source_name, text, tree, problems: Vec::new() };
        for (node, refusal) in duplicates {
            document.refuse(node, refusal);
        }
        Ok(document)
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Whether a field of a mapping has a value, be it right or wrong.
    pub(crate) fn has(&self, map: NodeId, key: &str) -> bool {
        self.tree.entry(map, key).is_some_and(|entry| !matches!(self.tree.node(entry.value).value, Value::Null))
    }

    /// The as-written value, without whatever could not be read; what that was has been reported then. Nothing if the
    /// document is of another form altogether.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, explain: &Explain) -> Option<T> {
        let mut skipped = HashSet::new();
        loop {
            match de::read(&self.tree, &skipped) {
                Ok(value) => return Some(value),
                Err(fault) => {
                    let node = fault.node;
                    let refusal = self.describe(fault, explain);
                    self.refuse(node, refusal);
                    if node == Tree::ROOT || !skipped.insert(node) || self.problems.len() >= MAX_PROBLEMS {
                        return None;
                    }
                }
            }
        }
    }

    fn describe(&self, fault: Fault, explain: &Explain) -> Refusal {
        let path = self.tree.path(fault.node, true);
        match fault.what {
            What::UnknownField { name, known } => explain(&path, None).unwrap_or_else(|| {
                let refusal = Refusal::new(Kind::UnknownField, "there is no such field");
                suggest(refusal, &name, known, "the fields here are")
            }),
            What::UnknownVariant { name, known } => explain(&path, Some(&name)).unwrap_or_else(|| {
                let refusal = Refusal::invalid(format!("`{name}` is not one of {}", known.join(", ")));
                suggest(refusal, &name, known, "")
            }),
            What::WrongType { found, expected } => {
                let help = self.type_help(fault.node, &expected);
                let refusal = Refusal::new(Kind::WrongType, format!("expected {expected}, found {found}"));
                help.into_iter().fold(refusal, Refusal::help)
            }
            What::Other(message) => Refusal::invalid(message),
        }
    }

    fn type_help(&self, node: NodeId, expected: &str) -> Option<&'static str> {
        match &self.tree.node(node).value {
            // It was a switch once.
            Value::Bool(_) if self.tree.path(node, true) == "telemetry" => {
                Some("cortex itself reports to nobody; this says where traces of yours go, and is left out without")
            }
            Value::Bool(_) | Value::Int(_) | Value::Large(_) | Value::Float(_) if expected == "text" => {
                Some("put it in quotes")
            }
            Value::Text(text) if expected == "true or false" && yaml_1_1_boolean(text) => {
                Some("only `true` and `false` are booleans in YAML 1.2")
            }
            Value::Text(text) if expected.contains("number") && text.parse::<f64>().is_ok() => {
                Some("write it without quotes, leading zeros and underscores")
            }
            Value::Null => Some("give it a value, or remove the line"),
            _ if expected == "a list" => Some("begin each item of a list with `- `"),
            _ => None,
        }
    }

    /// Reports that what stands at `node` is refused.
    pub(crate) fn refuse(&mut self, node: NodeId, mut refusal: Refusal) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let path = self.tree.path(node, false);
        if !path.is_empty() {
            refusal.message = format!("{path}: {}", refusal.message);
        }
        let problem = problem(self.prefix, path, &self.tree.node(node).place, refusal);
        self.problems.push(problem);
    }

    /// Reports that a field is refused for being there at all, or, if it is not there, its mapping.
    pub(crate) fn refuse_field(&mut self, map: NodeId, key: &str, refusal: Refusal) {
        let node = self.tree.entry(map, key).map_or(map, |entry| entry.key_node);
        self.refuse(node, refusal);
    }

    /// The value after `rule`; nothing if the rule refused it, which has been reported then.
    pub(crate) fn check<T, U>(&mut self, field: At<T>, rule: impl FnOnce(T) -> Result<U, Refusal>) -> Option<U> {
        let At { value, node } = field;
        rule(value).map_err(|refusal| self.refuse(node, refusal)).ok()
    }

    /// [`Self::check`] for a field that may be absent.
    pub(crate) fn optional<T, U>(
        &mut self,
        field: Option<At<T>>,
        rule: impl FnOnce(T) -> Result<U, Refusal>,
    ) -> Option<U> {
        field.and_then(|field| self.check(field, rule))
    }

    /// Reports a field that has to be there. A field whose value could not be read is there, and has been reported.
    pub(crate) fn required<T>(&mut self, map: NodeId, key: &str, field: Option<At<T>>, help: &str) -> Option<At<T>> {
        if field.is_none() {
            let refusal = |message: String| Refusal::new(Kind::RequiredField, message).help(help);
            match self.tree.entry(map, key).map(|entry| entry.key_node) {
                Some(_) if self.has(map, key) => {}
                Some(key_node) => self.refuse(key_node, refusal("required, but has no value".to_owned())),
                None => self.refuse(map, refusal(format!("`{key}` is required"))),
            }
        }
        field
    }

    /// Two values of a list that have to differ.
    pub(crate) fn distinct<T: PartialEq>(&mut self, items: &[At<T>], say: impl Fn(&T, usize) -> Refusal) {
        for (i, item) in items.iter().enumerate() {
            if let Some(first) = items[..i].iter().find(|first| first.value == item.value) {
                let line = self.line(first.node);
                self.refuse(item.node, say(&item.value, line));
            }
        }
    }

    pub(crate) fn line(&self, node: NodeId) -> usize {
        self.tree.node(node).place.line
    }

    /// The checked value, if nothing was wrong.
    pub(crate) fn finish<T>(self, checked: Option<T>) -> Result<T, Invalid> {
        match checked {
            Some(checked) if self.problems.is_empty() => Ok(checked),
            _ => Err(Invalid::new(self.source_name, self.text, self.problems)),
        }
    }
}

fn problem(prefix: &str, path: String, place: &yaml::Place, refusal: Refusal) -> Problem {
    let yaml::Place { line, column, span } = place.clone();
    let Refusal { kind, message, help } = refusal;
    Problem { kind: dotted(prefix, kind), path, line, column, message, help, span }
}

fn yaml_1_1_boolean(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n")
}

/// Adds the known name nearest to `name`, or a short list of all of them.
fn suggest(refusal: Refusal, name: &str, known: &[&str], list: &str) -> Refusal {
    match rules::nearest(name, known.iter().copied()) {
        Some(near) => refusal.help(format!("did you mean `{near}`?")),
        None if !list.is_empty() && known.len() <= 12 => refusal.help(format!("{list} {}", known.join(", "))),
        None => refusal,
    }
}
