//! What the engine says when things do not work.

use operator::engine::Engine as _;
use serde_json::{Value, json};
use testkit::emulator::{Delays, Mode};

use crate::{
    ground::{CLUSTER, Count, Ground, count, workload},
    tidy,
};

/// Every task that is to start ends with this exit code instead, as its agent says.
fn crash_all(ground: &Ground, instances: &[String], code: i32) {
    for instance in instances {
        let work = ground.emulator.ask("agents/poll", &json!({ "cluster": CLUSTER, "container_instance": instance }));
        for task in work.as_array().into_iter().flatten().filter(|task| task["last_status"] == "PENDING") {
            let containers = json!([{ "name": "replica", "exitCode": code }]);
            let facts: Value = json!({ "task": task["task_arn"], "status": "STOPPED", "containers": containers });
            ground.emulator.ask("agents/report", &facts);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_always_crashes_has_failed_and_says_how() {
    let ground = Ground::new(Mode::Strict, &Delays::none()).await;
    let instances = ground.ecs.list_container_instances().cluster(CLUSTER).send().await.expect("they are listed");
    let instances = instances.container_instance_arns.unwrap_or_default();
    ground.emulator.leave_agents_to_nodes();
    let engine = ground.engine();
    engine.scale(&workload("iris", "1"), 1).await.expect("it is scaled");
    let failed = testkit::eventually("it has failed", async || {
        crash_all(&ground, &instances, 3);
        let replicas = engine.observe().await.expect("ECS answers");
        let failed = replicas.iter().find(|replica| replica.failed).cloned();
        failed.ok_or_else(|| format!("{replicas:?}"))
    })
    .await;
    assert!(failed.message.starts_with("ended with exit code 3"), "{}", failed.message);
    assert!(failed.message.contains("`cortex logs iris`"), "{}", failed.message);
    testkit::eventually("ECS gives up", async || {
        crash_all(&ground, &instances, 3);
        let replicas = engine.observe().await.expect("ECS answers");
        let now = count(&replicas, "iris", "1");
        let given_up = now == (Count { backing_off: 1, ..Count::default() }) && replicas[0].restarts >= 3;
        if given_up { Ok(()) } else { Err(format!("{replicas:?}")) }
    })
    .await;
    // It still counts, so nobody asks for it again.
    let mark = ground.emulator.mark();
    engine.scale(&workload("iris", "1"), 1).await.expect("it is scaled");
    tidy(&engine, &["iris"]).await.expect("nothing is to be done");
    assert_eq!(ground.changes_since(mark), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_says_so() {
    let ground = Ground::new(Mode::Strict, &Delays::none()).await;
    let engine = ground.engine();
    let mut large = workload("iris", "1");
    large.compute.mem_bytes = Some(64 << 30);
    engine.scale(&large, 1).await.expect("it is scaled");
    testkit::eventually("there is no room", async || {
        let replicas = engine.observe().await.expect("ECS answers");
        let message = replicas.first().map(|replica| replica.message.clone()).unwrap_or_default();
        if message.contains("no instance has room") { Ok(()) } else { Err(message) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_capacity_is_named() {
    let ground = Ground::without_nodes(Mode::Strict, &Delays::none());
    let engine = ground.engine();
    let error = engine.observe().await.expect_err("there is no cluster").to_string();
    assert!(error.contains("ClusterNotFoundException"), "{error}");
    ground.ecs.create_cluster().cluster_name(CLUSTER).send().await.expect("a cluster is made");
    let error = engine.scale(&workload("iris", "1"), 1).await.expect_err("it has no capacity").to_string();
    assert!(error.contains("no capacity providers") && error.contains(CLUSTER), "{error}");
    assert!(ground.definitions().await.is_empty(), "nothing was registered for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_is_named() {
    let ground = Ground::new(Mode::Strict, &Delays::none()).await;
    let stranger = ground.emulator.create_user("stranger", &json!({}));
    let engine = ground.engine_as(&stranger);
    let error = engine.observe().await.expect_err("it is denied").to_string();
    assert!(error.contains("needs ecs:ListServices"), "{error}");
    let error = engine.scale(&workload("iris", "1"), 1).await.expect_err("it is denied").to_string();
    assert!(error.contains("needs ecs:DescribeServices"), "{error}");
}
