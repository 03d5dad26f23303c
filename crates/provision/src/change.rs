//! Two descriptions of one resource, compared field by field.
//!
//! Comparison works on the serialised form: one walk for all kinds, and the names in it are the structs' own.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resource::{Route, Rule};

/// One field that is not as wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// As in the resource's struct, with dots: `health_check.interval_s`; `tags.NAME` for a tag.
    pub field: String,
    pub old: Value,
    pub new: Value,
}

impl Change {
    /// The field of the resource's struct it is in.
    pub fn top(&self) -> &str {
        self.field.split_once('.').map_or(&self.field, |(top, _)| top)
    }
}

/// Every difference, in the order of the fields' names.
pub(crate) fn compare(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk("", old, new, &mut changes);
    changes
}

fn walk(path: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => walk_object(path, old, new, changes),
        _ if old == new => {}
        _ => changes.push(Change { field: path.to_owned(), old: old.clone(), new: new.clone() }),
    }
}

fn walk_object(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, changes: &mut Vec<Change>) {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
        walk(&path, old, new, changes);
    }
}

/// `field: old -> new`; of two lists, what goes and what comes, each on a line of its own.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Value::Array(old), Value::Array(new)) = (&self.old, &self.new) else {
            return write!(f, "{}: {} -> {}", self.field, brief(&self.old), brief(&self.new));
        };
        write!(f, "{}:", self.field)?;
        for gone in old.iter().filter(|value| !new.contains(value)) {
            write!(f, "\n  - {}", brief(gone))?;
        }
        for come in new.iter().filter(|value| !old.contains(value)) {
            write!(f, "\n  + {}", brief(come))?;
        }
        Ok(())
    }
}

/// A value as people want to see it: text of several lines (user data) only by its length.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.contains('\n') => format!("({} lines)", text.lines().count()),
        Value::String(text) => text.clone(),
        Value::Object(_) => {
            let rule = Rule::<String>::deserialize(value).map(|rule| rule.to_string());
            let route = || Route::<String>::deserialize(value).map(|route| route.to_string());
            rule.or_else(|_| route()).unwrap_or_else(|_| value.to_string())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_differs_at_any_depth() {
        let old = json!({"a": 1, "b": {"c": [1, 2], "d": true}, "gone": "x"});
        let new = json!({"a": 1, "b": {"c": [2, 3], "d": false}, "come": null});
        let shown: Vec<String> = compare(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b.c:\n  - 1\n  + 3", "b.d: true -> false", "gone: x -> nothing"]);
    }
}
