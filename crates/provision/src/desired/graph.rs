//! Resources and what has to exist before each.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    cloud::ClusterId,
    resource::{Desired, Key},
};

/// Everything a cluster consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub cluster: ClusterId,
    pub nodes: BTreeMap<Key, Node>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub key: Key,
    /// Empty for what cannot carry any.
    pub tags: BTreeMap<String, String>,
    pub resource: Desired,
    /// Have to exist first, besides those that `resource` mentions.
    pub after: BTreeSet<Key>,
}

impl Node {
    /// What has to exist first.
    pub fn dependencies(&self) -> BTreeSet<Key> {
        let links = self.resource.links();
        links.iter().filter_map(|link| link.key()).chain(&self.after).cloned().collect()
    }
}

impl Graph {
    /// Dependencies before dependants; otherwise in the order of kinds and keys.
    ///
    /// # Panics
    ///
    /// If the graph has a cycle or mentions what it has not: `desired` makes no such graph.
    pub fn in_order(&self) -> Vec<&Node> {
        let mut waiting: BTreeMap<_, _> =
            self.nodes.values().map(|node| ((node.resource.kind(), &node.key), (node, node.dependencies()))).collect();
        let mut done: BTreeSet<&Key> = BTreeSet::new();
        let mut order = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let ready = waiting.iter().find(|(_, (_, needs))| needs.iter().all(|need| done.contains(need)));
            let at = *ready.map(|(at, _)| at).expect("the graph of a cluster has no cycle and no loose end");
            let (node, _) = waiting.remove(&at).expect("just found");
            done.insert(&node.key);
            order.push(node);
        }
        order
    }
}
