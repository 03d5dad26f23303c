//! Two descriptions of one resource, compared field by field.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.field, self.old, self.new)
    }
}
