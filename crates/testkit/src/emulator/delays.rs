//! How long things take in the emulated cloud.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// By name; `clock.py` has the names. What is not said takes no time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delays {
    seconds: BTreeMap<String, f64>,
}

impl Delays {
    /// Nothing takes any time.
    pub fn none() -> Self {
        Self::default()
    }

    /// As long as on AWS, times `scale`.
    pub fn aws(scale: f64) -> Self {
        Self { seconds: BTreeMap::from([("scale".to_owned(), scale)]) }
    }

    /// `nat_create`, `elb_create` and the like.
    #[must_use]
    pub fn with(mut self, name: &str, time: Duration) -> Self {
        self.seconds.insert(name.to_owned(), time.as_secs_f64());
        self
    }

    pub(super) fn arguments(&self) -> impl Iterator<Item = String> {
        self.seconds.iter().map(|(name, seconds)| format!("{name}={seconds}"))
    }

    /// Those not said are 0 again.
    pub(super) fn json(&self) -> Value {
        let mut all = json!({ "scale": 0 });
        for (name, seconds) in &self.seconds {
            all[name] = json!(seconds);
        }
        all
    }
}
