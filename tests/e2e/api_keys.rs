//! API keys as their administrator and their users see them, on a cluster that serves.

use std::{fs, path::Path};

use serde_json::{Value, json};
use state::{LocalState, State as _};
use testkit::{Answer, Cluster, Https, Load, Outcome, eventually, project};

/// Two APIs, `/echo` and `/rose`.
fn deploy_two(cluster: &Cluster) {
    for name in ["echo", "rose"] {
        cluster.deploy(&project::python(&cluster.cortex, name, &project::echo("1"), ""));
    }
}

/// The value that a command printed.
#[track_caller]
fn value(outcome: Outcome) -> String {
    let value = outcome.ok().stdout.trim().to_owned();
    assert!(value.starts_with("ctxapi_") && value.len() > 40, "not a value: {value}");
    value
}

fn with(cluster: &Cluster, key: &str) -> Https {
    let mut client = cluster.client();
    client.key = key.to_owned();
    client
}

async fn status(cluster: &Cluster, key: &str, path: &str) -> u16 {
    with(cluster, key).post(path, &json!(1)).await.status
}

async fn answers(cluster: &Cluster, key: &str, path: &str, wanted: u16) {
    eventually("the gateway knows of the change", async || match status(cluster, key, path).await {
        status if status == wanted => Ok(()),
        other => Err(format!("{path} answers {other}, not {wanted}")),
    })
    .await;
}

fn listed(cluster: &Cluster, name: &str) -> Value {
    let list = cluster.run(&["api-key", "list", "-o", "json"]).ok().json();
    let keys = list["keys"].as_array().expect("a list");
    keys.iter().find(|key| key["name"] == name).unwrap_or_else(|| panic!("no {name}: {list}")).clone()
}

