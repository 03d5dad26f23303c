//! What is wanted against what exists: the decision about every resource.
//!
//! Pure. Resources are looked at dependencies first, so that it is known of every link whether it will still be
//! what it is: whatever is made or replaced will have another id, which changes everybody who mentions it.

mod choose;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    change::{Change, compare},
    cloud::{Ids, Observed, State},
    desired::{Graph, Node},
    names::CERTIFICATES,
    plan::{Choice, DeleteReason, Entry, Order, Plan, Refusal, Refused},
    resource::{Concrete, Key, Kind, Link, Ref, Resource},
};
use rules::Rule;

/// Decides what becomes of every resource.
///
/// # Errors
///
/// Every change that is not made while the cluster lives.
pub fn diff(graph: &Graph, observed: &[Observed]) -> Result<Plan, Refused> {
    let mut diff = Diff { observed, known: BTreeMap::new(), entries: Vec::new(), refusals: Vec::new() };
    let found = choose::candidates(observed);
    let mut extra: Vec<&Observed> = Vec::new();
    for node in graph.in_order() {
        let mut candidates = found.get(&node.key).cloned().unwrap_or_default();
        candidates.retain(|candidate| candidate.kind == node.resource.kind());
        let chosen = choose::choose(node, &candidates, &diff.known, observed);
        extra.extend(candidates.into_iter().filter(|candidate| chosen.is_none_or(|chosen| chosen != *candidate)));
        diff.decide(node, chosen);
    }
    for duplicate in extra {
        diff.delete(duplicate, DeleteReason::Duplicate);
    }
    let unwanted = found.values().flatten().filter(|found| {
        let wanted = graph.nodes.get(&found.key);
        wanted.is_none_or(|node| node.resource.kind() != found.kind)
    });
    for found in unwanted {
        diff.unwanted(found);
    }
    match diff.refusals.is_empty() {
        true => Ok(Plan { cluster: graph.cluster.clone(), entries: diff.entries }),
        false => Err(Refused(diff.refusals)),
    }
}

/// Whether the changes can be made to what exists.
pub(crate) fn in_place(found: &Observed, changes: &[Change]) -> bool {
    changes.iter().all(|change| matches!(rules::rule(found.kind, &found.key, change), Rule::InPlace))
}

/// Fields in which what exists is not as wanted, links and all; `None` if they cannot be compared.
pub(crate) fn changes(wanted: &Concrete, tags: &BTreeMap<String, String>, found: &Observed) -> Option<Vec<Change>> {
    let actual = found.actual.as_ref()?;
    let mut changes = if actual == wanted { Vec::new() } else { compare(&json(actual), &json(wanted)) };
    changes.retain(|change| !matches!(rules::rule(wanted.kind(), &found.key, change), Rule::Ignore));
    // Others may have put tags of their own on it.
    let theirs: BTreeMap<&String, Option<&String>> = tags.keys().map(|name| (name, found.tags.get(name))).collect();
    for (name, value) in tags {
        if theirs[name] != Some(value) {
            let old = theirs[name].map_or(Value::Null, |old| Value::from(old.as_str()));
            changes.push(Change { field: format!("tags.{name}"), old, new: Value::from(value.as_str()) });
        }
    }
    Some(changes)
}

fn json(resource: &Concrete) -> Value {
    serde_json::to_value(resource).unwrap_or(Value::Object(Map::new()))
}

struct Diff<'a> {
    observed: &'a [Observed],
    /// Of what is already decided and keeps its identity.
    known: BTreeMap<Key, Ids>,
    entries: Vec<Entry>,
    refusals: Vec<Refusal>,
}

