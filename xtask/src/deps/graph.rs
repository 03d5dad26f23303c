//! Packages and the resolved edges between them, as far as the rules need them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

#[derive(Debug)]
pub(crate) struct Edge {
    /// Id of the package depended on.
    pub(crate) to: String,
    pub(crate) kinds: Vec<Kind>,
}

impl Edge {
    /// Whether it is in what is shipped, and not only in tests.
    pub(crate) fn ships(&self) -> bool {
        self.kinds.iter().any(|kind| *kind != Kind::Dev)
    }
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// One of the workspace.
    pub(crate) ours: bool,
    pub(crate) edges: Vec<Edge>,
}

/// Packages by cargo's id, which is unique where a name is not.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) packages: BTreeMap<String, Package>,
}

impl Graph {
    /// From the whole output of `cargo metadata --format-version 1`.
    pub(crate) fn read(metadata: &Value) -> Result<Self> {
        let members: BTreeSet<&str> = array(metadata, "workspace_members")?.iter().filter_map(Value::as_str).collect();
        let mut packages = BTreeMap::new();
        for package in array(metadata, "packages")? {
            let (id, name) = (text(package, "id")?, text(package, "name")?);
            let package = Package { name: name.to_owned(), ours: members.contains(id), edges: Vec::new() };
            packages.insert(id.to_owned(), package);
        }
        for node in array(&metadata["resolve"], "nodes")? {
            let id = text(node, "id")?;
            let package = packages.get_mut(id).with_context(|| format!("`{id}` is resolved but not listed"))?;
            package.edges = array(node, "deps")?.iter().map(edge).collect::<Result<_>>()?;
        }
        Ok(Self { packages })
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.ours)
    }

    pub(crate) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages.get(id).map_or(id, |package| &package.name)
    }

    /// The names on the shortest way from one of the packages `from` to a package called `to`, both ends included.
    pub(crate) fn way(
        &self,
        from: impl Fn(&Package) -> bool,
        to: &str,
        follow: impl Fn(&Edge) -> bool,
    ) -> Option<Vec<&str>> {
        let starts = self.packages.iter().filter(|(_, package)| from(package)).map(|(id, _)| id.as_str());
        let mut ways: VecDeque<Vec<&str>> = starts.map(|id| vec![id]).collect();
        let mut seen: BTreeSet<&str> = ways.iter().map(|way| way[0]).collect();
        while let Some(way) = ways.pop_front() {
            let last = way[way.len() - 1];
            if self.name(last) == to {
                return Some(way.into_iter().map(|id| self.name(id)).collect());
            }
            let edges = self.packages.get(last).into_iter().flat_map(|package| &package.edges);
            for edge in edges.filter(|edge| follow(edge)) {
                if seen.insert(&edge.to) {
                    ways.push_back(way.iter().copied().chain([edge.to.as_str()]).collect());
                }
            }
        }
        None
    }
}

fn edge(dependency: &Value) -> Result<Edge> {
    let kinds = array(dependency, "dep_kinds")?.iter().map(|kind| match kind["kind"].as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    });
    Ok(Edge { to: text(dependency, "pkg")?.to_owned(), kinds: kinds.collect() })
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("`cargo metadata` has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("`cargo metadata` has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Graph, Kind};

    #[test]
    fn metadata_becomes_edges_with_kinds() {
        let kinds = json!([{"kind": null, "target": null}, {"kind": "dev", "target": null}]);
        let graph = Graph::read(&json!({
            "workspace_members": ["path+a"],
            "packages": [{"id": "path+a", "name": "a"}, {"id": "registry+b", "name": "b"}],
            "resolve": {"nodes": [
                {"id": "path+a", "deps": [{"pkg": "registry+b", "dep_kinds": kinds}]},
                {"id": "registry+b", "deps": []},
            ]},
        }))
        .expect("this is how cargo writes it");
        let a = &graph.packages["path+a"];
        assert!(a.ours && !graph.packages["registry+b"].ours);
        assert_eq!(a.edges[0].kinds, [Kind::Normal, Kind::Dev]);
        assert!(a.edges[0].ships());
    }

    #[test]
    fn metadata_of_another_shape_is_an_error() {
        let error = Graph::read(&json!({"workspace_members": []})).expect_err("it has no packages");
        assert!(error.to_string().contains("`packages`"));
    }
}
