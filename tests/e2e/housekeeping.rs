//! What a cluster leaves behind (nothing), whom it disturbs (nobody), and what it gives away (no secret).

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use serde_json::json;
use testkit::{Cluster, Config, Cortex, Load, Role, project};

/// Every file below a directory; links are not followed.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn as_a_user_sees_it() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", "cluster_name: mine\nprovider: local\nlb_port: 0\noperator_port: 0\n");
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"
    exit code: 0
    --- stdout
    cluster mine is up ([SECONDS] s)

      apis       https://localhost:[PORT]
      operator   https://localhost:[PORT]
      ca sha256  [SHA256]

    next: cortex env configure local --cluster mine
    ");
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"
    exit code: 0
    --- stdout
    cluster mine was up already; nothing was changed ([SECONDS] s)

      apis       https://localhost:[PORT]
      operator   https://localhost:[PORT]
      ca sha256  [SHA256]

    next: cortex env configure local --cluster mine
    ");
    assert_snapshot!(cortex.run(&["env", "configure", "local"]).snapshot(), @"
    exit code: 0
    --- stdout
    environment local, the default: cluster mine, operator https://localhost:[PORT]
    ");
    assert_snapshot!(cortex.run(&["env", "list"]).snapshot(), @"
    exit code: 0
    --- stdout
        environment   cluster   operator
    *   local         mine      https://localhost:[PORT]
    ");
    assert_snapshot!(cortex.run(&["version"]).snapshot(), @"
    exit code: 0
    --- stdout
    cli       0.1.0
    cluster   0.1.0
    ");
    assert_snapshot!(cortex.run(&["cluster", "info"]).snapshot(), @"
    exit code: 0
    --- stdout
    cluster    mine (local)
    apis       https://localhost:[PORT]
    operator   https://localhost:[PORT]
    ca file    [ROOT]/h/clusters/mine/ca.pem
    ca sha256  [SHA256]
    directory  [ROOT]/h/clusters/mine
    node       running (process [PID])
    operator   running (process [PID])
    gateway    running (process [PID])

    configure: cortex env configure local --cluster mine
    ");
    assert_snapshot!(cortex.run(&["cluster", "down", "--yes"]).snapshot(), @"
    exit code: 0
    --- stdout
    cluster mine is gone: 0 replicas stopped, nothing left ([SECONDS] s)
    --- stderr
    environment local forgotten
    ");
    assert_snapshot!(cortex.run(&["env", "list"]).snapshot(), @"
    exit code: 0
    --- stdout
    no environment is configured; `cortex env configure local` makes one
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_went_down_leaves_nothing() {
    let cortex = Cortex::new();
    let cluster = Cluster::up_as(&cortex, Config::default());
    cluster.deploy(&project::python(&cortex, "echo", &project::echo("1"), &project::replicas(2)));
    // Libraries leave things behind, too; ONNX Runtime comes in by two doors.
    for example in ["digits", "digits-python"] {
        cluster.deploy(project::repository(&format!("examples/{example}/cortex.yaml")).to_str().expect("UTF-8"));
    }
    cluster.client().predict("/echo", &json!(1)).await;
    assert!(cluster.processes().len() >= 3 + 4, "node, operator, gateway and replicas");

    let outcome = cluster.down().ok();
    outcome.says("environment e2e forgotten").prints("cluster e2e is gone: 4 replicas stopped, nothing left");
    cluster.no_process_left().await;
    assert!(!cluster.directory.exists(), "{:?}", files(&cluster.directory));
    // The list of environments stays, and has nothing in it.
    assert_eq!(files(&cortex.home()), [cortex.home().join("environments.json")]);
    let environments = cortex.run(&["env", "list", "-o", "json"]).ok();
    assert!(!environments.stdout.contains("e2e"), "{environments}");
    assert_eq!(files(&cortex.temporary()), Vec::<PathBuf>::new());
    cortex.run(&["cluster", "info"]).exits(5).says("there is no cluster on this machine");
    // The name is free, and so are the ports.
    cluster.up_again().ok().prints("is up (");
    cortex.run(&["cluster", "down", "--yes"]).ok().prints("0 replicas stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_do_not_disturb_one_another() {
    let cortex = Cortex::new();
    let [left, right] =
        ["left", "right"].map(|name| Cluster::up_as(&cortex, Config { name: name.to_owned(), ..Config::default() }));
    // Everything has the same name in both.
    for (cluster, version) in [(&left, "left"), (&right, "right")] {
        let file = project::python(&cortex, "echo", &project::echo(version), "");
        cluster.deploy(&file).says("creating echo");
    }
    let answer = |cluster: &Cluster| {
        let client = cluster.client();
        async move { client.predict("/echo", &json!(1)).await["version"].clone() }
    };
    assert_eq!((answer(&left).await, answer(&right).await), (json!("left"), json!("right")));

    // Neither key nor authority of one is any good with the other.
    let mut stranger = left.client();
    stranger.endpoint.clone_from(&right.api_endpoint);
    assert!(stranger.try_post("/echo", &json!(1)).await.is_err(), "another authority's certificate was accepted");
    let mut stranger = right.client();
    stranger.key.clone_from(&left.key);
    assert_eq!(stranger.post("/echo", &json!(1)).await.status, 401);

    cortex.run(&["cluster", "info"]).exits(5).says("there are several: left, right");
    let load = Load::gentle(&right.client(), "/echo", &json!(1));
    let (replicas, gateway) = (right.replicas(), right.pid(Role::Gateway));
    left.down().ok();
    left.no_process_left().await;
    load.more(20).await;
    load.stop().await.flawless();
    assert_eq!((right.replicas(), right.pid(Role::Gateway)), (replicas, gateway));
    right.run(&["get", "echo"]).ok();
    cortex.run(&["get", "--env", "left"]).exits(5).says("there is no environment `left`");
}

#[test]
fn free_ports_are_found_and_kept() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", "cluster_name: any\nprovider: local\nlb_port: 0\noperator_port: 0\n");
    let first = cortex.run(&["cluster", "up", "-o", "json"]).ok().json();
    let again = cortex.run(&["cluster", "up", "-o", "json"]).ok().json();
    assert_eq!((&first["changed"], &again["changed"]), (&json!(true), &json!(false)));
    for field in ["api_endpoint", "operator_endpoint", "ca_fingerprint_sha256"] {
        assert_eq!(first[field], again[field]);
    }
    assert_ne!(first["api_endpoint"], first["operator_endpoint"]);
    cortex.run(&["cluster", "down", "--yes"]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_where_it_should_not_be() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    let source = "class PythonPredictor:\n    def __init__(self, config):\n        print('hello')\n\n    \
                  def predict(self, payload):\n        raise ValueError(payload)\n";
    let secret_env = "    env:\n      PASSWORD: correct-horse\n";
    let file = project::python(cortex, "echo", source, secret_env);
    let mut seen = cluster.deploy(&file).to_string();
    cortex.write("body.json", "1");
    for arguments in [&["predict", "echo", "body.json"][..], &["get"], &["logs", "echo"], &["get", "echo"]] {
        seen += &cluster.run(arguments).to_string();
    }
    // Refusals are logged, what was presented is not.
    cluster.client().post("/echo", &json!(1)).await;
    cluster.client().post("/nobody", &json!(1)).await;
    for arguments in [&["cluster", "info"][..], &["cluster", "info", "-o", "json"], &["env", "list", "-o", "json"]] {
        seen += &cortex.run(arguments).ok().to_string();
    }
    seen += &cluster.up_again().ok().to_string();

    let token = fs::read_to_string(cluster.token_file()).expect("the token");
    let secrets = [("the API key", cluster.key.as_str()), ("the admin token", token.trim())];
    for (what, secret) in secrets {
        assert!(secret.len() > 40, "{what} is a real one");
        assert!(!seen.contains(secret), "{what} was printed");
        for pid in cluster.processes() {
            for file in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&text).contains(secret), "{what} is in the {file} of a process");
            }
        }
        // The token file holds the token, and the state holds the key: that is what they are for.
        let meant = [cluster.token_file(), cluster.directory.join("state")];
        let others = files(cortex.root()).into_iter().filter(|path| !meant.iter().any(|meant| path.starts_with(meant)));
        for path in others {
            let text = fs::read(&path).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains(secret), "{what} is in {}", path.display());
        }
    }
    for log in cluster.files("run").iter().filter(|name| name.ends_with(".log")) {
        let text = fs::read_to_string(cluster.directory.join("run").join(log)).expect("readable");
        assert!(!text.contains("correct-horse"), "a predictor's environment is in {log}");
    }
}

#[test]
fn files_are_their_owners() {
    let cluster = Cluster::up();
    cluster.deploy(&project::python(&cluster.cortex, "echo", &project::echo("1"), ""));
    assert_eq!(mode(&cluster.token_file()), 0o600);
    assert_eq!(mode(&cluster.directory.join("settings.json")), 0o600);
    assert_eq!(mode(&cluster.cortex.home().join("environments.json")), 0o600);
    for directory in ["", "run", "state", "scratch", "gateway"] {
        assert_eq!(mode(&cluster.directory.join(directory)), 0o700, "{directory}");
    }
    assert_eq!(mode(&cluster.cortex.home().join("clusters")), 0o700);
}

#[test]
fn a_data_directory_that_others_may_enter_gives_them_nothing() {
    let cortex = Cortex::new();
    let data_dir = cortex.root().join("data");
    fs::create_dir(&data_dir).expect("it can be made");
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let cluster = Cluster::up_as(&cortex, Config { data_dir: Some(data_dir.clone()), ..Config::default() });
    let file = project::python(&cortex, "echo", &project::echo("1"), "    env:\n      PASSWORD: correct-horse\n");
    cluster.deploy(&file);
    // Only what lies behind no closed directory can be seen by others.
    let mut pending = vec![data_dir];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("readable").flatten() {
            let (path, mode) = (entry.path(), mode(&entry.path()));
            if path.is_dir() && mode & 0o005 != 0 {
                pending.push(path);
            } else if path.is_file() && mode & 0o004 != 0 {
                let text = fs::read(&path).expect("readable");
                let text = String::from_utf8_lossy(&text);
                for secret in [cluster.key.as_str(), "correct-horse", "PRIVATE KEY"] {
                    assert!(!text.contains(secret), "others can read {secret} in {}", path.display());
                }
            }
        }
    }
}
