//! The engine on the emulator, whose scheduler, nodes and agents do by themselves what ECS does, each after a short time.

#[path = "ecs/control_role.rs"]
mod control_role;
#[path = "ecs/failures.rs"]
mod failures;
#[path = "ecs/ground.rs"]
mod ground;
#[path = "ecs/log.rs"]
mod log;

use std::{collections::BTreeSet, time::Duration};

use api::wire::LogQuery;
use aws_node::EcsEngine;
use operator::engine::Engine as _;
use testkit::{
    emulator::{Delays, Mode},
    faults::{Fault, Faults, Rule, When},
};
use transport::Address;

use self::ground::{ADDRESS, CLUSTER, Count, Ground, becomes, count, delays, workload};

/// As the reconciler does at the end of each pass.
async fn tidy(engine: &EcsEngine, deployed: &[&str]) -> Result<(), String> {
    engine.observe().await.map_err(|error| error.to_string())?;
    let deployed: BTreeSet<&str> = deployed.iter().copied().collect();
    engine.forget_all_but(&deployed).await.map_err(|error| error.to_string())
}

/// Passes go on until nothing of the engine's is left on ECS.
async fn nothing_is_left(ground: &Ground, engine: &EcsEngine) {
    let mark = ground.emulator.mark();
    testkit::eventually("services and definitions are gone", async || {
        tidy(engine, &[]).await?;
        let (services, definitions) = (ground.services().await, ground.definitions().await);
        let left: Vec<_> = services.iter().filter_map(|service| service.service_name()).collect();
        if left.is_empty() && definitions.is_empty() {
            return Ok(());
        }
        let refused = ground.emulator.calls_since(mark).into_iter().filter(|call| call.status >= 400);
        let refused: BTreeSet<_> = refused.map(|call| format!("{} {}", call.action, call.code)).collect();
        Err(format!("{left:?} {definitions:?} refused: {refused:?}"))
    })
    .await;
}

/// All that the engine ever asks of AWS.
async fn a_little_life(ground: &Ground, engine: &EcsEngine) {
    let mut iris = workload("iris", "1");
    iris.compute.mem_bytes = None;
    engine.scale(&iris, 1).await.expect("it is scaled");
    becomes(engine, "iris", "1", 1).await;
    engine.scale(&iris, 2).await.expect("it is scaled");
    becomes(engine, "iris", "1", 2).await;
    drop(engine.logs("iris", &LogQuery { follow: false, tail: 10 }).await.expect("there is a log group"));
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    nothing_is_left(ground, engine).await;
    // What is to be found only by looking for it.
    let stray = ground.engine();
    stray.scale(&iris, 1).await.expect("it is scaled");
    let service = ground.services().await[0].service_name().expect("it has a name").to_owned();
    let deleted = ground.ecs.delete_service().cluster(&ground.settings.ecs_cluster).service(service).force(true);
    deleted.send().await.expect("it is deleted");
    nothing_is_left(ground, engine).await;
}