/// All that an answer tells, but for what is different every time.
fn told(answer: &Answer) -> (u16, Vec<String>, Value) {
    let names = answer.headers.keys().map(ToString::to_string).collect();
    let mut body = answer.json();
    body.as_object_mut().expect("an object").remove("request_id").expect("it has one");
    (answer.status, names, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_side_by_side_each_with_its_own_scope() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let create = |more: &[&str]| value(cluster.run(&[&["api-key", "create"], more].concat()));
    let all = create(&["everybody"]);
    let some = create(&["front", "--api", "echo", "--description", "the front end"]);
    let monitor = create(&["watch", "--kind", "monitor"]);
    let admin = create(&["root", "--kind", "admin", "--expires", "90d"]);
    answers(&cluster, &admin, "/echo", 200).await;
    for (path, wanted) in [
        ("/echo", [200, 200, 200, 404, 200]),
        ("/rose", [200, 200, 404, 404, 200]),
        ("/nobody", [404, 404, 404, 404, 404]),
    ] {
        let mut statuses = [0; 5];
        for (status_of, key) in statuses.iter_mut().zip([&cluster.key, &all, &some, &monitor, &admin]) {
            *status_of = status(&cluster, key, path).await;
        }
        assert_eq!(statuses, wanted, "{path}");
    }
    let (rose, nobody) = {
        let client = with(&cluster, &some);
        (client.post("/rose", &json!(1)).await, client.post("/nobody", &json!(1)).await)
    };
    assert_eq!(told(&rose), told(&nobody));

    assert_eq!(value(cluster.run(&["api-key", "get", "front"])), some);
    assert_eq!(value(cluster.run(&["api-key", "get"])), cluster.key);
    assert_eq!(cluster.run(&["api-key", "get", "root", "-o", "json"]).ok().json()["api_key"], admin);
    cluster.cortex.write("one.json", "1");
    cluster.run(&["predict", "rose", "one.json"]).ok();
    eventually("the uses are known", async || match listed(&cluster, "front")["last_used_at"].is_string() {
        true => Ok(()),
        false => Err(listed(&cluster, "front").to_string()),
    })
    .await;
    let front = listed(&cluster, "front");
    assert_eq!((&front["apis"], &front["description"]), (&json!(["echo"]), &json!("the front end")));
    assert_eq!((&front["created_by"], &front["expired"]), (&json!("local-admin"), &json!(false)));
    for format in ["json", "pretty"] {
        let list = cluster.run(&["api-key", "list", "-o", format]).ok();
        list.clone().prints("front").prints("everybody").prints("default");
        for secret in [&cluster.key, &all, &some, &monitor, &admin] {
            assert!(!list.to_string().contains(&secret[..12]), "{list}");
        }
    }
}

#[test]
fn that_make_no_sense_are_refused_with_what_to_do() {
    let cluster = Cluster::up();
    value(cluster.run(&["api-key", "create", "ci"]));
    let before = cluster.run(&["api-key", "list", "-o", "json"]).ok().stdout;
    for (arguments, code, says) in [
        (&["create", "ci"][..], 7, "cortex api-key rotate ci"),
        (&["create", "C I"], 1, "lower-case letters"),
        (&["create", "x", "--api", "nobody"], 5, "cortex get"),
        (&["create", "x", "--expires", "soon"], 2, "90d"),
        (&["create", "x", "--expires", "0d"], 1, "in the future"),
        (&["create", "x", "--expires", "2001-01-01"], 1, "in the future"),
        (&["rotate", "ci", "--overlap", "1"], 2, "24h"),
        (&["rotate", "nobody"], 5, "cortex api-key list"),
        (&["revoke", "nobody"], 5, "cortex api-key list"),
        (&["get", "nobody"], 5, "cortex api-key list"),
    ] {
        let outcome = cluster.run(&[&["api-key"], arguments].concat()).exits(code).says(says);
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
    assert_eq!(cluster.run(&["api-key", "list", "-o", "json"]).ok().stdout, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn end_when_their_time_is_over() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let short = value(cluster.run(&["api-key", "create", "short", "--expires", "4s"]));
    answers(&cluster, &short, "/echo", 200).await;
    answers(&cluster, &short, "/echo", 401).await;
    assert_eq!(listed(&cluster, "short")["expired"], true);
    cluster.run(&["api-key", "rotate", "short"]).exits(1).says("--expires");
    let longer = value(cluster.run(&["api-key", "rotate", "short", "--expires", "2w"]));
    answers(&cluster, &longer, "/echo", 200).await;
    assert_eq!(status(&cluster, &short, "/echo").await, 401, "what has expired is not revived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotate_without_a_refused_request() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let first = value(cluster.run(&["api-key", "create", "ci", "--api", "echo"]));
    answers(&cluster, &first, "/echo", 200).await;
    let load = Load::gentle(&with(&cluster, &first), "/echo", &json!(1));
    load.more(20).await;
    let second = value(cluster.run(&["api-key", "rotate", "ci", "--overlap", "1h"]).says("works until"));
    assert_ne!(first, second);
    answers(&cluster, &second, "/echo", 200).await;
    assert_eq!(status(&cluster, &second, "/rose").await, 404, "the scope is the key's, not the value's");
    // The clients move one by one.
    let moved = Load::gentle(&with(&cluster, &second), "/echo", &json!(1));
    load.more(50).await;
    moved.more(50).await;
    load.stop().await.flawless();
    assert_eq!(value(cluster.run(&["api-key", "get", "ci"])), second);
    assert_eq!(listed(&cluster, "ci")["former"].as_array().map(Vec::len), Some(1));

    let third = value(cluster.run(&["api-key", "rotate", "ci", "--overlap", "3s"]));
    moved.more(5).await;
    moved.stop().await.flawless();
    answers(&cluster, &third, "/echo", 200).await;
    answers(&cluster, &first, "/echo", 401).await;
    answers(&cluster, &second, "/echo", 401).await;
    cluster.run(&["api-key", "rotate", "ci", "--overlap", "0s"]).ok().says("does not work any more");
    answers(&cluster, &third, "/echo", 401).await;
}

/// Waits for a file before it answers.
fn patient(file: &Path) -> String {
    format!(
        "import os, time\n\nclass PythonPredictor:\n    def __init__(self, config):\n        pass\n\n    \
         def predict(self, payload):\n        open({file:?} + '.begun', 'w').close()\n        \
         while payload == 'wait' and not os.path.exists({file:?}):\n            time.sleep(0.01)\n        return 'done'\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_end_within_seconds_and_requests_that_have_begun_do_not() {
    let cluster = Cluster::up();
    let (go, begun) = (cluster.cortex.root().join("go"), cluster.cortex.root().join("go.begun"));
    let more = "    threads_per_process: 4\n";
    cluster.deploy(&project::python(&cluster.cortex, "echo", &patient(&go), more));
    let key = value(cluster.run(&["api-key", "create", "ci"]));
    answers(&cluster, &key, "/echo", 200).await;
    fs::remove_file(&begun).expect("it was called");
    let client = with(&cluster, &key);
    let running = tokio::spawn(async move { client.post("/echo", &json!("wait")).await });
    eventually("the request has begun", async || if begun.exists() { Ok(()) } else { Err(String::new()) }).await;
    cluster.run(&["api-key", "revoke", "ci"]).ok().prints("ci is revoked");
    answers(&cluster, &key, "/echo", 401).await;
    assert!(!running.is_finished());
    fs::write(&go, "").expect("it can be written");
    let answer = running.await.expect("it does not panic");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"done"[..]));

    // The last one, too; and what is revoked is not made again by whatever comes later.
    cluster.run(&["api-key", "revoke", "default"]).ok().says("no key is left");
    answers(&cluster, &cluster.key, "/echo", 401).await;
    cluster.up_again().ok();
    assert_eq!(status(&cluster, &cluster.key, "/echo").await, 401);
    cluster.cortex.write("one.json", "1");
    cluster.run(&["predict", "echo", "one.json"]).exits(5).says("cortex api-key create");
    cluster.run(&["api-key", "get"]).exits(5).says("cortex api-key create");
    let new = value(cluster.run(&["api-key", "create", "new"]));
    answers(&cluster, &new, "/echo", 200).await;
    cluster.run(&["predict", "echo", "one.json"]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_nowhere_but_where_secrets_are_kept() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let first = value(cluster.run(&["api-key", "create", "ci", "--api", "echo"]));
    let second = value(cluster.run(&["api-key", "rotate", "ci"]));
    let gone = value(cluster.run(&["api-key", "create", "gone"]));
    answers(&cluster, &gone, "/echo", 200).await;
    cluster.run(&["api-key", "revoke", "gone"]).ok();
    answers(&cluster, &gone, "/echo", 401).await;
    for key in [&first, &second] {
        for path in ["/echo", "/rose"] {
            status(&cluster, key, path).await;
        }
    }
    cluster.run(&["api-key", "create", "ci"]).exits(7);

    let state_directory = cluster.directory.join("state");
    for secret in [&first, &second, &gone] {
        for pid in cluster.processes() {
            for file in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&text).contains(secret.as_str()), "a value is in a {file}");
            }
        }
        for path in files(cluster.cortex.root()) {
            let text = fs::read(&path).unwrap_or_default();
            let found = String::from_utf8_lossy(&text).contains(secret.as_str());
            assert!(!found || path.starts_with(&state_directory), "a value is in {}", path.display());
        }
    }
    let state = LocalState::open(&state_directory).await.expect("the State opens");
    let mut seen = Vec::new();
    for entry in state.list("").await.expect("list works") {
        let document = state.get(&entry.key).await.expect("get works");
        let text = document.map(|document| String::from_utf8_lossy(&document.bytes).into_owned()).unwrap_or_default();
        for (name, secret) in [("first", &first), ("second", &second), ("gone", &gone)] {
            if text.contains(secret.as_str()) {
                assert!(entry.key.starts_with("private/"), "a value is in {}", entry.key);
                seen.push(name);
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["first", "second"], "what is accepted is kept, what is not is gone");
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(kind) if kind.is_file() => all.push(entry.path()),
                _ => {}
            }
        }
    }
    all
}
