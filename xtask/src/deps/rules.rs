//! The rules of `docs/ARCHITECTURE.md` about dependencies.

use std::collections::BTreeSet;

use super::graph::{Edge, Graph, Package};

/// Something that is not allowed, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// Which packages of the workspace one may use outside its own tests.
enum MayUse {
    Only(&'static [&'static str]),
    /// Nothing depends on it, so it may use everything.
    Anything,
}

/// Arrows go down only, and processes never depend on each other.
const LAYERS: &[(&str, MayUse)] = &[
    ("identity", MayUse::Only(&[])),
    ("spec", MayUse::Only(&[])),
    ("state", MayUse::Only(&[])),
    ("telemetry", MayUse::Only(&[])),
    ("transport", MayUse::Only(&[])),
    ("api", MayUse::Only(&["identity", "spec", "transport"])),
    ("provision", MayUse::Only(&["spec"])),
    ("aws-infra", MayUse::Only(&["provision", "spec"])),
    ("aws-node", MayUse::Only(&["api", "identity", "operator", "spec", "state", "transport"])),
    ("gateway", MayUse::Only(&["api", "identity", "state", "telemetry", "transport"])),
    ("operator", MayUse::Only(&["api", "identity", "spec", "state", "telemetry", "transport"])),
    ("replica", MayUse::Only(&["api", "spec", "telemetry", "transport"])),
    (
        "cli",
        MayUse::Only(&[
            "api",
            "aws-infra",
            "aws-node",
            "gateway",
            "identity",
            "operator",
            "provision",
            "replica",
            "spec",
            "state",
            "telemetry",
            "transport",
        ]),
    ),
    ("testkit", MayUse::Anything),
    ("e2e", MayUse::Anything),
    ("xtask", MayUse::Only(&[])),
];

const TESTKIT: &str = "testkit";

/// A second TLS stack beside rustls with ring; each also needs a C library or a long C build.
const BANNED: [&str; 3] = ["aws-lc-sys", "native-tls", "openssl-sys"];

/// `spec` is a pure function from text to types.
const WITHOUT: [(&str, &str); 1] = [("spec", "tokio")];

const THIS_FILE: &str = "xtask/src/deps/rules.rs";

/// Every violation of every rule about the graph alone.
pub(crate) fn check(graph: &Graph) -> Vec<Violation> {
    let mut violations = layers(graph);
    violations.extend(testkit(graph));
    violations.extend(sdk(graph));
    violations.extend(without(graph));
    violations.extend(banned(graph));
    violations
}

/// Our packages use only those that their row names; every package has a row, every row a package.
fn layers(graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in graph.ours() {
        match LAYERS.iter().find(|(name, _)| *name == package.name) {
            None => violations.push(Violation {
                what: format!("`{}` has no row in the table of layers", package.name),
                fix: format!("say in {THIS_FILE} what it may use, and in docs/ARCHITECTURE.md what it is"),
            }),
            Some((_, MayUse::Anything)) => {}
            Some((_, MayUse::Only(allowed))) => violations.extend(upward(graph, package, allowed)),
        }
    }
    let gone = LAYERS.iter().filter(|(name, _)| graph.ours().all(|package| package.name != *name));
    violations.extend(gone.map(|(name, _)| Violation {
        what: format!("the table of layers has a row for `{name}`, which is no package"),
        fix: format!("take the row out of {THIS_FILE}"),
    }));
    violations
}

fn upward<'a>(graph: &'a Graph, package: &'a Package, allowed: &'a [&str]) -> impl Iterator<Item = Violation> + 'a {
    let used = package.edges.iter().filter(|edge| edge.ships()).filter_map(|edge| graph.packages.get(&edge.to));
    let wrong = used.filter(|used| used.ours && used.name != TESTKIT && !allowed.contains(&used.name.as_str()));
    wrong.map(|used| Violation {
        what: format!("`{}` depends on `{}`, which is not below it", package.name, used.name),
        fix: format!(
            "move what both need to a package below both, or hand it in from `cli`; `{}` may use {}",
            package.name,
            listed(allowed)
        ),
    })
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none of ours".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What tests are made of is never shipped.
fn testkit(graph: &Graph) -> impl Iterator<Item = Violation> {
    let uses = |package: &&Package| package.edges.iter().any(|edge| edge.ships() && graph.name(&edge.to) == TESTKIT);
    graph.ours().filter(uses).map(|package| Violation {
        what: format!("`{}` has `{TESTKIT}` among its [dependencies]", package.name),
        fix: "move it to [dev-dependencies]".to_owned(),
    })
}

