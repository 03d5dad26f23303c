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
        let mut needs = self.after.clone();
        self.resource.each_link(&mut |link| needs.extend(link.key().cloned()));
        needs
    }
}

impl Graph {
    /// Dependencies before dependants; otherwise in the order of kinds and keys.
    ///
    /// # Panics
    ///
    /// If the graph has a cycle or mentions what it has not: `desired` makes no such graph.
    pub fn in_order(&self) -> Vec<&Node> {
        let place = |node: &Node| (node.resource.kind(), node.key.clone());
        let mut missing: BTreeMap<&Key, usize> = BTreeMap::new();
        let mut needed_by: BTreeMap<Key, Vec<&Node>> = BTreeMap::new();
        let mut ready = BTreeMap::new();
        for node in self.nodes.values() {
            let needs = node.dependencies();
            missing.insert(&node.key, needs.len());
            if needs.is_empty() {
                ready.insert(place(node), node);
            }
            for need in needs {
                needed_by.entry(need).or_default().push(node);
            }
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some((_, node)) = ready.pop_first() {
            order.push(node);
            for dependant in needed_by.remove(&node.key).unwrap_or_default() {
                let left = missing.entry(&dependant.key).and_modify(|left| *left -= 1).or_default();
                if *left == 0 {
                    ready.insert(place(dependant), dependant);
                }
            }
        }
        assert_eq!(order.len(), self.nodes.len(), "the graph of a cluster has no cycle and no loose end");
        order
    }
}