impl Diff<'_> {
    fn decide(&mut self, node: &Node, chosen: Option<&Observed>) {
        let choice = match chosen {
            None => {
                self.refuse_taken_range(node);
                Choice::Create
            }
            Some(found) => self.compare(node, found),
        };
        if let (Choice::Keep | Choice::Update { .. }, Some(found)) = (&choice, chosen) {
            self.known.insert(node.key.clone(), found.ids.clone());
        }
        self.entries.push(Entry {
            key: node.key.clone(),
            kind: node.resource.kind(),
            choice,
            wanted: Some(node.clone()),
            current: chosen.cloned(),
        });
    }

    fn compare(&mut self, node: &Node, found: &Observed) -> Choice {
        if let State::Failed(why) = &found.state {
            return Choice::Replace { reason: why.clone(), order: Order::DeleteFirst };
        }
        let wanted = resolved(node, &self.known);
        let Some(changes) = changes(&wanted, &node.tags, found) else { return Choice::Keep };
        let mut replace: Option<(Order, String)> = None;
        for change in &changes {
            match rules::rule(found.kind, &found.key, change) {
                Rule::InPlace | Rule::Ignore => {}
                Rule::Replace(order) => {
                    let reason = format!("{} cannot change", change.field);
                    replace = replace.max(Some((order, reason)));
                }
                Rule::Vpc(order) if self.ours(&change.old) => {
                    replace = replace.max(Some((order, "it is in another VPC".to_owned())));
                }
                Rule::Vpc(_) => self.refuse(node, change, "subnets", "a cluster cannot move to another VPC"),
                Rule::Refuse { setting, why } => self.refuse(node, change, setting, why),
            }
        }
        match replace {
            Some((order, reason)) => Choice::Replace { reason, order },
            None if changes.is_empty() => Choice::Keep,
            None => Choice::Update { changes },
        }
    }

    /// Whether a VPC was made by us: then there are two, and this is about the wrong one.
    fn ours(&self, vpc: &Value) -> bool {
        let mut vpcs = self.observed.iter().filter(|found| found.kind == Kind::Vpc);
        vpc.as_str().is_some_and(|id| vpcs.any(|found| found.ids.is(id)))
    }

    fn refuse(&mut self, node: &Node, change: &Change, setting: &str, why: &str) {
        let (setting, why) = (setting.to_owned(), why.to_owned());
        // One sentence per setting is enough, and none for what follows from another.
        let said = |known: &str| self.refusals.iter().any(|refusal| refusal.setting == known);
        let follows = setting == "availability_zones" && said("vpc_cidr");
        if !follows && !said(&setting) {
            self.refusals.push(Refusal { key: node.key.clone(), setting, change: Some(change.clone()), why });
        }
    }

    fn unwanted(&mut self, found: &Observed) {
        match found.kind {
            Kind::Vpc => self.refuse_delete(found, "subnets", "a cluster cannot move to another VPC"),
            Kind::LoadBalancer => {
                let why = "clients know the address of the load balancer that would go; \
                           the two schemes decide it too, if they differ";
                self.refuse_delete(found, "load_balancer", why);
            }
            // What else is in the bucket the cluster has put there itself.
            Kind::Object if !found.ids.id.starts_with("bin/") && !found.ids.id.starts_with(CERTIFICATES) => {}
            _ => self.delete(found, DeleteReason::Unwanted),
        }
    }

    /// Zones have slots of the VPC in their order: a new zone in the place of another one needs what that one's subnets have.
    fn refuse_taken_range(&mut self, node: &Node) {
        let Resource::Subnet(new) = resolved(node, &self.known) else { return };
        let takes = |found: &&Observed| match &found.actual {
            Some(Resource::Subnet(old)) => {
                let overlap = old.cidr.contains(&new.cidr) || new.cidr.contains(&old.cidr);
                found.key != node.key && old.vpc == new.vpc && overlap
            }
            _ => false,
        };
        let Some(taken) = self.observed.iter().find(takes) else { return };
        let change = Change { field: "key".to_owned(), old: taken.key.as_str().into(), new: node.key.as_str().into() };
        self.refuse(node, &change, "availability_zones", rules::NEW_CLUSTER);
    }

    fn refuse_delete(&mut self, found: &Observed, setting: &str, why: &str) {
        let (key, setting, why) = (found.key.clone(), setting.to_owned(), why.to_owned());
        self.refusals.push(Refusal { key, setting, change: None, why });
    }

    fn delete(&mut self, found: &Observed, reason: DeleteReason) {
        self.entries.push(Entry {
            key: found.key.clone(),
            kind: found.kind,
            choice: Choice::Delete { reason },
            wanted: None,
            current: Some(found.clone()),
        });
    }
}

/// With what is known put in, and words for what is not: nothing that exists is called so.
fn resolved(node: &Node, known: &BTreeMap<Key, Ids>) -> Concrete {
    let mut fill = |link: Link| {
        Ok::<_, std::convert::Infallible>(match link {
            Link::Known(id) => id,
            Link::To(Ref { key, attribute }) => {
                let id = known.get(&key).and_then(|ids| ids.get(attribute));
                id.map_or_else(|| format!("(new {key})"), str::to_owned)
            }
        })
    };
    match node.resource.clone().try_map(&mut fill) {
        Ok(resource) => resource,
        Err(never) => match never {},
    }
}

/// What a new one would mention of others, by key.
fn wanted_ids(node: &Node, known: &BTreeMap<Key, Ids>) -> BTreeSet<String> {
    resolved(node, known).links().into_iter().collect()
}

/// Whether what exists uses `ids`.
fn uses(found: &Observed, ids: &Ids) -> bool {
    found.actual.as_ref().is_some_and(|actual| actual.any_link(|link| ids.is(link)))
}
