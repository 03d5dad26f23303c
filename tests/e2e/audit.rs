//! `cortex audit` on one machine.

use testkit::{Cluster, project};

#[test]
fn what_was_asked_is_listed_and_survives_the_operator() {
    let cluster = Cluster::up();
    cluster.cortex.run(&["audit"]).ok();
    let file = project::python(&cluster.cortex, "echo", &project::echo("1"), "");
    cluster.deploy(&file).ok();
    cluster.cortex.run(&["audit", "--since", "1h"]).ok().prints("local-admin").prints("POST /v1/deploy");
    let events = cluster.cortex.run(&["audit", "-o", "json"]).ok().stdout;
    let paths = |text: &str| text.lines().filter(|line| line.contains("/v1/deploy")).count();
    assert_eq!(paths(&events), 1, "{events}");
    cluster
        .cortex
        .run(&["audit", "--since", "2000-01-01T00:00:00Z", "--limit", "1"])
        .ok()
        .says("there are older events");
    cluster.cortex.run(&["audit", "--since", "yesterday"]).exits(2).says("neither a time like");
}
