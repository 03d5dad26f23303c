//! `kill -9` of anything, and of everything: what is deployed stays deployed, and those whom it does not concern do not
//! notice.

use serde_json::{Value, json};
use testkit::{Cluster, Load, Role, eventually, process, project};

/// A cluster with two APIs: `one` with one replica, `two` with two.
fn cluster() -> Cluster {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    let one = project::python(cortex, "one", &project::echo("one"), "");
    let two = project::python(cortex, "two", &project::echo("two"), &project::replicas(2));
    cluster.deploy(&one);
    cluster.deploy(&two);
    cluster
}

fn loads(cluster: &Cluster) -> [Load; 2] {
    let client = cluster.client();
    ["/one", "/two"].map(|path| Load::gentle(&client, path, &json!("hello")))
}

async fn flawless(loads: [Load; 2]) {
    for load in loads {
        load.more(20).await;
        load.stop().await.flawless();
    }
}

/// What is deployed: names, generations, endpoints, bundles.
fn deployed(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.run(&["get", "-o", "json"]).ok().json();
    let names = list["apis"].as_array().expect("a list").iter().map(|api| api["name"].as_str().expect("a name"));
    names
        .map(|name| {
            let api = cluster.get(name);
            json!([api["name"], api["generation"], api["endpoint"], api["bundle"], api["spec"], api["updated_at"]])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_operator() {
    let cluster = cluster();
    let loads = loads(&cluster);
    let (operator, replicas) = (cluster.pid(Role::Operator), cluster.replicas());
    assert_eq!(replicas.len(), 3);

    cluster.kill(operator).await;
    for load in &loads {
        load.more(20).await;
    }
    cluster.successor(Role::Operator, operator).await;
    eventually("the operator answers", async || {
        let outcome = cluster.run(&["get"]);
        if outcome.code == 0 { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
    cluster.live("two", 2).await;
    assert_eq!(cluster.replicas(), replicas, "the same replicas go on");

    // The new operator watches over replicas that are not its children.
    let victim = &replicas.iter().find(|replica| replica.api == "two").expect("it has two").clone();
    let before = loads[1].tally().total();
    cluster.kill(victim.pid).await;
    eventually("the replica is started again", async || {
        let now = cluster.replicas_of("two");
        let back = now.len() == 2 && now.iter().all(|replica| replica.ready && replica.pid != victim.pid);
        if back { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let [one, two] = loads;
    one.more(20).await;
    one.stop().await.flawless();
    two.more(20).await;
    let tally = two.stop().await;
    assert!(tally.total() > before && tally.failures.len() <= 4, "{tally:?}");
    assert!(tally.statuses.keys().all(|&status| status == 502), "{tally:?}");
    assert_eq!(cluster.replicas_of("one"), [replicas[0].clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_operator_in_the_middle_of_an_update() {
    let cluster = cluster();
    let loads = loads(&cluster);
    let file = project::python(&cluster.cortex, "two", &project::echo("newer"), &project::replicas(2));
    cluster.run(&["deploy", &file, "--no-wait"]).ok().prints("two is on its way");
    eventually("the first new replica is there", async || {
        let replicas = cluster.replicas_of("two");
        if replicas.len() > 2 { Ok(()) } else { Err(format!("{replicas:?}")) }
    })
    .await;
    let operator = cluster.pid(Role::Operator);
    cluster.kill(operator).await;
    cluster.successor(Role::Operator, operator).await;
    eventually("the update is done", async || {
        let outcome = cluster.run(&["get", "two", "-o", "json"]);
        let done = outcome.code == 0 && outcome.json()["status"] == "live";
        if done { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
    cluster.settled("two", 2).await;
    assert_eq!(cluster.client().predict("/two", &json!(1)).await["version"], "newer");
    flawless(loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_replica() {
    let cluster = cluster();
    let [one, two] = loads(&cluster);
    two.more(20).await;
    let before = cluster.replicas_of("two");
    let (victim, survivor) = (&before[0], &before[1]);
    cluster.kill(victim.pid).await;
    eventually("the replica is started again", async || {
        let now = cluster.replicas_of("two");
        let back = now.len() == 2 && now.iter().all(|replica| replica.ready && replica.pid != victim.pid);
        if back { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    cluster.live("two", 2).await;
    assert!(cluster.replicas_of("two").contains(survivor), "the other one was left alone");
    cluster.run(&["logs", "two"]).ok().prints(&victim.id);
    let shown = cluster.get("two");
    let restarts = |id: &str| {
        let details = shown["replicas_detail"].as_array().expect("a list");
        details.iter().find(|replica| replica["id"] == id).map(|replica| replica["restarts"].clone())
    };
    assert_eq!((restarts(&victim.id), restarts(&survivor.id)), (Some(json!(1)), Some(json!(0))), "{shown:#}");

    one.more(20).await;
    one.stop().await.flawless();
    two.more(20).await;
    let tally = two.stop().await;
    // What the killed one was working on is lost, and nothing else: there are four requests in flight at a time.
    assert!(tally.failures.len() <= 4, "{:#?}", tally.failures);
    assert!(tally.statuses.keys().all(|&status| status == 502), "{:#?}", tally.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_gateway() {
    let cluster = cluster();
    let (gateway, replicas) = (cluster.pid(Role::Gateway), cluster.replicas());
    // The operator, too: the gateway must find its routes without it.
    let (node, operator) = (cluster.pid(Role::Node), cluster.pid(Role::Operator));
    cluster.kill(operator).await;
    cluster.kill(gateway).await;
    cluster.successor(Role::Gateway, gateway).await;
    let client = cluster.client();
    eventually("the gateway answers again", async || {
        let answer = client.try_post("/one", &json!(1)).await?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    flawless(loads(&cluster)).await;
    cluster.successor(Role::Operator, operator).await;
    cluster.live("two", 2).await;
    assert_eq!(cluster.replicas(), replicas, "no replica was touched");
    assert_eq!(cluster.pid(Role::Node), node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_node() {
    let cluster = cluster();
    let loads = loads(&cluster);
    let (node, replicas) = (cluster.pid(Role::Node), cluster.replicas());
    let (operator, gateway) = (cluster.pid(Role::Operator), cluster.pid(Role::Gateway));
    cluster.kill(node).await;
    cluster.cortex.run(&["cluster", "info"]).ok().prints("node       not running");
    cluster.up_again().ok().prints("is up again");
    assert_ne!(cluster.successor(Role::Node, node).await, node);
    assert_eq!((cluster.pid(Role::Operator), cluster.pid(Role::Gateway)), (operator, gateway), "both live on");
    assert_eq!(cluster.replicas(), replicas);
    flawless(loads).await;
    // The new node watches over both as over its own.
    cluster.kill(gateway).await;
    cluster.successor(Role::Gateway, gateway).await;
    cluster.up_again().ok().prints("was up already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_of_them() {
    let cluster = cluster();
    let client = cluster.client();
    let predictions = async || [client.predict("/one", &json!([1])).await, client.predict("/two", &json!([2])).await];
    let (before, answers, bundles) = (deployed(&cluster), predictions().await, cluster.files("state/blobs/bundles"));
    assert_eq!((before.len(), bundles.len()), (2, 2));

    // Those first who would start the others again.
    let roles = [Role::Node, Role::Operator, Role::Gateway].map(|role| cluster.pid(role));
    for pid in roles.into_iter().chain(cluster.replicas().into_iter().map(|replica| replica.pid)) {
        process::kill(pid);
    }
    cluster.no_process_left().await;
    cluster.cortex.run(&["get"]).exits(6).says("cannot be reached");

    cluster.up_again().ok().prints("is up again");
    assert_eq!(deployed(&cluster), before);
    assert_eq!(cluster.files("state/blobs/bundles"), bundles);
    cluster.live("one", 1).await;
    cluster.live("two", 2).await;
    let client = cluster.client();
    eventually("both APIs answer", async || {
        for path in ["/one", "/two"] {
            let answer = client.try_post(path, &json!(1)).await?;
            if answer.status != 200 {
                return Err(format!("{path}: {answer:?}"));
            }
        }
        Ok(())
    })
    .await;
    assert_eq!(predictions().await, answers);
    flawless(loads(&cluster)).await;
    // Nothing has to be sent again.
    let outcome = cluster.deploy("one/cortex.yaml").says("one is deployed as it is");
    assert!(!outcome.stderr.contains("uploading"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_node_does_not_keep_a_cluster_from_going_down() {
    let cluster = cluster();
    cluster.kill(cluster.pid(Role::Node)).await;
    assert!(cluster.processes().len() >= 5, "the others live on");
    cluster.down().ok().prints("3 replicas stopped, nothing left");
    cluster.no_process_left().await;
    assert!(!cluster.directory.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_of_them_does_not_keep_a_cluster_from_going_down() {
    let cluster = cluster();
    let roles = [Role::Node, Role::Operator, Role::Gateway].map(|role| cluster.pid(role));
    for pid in roles.into_iter().chain(cluster.replicas().into_iter().map(|replica| replica.pid)) {
        process::kill(pid);
    }
    cluster.no_process_left().await;
    cluster.down().ok();
    assert!(!cluster.directory.exists());
}