/// SDK clients stay behind the adapters, ours and the SDK's own.
fn sdk(graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in graph.packages.values().filter(|package| !package.name.starts_with("aws-")) {
        let clients = package.edges.iter().filter(|edge| edge.ships()).map(|edge| graph.name(&edge.to));
        violations.extend(clients.filter(|client| client.starts_with("aws-sdk-")).map(|client| Violation {
            what: format!("`{}` depends on `{client}`", package.name),
            fix: "only packages named `aws-*` may; use our own trait and types here".to_owned(),
        }));
    }
    violations
}

fn without(graph: &Graph) -> impl Iterator<Item = Violation> {
    WITHOUT.iter().filter_map(|(package, unwanted)| {
        let way = graph.way(|start| start.ours && start.name == *package, unwanted, Edge::ships)?;
        Some(Violation {
            what: format!("`{package}` must do without `{unwanted}`: {}", way.join(" -> ")),
            fix: format!("take `{}` out of crates/{package}/Cargo.toml, or switch the feature off", way[1]),
        })
    })
}

fn banned(graph: &Graph) -> impl Iterator<Item = Violation> {
    BANNED.iter().filter_map(|name| {
        let way = graph.way(|start| start.ours, name, |_| true)?;
        let culprit = way.get(1).unwrap_or(name);
        Some(Violation {
            what: format!("`{name}` is banned, TLS here is rustls with ring: {}", way.join(" -> ")),
            fix: format!(
                "`default-features = false` for `{culprit}` in the root Cargo.toml, then only the features needed"
            ),
        })
    })
}

/// Direct dependencies that `page` does not name.
pub(crate) fn unexplained(graph: &Graph, page: &str, path: &str) -> Vec<Violation> {
    let edges = graph.ours().flat_map(|package| &package.edges);
    let theirs = edges.filter_map(|edge| graph.packages.get(&edge.to)).filter(|package| !package.ours);
    let names: BTreeSet<&str> = theirs.map(|package| package.name.as_str()).collect();
    let missing = names.into_iter().filter(|name| !page.contains(&format!("`{name}`")));
    missing
        .map(|name| Violation {
            what: format!("`{name}` is not in {path}"),
            fix: "add a line: what it is for, and what the alternative was".to_owned(),
        })
        .collect()
}

/// Names under `[workspace.dependencies]` of the root manifest that no package uses. Ours may wait there for a user.
pub(crate) fn unused(graph: &Graph, manifest: &str) -> Vec<Violation> {
    let used: BTreeSet<&str> =
        graph.ours().flat_map(|package| &package.edges).map(|edge| graph.name(&edge.to)).collect();
    let ours: BTreeSet<&str> = graph.ours().map(|package| package.name.as_str()).collect();
    let unused = workspace_dependencies(manifest).filter(|name| !used.contains(name) && !ours.contains(name));
    unused
        .map(|name| Violation {
            what: format!("`{name}` is in [workspace.dependencies], but no package uses it"),
            fix: "take its line out of the root Cargo.toml".to_owned(),
        })
        .collect()
}