async fn a_whole_life(mode: Mode) {
    let ground = Ground::new(mode, &delays()).await;
    let engine = ground.engine();
    let iris = workload("iris", "1");
    assert_eq!(engine.observe().await.expect("ECS answers"), []);

    engine.scale(&iris, 2).await.expect("it is scaled");
    let first = engine.observe().await.expect("ECS answers");
    assert_eq!(count(&first, "iris", "1"), Count { starting: 2, ..Count::default() });
    let ready = becomes(&engine, "iris", "1", 2).await;
    for replica in &ready {
        let Address::Tcp(address) = &replica.address else { panic!("{replica:?}") };
        assert!(address.starts_with(&format!("{ADDRESS}:327")), "{address}");
        assert!(!replica.failed && replica.restarts == 0, "{replica:?}");
    }
    let described = &ground.services().await[0];
    assert_eq!(described.capacity_provider_strategy().len(), 1);

    // What is so already is not asked for again.
    let mark = ground.emulator.mark();
    engine.scale(&iris, 2).await.expect("it is scaled");
    ground.engine().scale(&iris, 2).await.expect("it is scaled");
    engine.shrink("iris", "1", 3).await.expect("it is no smaller");
    tidy(&engine, &["iris"]).await.expect("nothing is to be done");
    assert_eq!(ground.changes_since(mark), []);

    engine.scale(&iris, 3).await.expect("it is scaled");
    let three = becomes(&engine, "iris", "1", 3).await;
    assert!(ready.iter().all(|replica| three.contains(replica)), "scaling up moves nobody");
    engine.scale(&iris, 1).await.expect("it is scaled");
    testkit::eventually("two are draining", async || {
        let now = count(&engine.observe().await.expect("ECS answers"), "iris", "1");
        if now == (Count { ready: 1, draining: 2, ..Count::default() }) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    becomes(&engine, "iris", "1", 1).await;

    // As long as one drains, its service stays.
    ground.emulator.set_delays(&Delays::none().with("task_stop", Duration::from_secs(3600)));
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    testkit::eventually("the last one is draining", async || {
        tidy(&engine, &["iris"]).await?;
        let now = count(&engine.observe().await.expect("ECS answers"), "iris", "1");
        if now == (Count { draining: 1, ..Count::default() }) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    for _ in 0..3 {
        tokio::time::sleep(ground.settings.poll).await;
        tidy(&engine, &["iris"]).await.expect("ECS answers");
        engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    }
    assert_eq!(ground.services().await.len(), 1);
    ground.emulator.advance(Duration::from_secs(3600));
    nothing_is_left(&ground, &engine).await;
    assert_eq!(engine.observe().await.expect("ECS answers"), []);

    // The same again is another service.
    ground.emulator.set_delays(&delays());
    engine.scale(&iris, 1).await.expect("it is made again");
    becomes(&engine, "iris", "1", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_comes_changes_its_size_and_goes() {
    a_whole_life(Mode::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_comes_changes_its_size_and_goes_by_all_rules() {
    a_whole_life(Mode::Strict).await;
}

async fn an_update(mode: Mode) {
    let ground = Ground::new(mode, &delays()).await;
    let engine = ground.engine();
    let (old, new) = (workload("iris", "1"), workload("iris", "2"));
    engine.scale(&old, 2).await.expect("it is scaled");
    becomes(&engine, "iris", "1", 2).await;
    engine.scale(&new, 1).await.expect("it is scaled");
    let both = becomes(&engine, "iris", "2", 1).await;
    assert_eq!(count(&both, "iris", "1"), Count { ready: 2, ..Count::default() });
    engine.shrink("iris", "1", 1).await.expect("it is shrunk");
    becomes(&engine, "iris", "1", 1).await;
    engine.scale(&new, 2).await.expect("it is scaled");
    becomes(&engine, "iris", "2", 2).await;
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    testkit::eventually("the old version is gone", async || {
        tidy(&engine, &["iris"]).await?;
        let (services, definitions) = (ground.services().await.len(), ground.definitions().await);
        if services == 1 && definitions.len() == 1 { Ok(()) } else { Err(format!("{services} {definitions:?}")) }
    })
    .await;
    let left = engine.observe().await.expect("ECS answers");
    assert_eq!(count(&left, "iris", "2"), Count { ready: 2, ..Count::default() });
    assert_eq!(left.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_runs_beside_the_old_one() {
    an_update(Mode::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_runs_beside_the_old_one_by_all_rules() {
    an_update(Mode::Strict).await;
}

/// More than fit in one page or one description.
#[tokio::test(flavor = "multi_thread")]
async fn many_services_are_all_seen_and_orphans_are_removed_by_whoever_comes_next() {
    let ground = Ground::new(Mode::Strict, &Delays::none()).await;
    let engine = ground.engine();
    let names: Vec<String> = (0..13).map(|number| format!("api-{number}")).collect();
    for name in &names {
        engine.scale(&workload(name, "1"), 1).await.expect("it is scaled");
    }
    testkit::eventually("all are ready", async || {
        let replicas = engine.observe().await.expect("ECS answers");
        let ready = names.iter().filter(|name| count(&replicas, name, "1").ready == 1).count();
        if ready == names.len() { Ok(()) } else { Err(format!("{ready}")) }
    })
    .await;
    // Another operator, which knows nothing.
    let next = ground.engine();
    let orphans = next.observe().await.expect("ECS answers");
    assert_eq!(orphans.len(), names.len());
    for orphan in &orphans {
        next.shrink(&orphan.api, &orphan.version, 0).await.expect("it is shrunk");
    }
    nothing_is_left(&ground, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_make_one_service() {
    let ground = Ground::new(Mode::Strict, &delays()).await;
    let (one, other) = (ground.engine(), ground.engine());
    for (number, sizes) in [(1, (2, 2)), (2, (1, 3))] {
        let workload = workload("iris", &number.to_string());
        let (left, right) = tokio::join!(one.scale(&workload, sizes.0), other.scale(&workload, sizes.1));
        left.expect("it is scaled");
        right.expect("it is scaled");
    }
    assert_eq!(ground.services().await.len(), 2);
    testkit::eventually("each version has one definition", async || {
        tidy(&one, &["iris"]).await?;
        let definitions = ground.definitions().await;
        if definitions.len() == 2 { Ok(()) } else { Err(format!("{definitions:?}")) }
    })
    .await;
    becomes(&one, "iris", "1", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_make_nothing_twice() {
    let ground = Ground::new(Mode::Strict, &delays()).await;
    let proxy = Faults::before(&ground.emulator.endpoint).await;
    for action in [
        "RegisterTaskDefinition",
        "CreateService",
        "UpdateService",
        "DeleteService",
        "DeregisterTaskDefinition",
        "DeleteTaskDefinitions",
    ] {
        proxy.add(Rule::new(Fault::CutAfter, When::Nth(1)).on(move |call| call.action == action));
    }
    let engine = ground.engine_by_way_of(&proxy.url());
    let iris = workload("iris", "1");
    engine.scale(&iris, 1).await.expect("it is scaled");
    engine.scale(&iris, 2).await.expect("it is scaled");
    becomes(&engine, "iris", "1", 2).await;
    testkit::eventually("one definition is left", async || {
        tidy(&engine, &["iris"]).await?;
        let definitions = ground.definitions().await;
        if definitions.len() == 1 { Ok(()) } else { Err(format!("{definitions:?}")) }
    })
    .await;
    let services = ground.services().await;
    assert_eq!((services.len(), services[0].desired_count()), (1, 2));
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    nothing_is_left(&ground, &engine).await;
    assert_eq!(proxy.hits(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_costs_time_only() {
    let ground = Ground::new(Mode::Strict, &delays()).await;
    let proxy = Faults::before(&ground.emulator.endpoint).await;
    proxy.add(Rule::new(Fault::Throttle, When::Rate { share: 0.3, seed: 7 }));
    let engine = ground.engine_by_way_of(&proxy.url());
    engine.scale(&workload("iris", "1"), 2).await.expect("it is scaled");
    becomes(&engine, "iris", "1", 2).await;
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    nothing_is_left(&ground, &engine).await;
    let hits = proxy.hits();
    assert!(hits > 10, "the proxy hit {hits} calls only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_our_tags_is_nobody_elses_business() {
    let ground = Ground::new(Mode::Strict, &Delays::none()).await;
    let container = aws_sdk_ecs::types::ContainerDefinition::builder().name("main").image("image").memory(64).build();
    let family = format!("{CLUSTER}-theirs");
    for family in [family.as_str(), "theirs"] {
        let made = ground.ecs.register_task_definition().family(family).container_definitions(container.clone());
        made.send().await.expect("it is registered");
    }
    let engine = ground.engine();
    engine.scale(&workload("iris", "1"), 1).await.expect("it is scaled");
    let ours = ground.services().await[0].service_name().expect("it has a name").to_owned();
    engine.shrink("iris", "1", 0).await.expect("it is shrunk");
    testkit::eventually("the service is gone", async || {
        tidy(&engine, &[]).await?;
        if ground.services().await.is_empty() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;
    // Somebody takes the name.
    for (name, size) in [(ours.as_str(), 1), ("idle", 0)] {
        let made = ground.ecs.create_service().cluster(CLUSTER).service_name(name).task_definition(&family);
        made.desired_count(size).send().await.expect("it is made");
    }
    let mark = ground.emulator.mark();
    let engine = ground.engine();
    assert_eq!(engine.observe().await.expect("ECS answers"), []);
    let error = engine.scale(&workload("iris", "1"), 2).await.expect_err("the name is taken").to_string();
    assert!(error.contains(&ours) && error.contains("not this cluster's"), "{error}");
    engine.shrink("iris", "1", 0).await.expect_err("it is somebody else's");
    for _ in 0..80 {
        tidy(&engine, &[]).await.expect("ECS answers");
        tokio::time::sleep(ground.settings.poll).await;
    }
    assert_eq!(ground.changes_since(mark), []);
    assert_eq!((ground.services().await.len(), ground.definitions().await.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_wake_whoever_waits_for_them() {
    let ground = Ground::new(Mode::Plain, &Delays::none()).await;
    let engine = ground.engine();
    let patience = Duration::from_secs(30);
    engine.scale(&workload("iris", "1"), 1).await.expect("it is scaled");
    let before = becomes(&engine, "iris", "1", 1).await;
    tokio::time::timeout(patience, engine.changed()).await.expect("the first look is news");
    let quiet = tokio::time::timeout(ground.settings.poll * 10, engine.changed()).await;
    assert!(quiet.is_err(), "nothing has happened");

    let task = format!("arn:aws:ecs:us-east-1:{}:task/{CLUSTER}/{}", ground.emulator.account, before[0].id);
    let (woken, stopped) = tokio::join!(
        tokio::time::timeout(patience, engine.changed()),
        ground.ecs.stop_task().cluster(CLUSTER).task(task).send(),
    );
    stopped.expect("it is stopped");
    woken.expect("a task has gone, and another come");
    let after = becomes(&engine, "iris", "1", 1).await;
    assert_ne!(before[0].id, after[0].id);

    // Whoever has not asked for a while costs nothing.
    let idle = ground.engine();
    let mark = ground.emulator.mark();
    let quiet = tokio::time::timeout(ground.settings.poll * 10, idle.changed()).await;
    assert!(quiet.is_err() && ground.emulator.calls_since(mark).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_costs_few_calls_and_serves_everybody() {
    let ground = Ground::new(Mode::Plain, &Delays::none()).await;
    let engine = ground.engine();
    engine.scale(&workload("iris", "1"), 2).await.expect("it is scaled");
    becomes(&engine, "iris", "1", 2).await;
    tokio::time::sleep(ground.settings.poll).await;
    let mark = ground.emulator.mark();
    let looks = (0..20).map(|_| engine.observe());
    for outcome in futures_util::future::join_all(looks).await {
        assert_eq!(outcome.expect("ECS answers").len(), 2);
    }
    let calls: Vec<String> = ground.emulator.calls_since(mark).into_iter().map(|call| call.action).collect();
    let mut expected = ["ListServices", "DescribeServices", "ListTasks", "ListTasks", "DescribeTasks"].to_vec();
    // The machine may be so slow that a second look is due.
    assert!(calls.len() <= 2 * expected.len(), "{calls:?}");
    expected.retain(|action| !calls.iter().any(|call| call == action));
    assert_eq!(expected, [""; 0]);
}
