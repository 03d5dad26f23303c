//! `kill -9` on control nodes, and the loss of machines.

use serde_json::{Value, json};
use testkit::{Answer, Load, Version, emulator::Mode, eventually, process, project};

use super::ground::{Account, PUBLIC};

fn cluster() -> Account {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    let project = project::python(&account.cortex, "echo", &project::echo("one"), &project::replicas(2));
    account.run(&["deploy", &project]).ok().prints("echo is live");
    account
}

/// The processes of the one control node, by what they are.
pub fn pid(account: &Account, role: &str) -> Option<u32> {
    let node = account.nodes().control().pop()?;
    let status = std::fs::read(node.directory.join(format!("var/lib/cortex/run/{role}.json"))).ok()?;
    let status: Value = serde_json::from_slice(&status).ok()?;
    let pid = u32::try_from(status["pid"].as_u64()?).ok()?;
    process::is_alive(pid).then_some(pid)
}

/// Of all workers.
fn tasks(account: &Account) -> Vec<String> {
    let workers = account.nodes().workers();
    let mut tasks: Vec<String> = workers
        .iter()
        .flat_map(|node| &node.tasks)
        .filter(|task| task.state == "RUNNING")
        .map(|task| task.arn.clone())
        .collect();
    tasks.sort();
    tasks
}

async fn is_back(account: &Account, role: &str, before: u32) {
    eventually(&format!("another {role} is there"), async || match pid(account, role) {
        Some(now) if now != before => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    eventually("the operator answers", async || {
        let outcome = account.run(&["get", "-o", "json"]);
        let ready = outcome.code == 0 && outcome.json()["apis"][0]["replicas"]["ready"] == json!(2);
        if ready { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
}

/// A prediction, asked of port 80.
async fn without_tls(account: &Account, key: Option<&str>) -> Result<Answer, String> {
    let endpoint = account.reached("80").replace("https://localhost", "http://127.0.0.1");
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = client.build().map_err(|error| error.to_string())?;
    let request = client.post(format!("{endpoint}/echo")).body("\"hello\"");
    Answer::of(key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_control_nodes_processes_nothing_is_lost_and_nothing_there_twice() {
    let account = cluster();
    let before = tasks(&account);
    assert_eq!(before.len(), 2);
    let client = account.client(Version::Http1);
    let load = Load::gentle(&client, "/echo", &json!("hello"));
    let services = account.emulator.inventory().count("service");

    let operator = pid(&account, "operator").expect("it runs");
    process::kill(operator);
    is_back(&account, "operator", operator).await;
    load.more(20).await;
    load.stop().await.flawless();

    let gateway = pid(&account, "gateway").expect("it runs");
    process::kill(gateway);
    is_back(&account, "gateway", gateway).await;
    // What a control node reads when it starts the next time.
    account.configure(&format!("{PUBLIC}api_http: true\n"));
    account.up().ok();
    let redirected = without_tls(&account, Some(&client.key)).await.expect("an answer");
    assert_eq!(redirected.status, 308, "{redirected:?}");
    let node = pid(&account, "node").expect("it runs");
    process::kill(node);
    is_back(&account, "node", node).await;

    eventually("predictions go on", async || match client.try_post("/echo", &json!("hello")).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let served = eventually("port 80 serves, too", async || match without_tls(&account, Some(&client.key)).await {
        Ok(answer) if answer.status == 200 => Ok(answer.json()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(served["echo"], "hello");
    let refused = without_tls(&account, None).await.expect("an answer");
    assert_eq!((refused.status, &refused.json()["kind"]), (401, &json!("unauthenticated")), "{refused:?}");
    assert_eq!(tasks(&account), before, "the same tasks go on");
    assert_eq!(account.emulator.inventory().count("service"), services);
    // What is deployed can be changed as ever.
    let project = project::python(&account.cortex, "echo", &project::echo("two"), &project::replicas(2));
    account.run(&["deploy", &project]).ok().prints("echo is live");
    let answer = client.predict("/echo", &json!("hello")).await;
    assert!(answer.to_string().contains("two"), "{answer}");
}

/// An update under load loses no request: new tasks first, then the old ones are drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_loses_no_request() {
    let account = cluster();
    let client = account.client(Version::Http1);
    let load = Load::gentle(&client, "/echo", &json!("hello"));
    let before = tasks(&account);
    let project = project::python(&account.cortex, "echo", &project::echo("two"), &project::replicas(2));
    account.run(&["deploy", &project]).ok().prints("echo is live");
    load.more(20).await;
    eventually("the old tasks are gone", async || {
        let now = tasks(&account);
        if now.len() == 2 && now.iter().all(|task| !before.contains(task)) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    load.more(20).await;
    let tally = load.stop().await;
    tally.clone().flawless();
    assert!(tally.last.contains("two"), "{tally:?}");

    account.run(&["delete", "echo"]).ok();
    eventually("no task is left", async || {
        let left = (tasks(&account).len(), account.emulator.inventory().count("service"));
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

const TWO_OF_EACH: &str = "
cluster_name: demo
region: us-east-1
control_plane: {instances: 2}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 2, max_instances: 3}
";

/// As the console does it.
fn terminate(account: &Account, instance: &str) {
    let admin = &account.emulator.admin;
    let output = std::process::Command::new("curl")
        .args(["-s", "-f", "--aws-sigv4", "aws:amz:us-east-1:ec2"])
        .args(["-u", &format!("{}:{}", admin.access_key_id, admin.secret_access_key)])
        .args(["-d", &format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={instance}")])
        .arg(&account.emulator.endpoint)
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_machine_is_made_up_for() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(TWO_OF_EACH);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    let project = project::python(&account.cortex, "echo", &project::echo("one"), &project::replicas(2));
    account.run(&["deploy", &project]).ok().prints("echo is live");
    let client = account.client(Version::Http1);

    // Of the two operators one holds the lease; whichever is lost, the other one goes on.
    for node in account.nodes().control() {
        terminate(&account, &node.instance);
        eventually("two control nodes again, and predictions", async || {
            let control = account.nodes().control();
            let replaced = control.len() == 2 && control.iter().all(|other| other.instance != node.instance);
            let answer = client.try_post("/echo", &json!("hello")).await;
            let answers = matches!(&answer, Ok(answer) if answer.status == 200);
            if replaced && answers { Ok(()) } else { Err(format!("{control:?} {answer:?}")) }
        })
        .await;
    }
    eventually("the operators answer", async || {
        let outcome = account.run(&["get"]);
        if outcome.code == 0 { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;

    let workers = account.nodes().workers();
    let lost = workers.iter().find(|node| !node.tasks.is_empty()).expect("a worker has a task");
    terminate(&account, &lost.instance);
    eventually("both replicas are ready on what is left and what is new", async || {
        let outcome = account.run(&["get", "-o", "json"]);
        let workers = account.nodes().workers();
        let elsewhere = workers.iter().all(|node| node.instance != lost.instance);
        let ready = outcome.code == 0 && outcome.json()["apis"][0]["replicas"]["ready"] == json!(2);
        let running = tasks(&account).len() == 2;
        if elsewhere && ready && running { Ok(()) } else { Err(format!("{outcome} {workers:?}")) }
    })
    .await;
    client.predict("/echo", &json!("hello")).await;
    account.down().ok().prints("nothing left");
}
