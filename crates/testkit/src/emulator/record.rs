//! What there is in the emulated account, and what was asked of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Emulator;

/// Every resource, by kind (`vpc`, `load_balancer`, …) and identifier, with some facts and its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    pub kinds: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Inventory {
    /// `kind identifier` of all that is here and not there. Service-linked roles do not count: AWS keeps them.
    pub fn added_since(&self, before: &Self) -> BTreeSet<String> {
        self.names().difference(&before.names()).cloned().collect()
    }

    /// How many of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// Identifiers and facts of one kind. A kind that does not exist is a mistake of the test.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let found = self.kinds.get(kind).unwrap_or_else(|| panic!("there is no kind of resource called {kind}"));
        found.iter().map(|(identifier, facts)| (identifier.as_str(), facts))
    }

    fn names(&self) -> BTreeSet<String> {
        let kinds = self.kinds.iter().filter(|(kind, _)| *kind != "service_linked_role");
        kinds.flat_map(|(kind, found)| found.keys().map(move |identifier| format!("{kind} {identifier}"))).collect()
    }
}

/// One request to the AWS API.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub number: u64,
    /// As in signatures: `elasticloadbalancing`, not `elbv2`.
    pub service: String,
    pub action: String,
    /// The path, of calls to S3.
    pub resource: String,
    pub access_key_id: String,
    /// The ARN of who signed.
    pub principal: String,
    pub status: u16,
    /// Of the error, if it was one.
    pub code: String,
    /// Whether it changes something by its name.
    pub mutating: bool,
}

impl Call {
    fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            number: value["number"].as_u64().unwrap_or_default(),
            service: text("service"),
            action: text("action"),
            resource: text("resource"),
            access_key_id: text("access_key_id"),
            principal: text("principal"),
            status: value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default(),
            code: text("code"),
            mutating: value["mutating"].as_bool().unwrap_or_default(),
        }
    }
}

/// Something that a principal had to be allowed, by its own call or by what that needs besides. Only while policies are enforced.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub number: u64,
    pub principal: String,
    /// As in policies: `s3:GetBucketTagging`.
    pub action: String,
    pub resource: String,
    pub allowed: bool,
}

impl Emulator {
    /// What had to be allowed after the one of that number, in order.
    pub fn asked_since(&self, number: u64) -> Vec<Asked> {
        let answer = self.ask("permissions", &json!({ "since": number }));
        let one = |value: &Value| Asked {
            number: value["number"].as_u64().unwrap_or_default(),
            principal: value["principal"].as_str().unwrap_or_default().to_owned(),
            action: value["action"].as_str().unwrap_or_default().to_owned(),
            resource: value["resource"].as_str().unwrap_or_default().to_owned(),
            allowed: value["allowed"].as_bool().unwrap_or_default(),
        };
        answer.as_array().into_iter().flatten().map(one).collect()
    }

    pub fn inventory(&self) -> Inventory {
        let kinds = self.ask("inventory", &json!({ "regions": [self.region] }));
        Inventory { kinds: serde_json::from_value(kinds).expect("an inventory is a map of maps") }
    }

    /// How many calls there were so far: for [`Emulator::calls_since`].
    pub fn mark(&self) -> u64 {
        self.ask("counts", &json!({}))["last"].as_u64().unwrap_or_default()
    }

    /// All calls, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls_since(0)
    }

    /// The calls after a [`Emulator::mark`].
    pub fn calls_since(&self, mark: u64) -> Vec<Call> {
        let answer = self.ask("calls", &json!({ "since": mark }));
        answer["calls"].as_array().into_iter().flatten().map(Call::from_json).collect()
    }
}