/// One dependency per line and none renamed, as this repository writes them.
fn workspace_dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    section.filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.split_once(" = ")?.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{LAYERS, Violation, check, unexplained, unused};
    use crate::deps::graph::{
        Edge, Graph, Kind,
        Kind::{Build, Dev, Normal},
        Package,
    };

    /// A workspace with all packages of the table, and these edges; what is not in the table is theirs.
    fn workspace(edges: &[(&str, Kind, &str)]) -> Graph {
        let mut packages = BTreeMap::new();
        let ends = edges.iter().flat_map(|(from, _, to)| [*from, *to]);
        for name in LAYERS.iter().map(|(name, _)| *name).chain(ends) {
            let ours = LAYERS.iter().any(|(row, _)| *row == name);
            packages.insert(name.to_owned(), Package { name: name.to_owned(), ours, edges: Vec::new() });
        }
        for (from, kind, to) in edges {
            let edge = Edge { to: (*to).to_owned(), kinds: vec![*kind] };
            packages.get_mut(*from).expect("every end was added").edges.push(edge);
        }
        Graph { packages }
    }

    fn violations(edges: &[(&str, Kind, &str)]) -> Vec<String> {
        check(&workspace(edges)).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn arrows_down_are_allowed() {
        let none: [&str; 0] = [];
        let edges = [("cli", Normal, "operator"), ("operator", Normal, "state"), ("api", Normal, "spec")];
        assert_eq!(violations(&edges), none);
    }

    #[test]
    fn arrows_up_and_across_are_not() {
        assert_eq!(violations(&[("spec", Normal, "api")]), ["`spec` depends on `api`, which is not below it"]);
        assert_eq!(violations(&[("gateway", Build, "operator")]).len(), 1);
        assert_eq!(violations(&[("api", Normal, "cli")]).len(), 1);
        assert_eq!(violations(&[("xtask", Normal, "spec")]).len(), 1);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        assert!(violations(&[("spec", Dev, "operator"), ("gateway", Dev, "testkit")]).is_empty());
        assert!(violations(&[("e2e", Normal, "cli"), ("testkit", Normal, "operator")]).is_empty());
    }

    #[test]
    fn testkit_is_never_shipped() {
        let expected = ["`cli` has `testkit` among its [dependencies]"];
        assert_eq!(violations(&[("cli", Normal, "testkit")]), expected);
        assert_eq!(violations(&[("e2e", Normal, "testkit")]).len(), 1);
    }

    #[test]
    fn every_package_has_a_row_and_every_row_a_package() {
        let mut graph = workspace(&[]);
        graph.packages.remove("gateway");
        graph.packages.insert("new".into(), Package { name: "new".into(), ours: true, edges: Vec::new() });
        let found = check(&graph);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].what.contains("`new` has no row"));
        assert!(found[1].what.contains("row for `gateway`"));
    }

    #[test]
    fn sdk_clients_stay_behind_adapters() {
        assert_eq!(violations(&[("operator", Normal, "aws-sdk-s3")]), ["`operator` depends on `aws-sdk-s3`"]);
        assert_eq!(violations(&[("somebody", Normal, "aws-sdk-sts")]).len(), 1);
        assert!(violations(&[("aws-config", Normal, "aws-sdk-sts"), ("operator", Normal, "aws-config")]).is_empty());
    }

    #[test]
    fn spec_has_no_tokio_however_far_away() {
        let edges = [("spec", Normal, "reader"), ("reader", Normal, "tokio")];
        assert_eq!(violations(&edges), ["`spec` must do without `tokio`: spec -> reader -> tokio"]);
        assert!(violations(&[("spec", Dev, "tokio"), ("api", Normal, "tokio")]).is_empty());
    }

    #[test]
    fn other_tls_stacks_are_banned_even_in_tests() {
        let edges =
            [("api", Normal, "reqwest"), ("reqwest", Normal, "native-tls"), ("native-tls", Normal, "openssl-sys")];
        assert_eq!(violations(&edges).len(), 2);
        assert!(violations(&edges)[0].ends_with("api -> reqwest -> native-tls"));
        assert_eq!(violations(&[("testkit", Dev, "aws-lc-sys")]).len(), 1);
    }

    #[test]
    fn direct_dependencies_are_explained() {
        let graph = workspace(&[
            ("api", Normal, "bytes"),
            ("api", Dev, "insta"),
            ("bytes", Normal, "far"),
            ("cli", Normal, "api"),
        ]);
        let found = unexplained(&graph, "| `bytes` | shared buffers |", "deps.md");
        let names: Vec<&str> = found.iter().map(|Violation { what, .. }| what.as_str()).collect();
        assert_eq!(names, ["`insta` is not in deps.md"]);
    }

    #[test]
    fn dependencies_that_nobody_uses_are_named() {
        let graph = workspace(&[("api", Normal, "bytes"), ("api", Dev, "insta"), ("bytes", Normal, "far")]);
        let manifest = "[workspace]\nresolver = \"3\"\n[workspace.dependencies]\n# Ours.\ngateway = { path = \"x\" }\nbytes = \"1\"\nfar = \"2\"\n\
                        insta = { version = \"1\" }\n\n[profile.dev]\ndebug = false\n";
        let found: Vec<String> = unused(&graph, manifest).into_iter().map(|violation| violation.what).collect();
        assert_eq!(found, ["`far` is in [workspace.dependencies], but no package uses it"]);
    }
}
