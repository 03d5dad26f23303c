//! Mistakes that people make: what they are told, all of it, and the exit code that scripts go by.

use std::net::TcpListener;

use insta::assert_snapshot;
use testkit::{Cluster, Cortex, project};

/// A `cluster.yaml` with everything wrong with it that can be wrong at once.
const WRONG_CLUSTER: &str = "\
cluster_name: My_Cluster
provider: local
lb_port: 70000
listen_adress: 127.0.0.1
host_names: [good.example.com, 'not a host']
data_dir: relative/path
";

const WRONG_APIS: &str = "\
- name: Iris_Classifier
  kind: RealtimeAPI
  predictor:
    type: onnx
    path: predictor.py
- name: second
  kind: BatchAPI
  predictor:
    type: tensorflow
    path: /abs/model
    model_path: s3://bucket/model
  autoscaling:
    min_replicas: 4
    max_replicas: 2
- name: third
  kind: RealtimeAPI
  networking:
    endpoint: no-slash
";

#[test]
fn cluster_yaml_that_is_not_there() {
    let cortex = Cortex::new();
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"");
}

#[test]
fn cluster_yaml_that_is_not_yaml() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", "cluster_name: [abc\nprovider: local\n");
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"");
}

#[test]
fn cluster_yaml_with_many_problems() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", WRONG_CLUSTER);
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"");
    assert!(!cortex.home().join("clusters").exists(), "something was made");
}

#[test]
fn aws_is_not_supported_yet() {
    let cortex = Cortex::new();
    let config = "cluster_name: abc\nprovider: aws\nregion: us-east-1\ninstance_type: m5.large\nmin_instances: 1\n\
                  max_instances: 2\n";
    cortex.write("cluster.yaml", config);
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["env", "configure", "aws"]).snapshot(), @"");
    assert!(!cortex.home().join("clusters").exists(), "something was made");
}

#[test]
fn port_in_use() {
    let cortex = Cortex::new();
    for (field, other) in [("lb_port", "operator_port"), ("operator_port", "lb_port")] {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        cortex.write("cluster.yaml", format!("provider: local\n{field}: {port}\n{other}: 0\n"));
        let outcome = cortex.run(&["cluster", "up"]).exits(7);
        if field == "lb_port" {
            assert_snapshot!(outcome.snapshot(), @"");
        } else {
            assert!(outcome.stderr.contains("set `operator_port` to another port"), "{outcome}");
        }
        drop(taken);
        // What is there now does no harm: the same command works once the port is free.
        cortex.run(&["cluster", "up"]).ok();
        cortex.run(&["cluster", "down", "--yes"]).ok();
    }
}

#[test]
fn no_environment() {
    let cortex = Cortex::new();
    assert_snapshot!(cortex.run(&["get"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["get", "--env", "nobody"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["env", "delete", "nobody"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["env", "configure", "local"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["cluster", "down", "--yes"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["cluster", "info", "--name", "nobody"]).snapshot(), @"");
}

#[test]
fn cortex_yaml_with_many_problems() {
    let cortex = Cortex::new();
    cortex.write("cortex.yaml", WRONG_APIS);
    // Found before anything else is looked for, a cluster for one.
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"");
    cortex.write("cortex.yaml", "- name: [iris\n");
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"");
}

#[test]
fn files_that_are_missing() {
    let cortex = Cortex::new();
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["deploy", "there/is/none.yaml"]).snapshot(), @"");
    cortex.write("iris/cortex.yaml", project::api("iris", "") + &project::api("lily", ""));
    assert_snapshot!(cortex.run(&["deploy", "iris/cortex.yaml"]).snapshot(), @"");
}

#[test]
fn a_home_directory_is_no_project() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "user", &project::echo("1"), "");
    let mut command = cluster.cortex.command(&["deploy", &file]);
    command.env("HOME", cluster.cortex.working_directory().join("user"));
    assert_snapshot!(cluster.cortex.run_command(command).snapshot(), @"");
    assert_eq!(cluster.run(&["get", "-o", "json"]).ok().json()["apis"], serde_json::json!([]));
}

#[test]
fn operator_that_does_not_answer() {
    let cluster = Cluster::up();
    let cortex = cluster.cortex.clone();
    // As from another machine: what stays behind when the cluster goes.
    cortex.write("ca.pem", &cluster.ca);
    cortex.write("token", std::fs::read(cluster.token_file()).expect("the token"));
    let endpoint = cluster.operator_endpoint.clone();
    cortex.run(&["env", "configure", "far", "-p", &endpoint, "--ca-file", "ca.pem", "--token-file", "token"]).ok();
    cortex.run(&["get", "--env", "far"]).ok().prints("nothing is deployed");
    cluster.down().ok();

    assert_snapshot!(cortex.run(&["get", "--env", "far"]).snapshot(), @"");
    let error = cortex.run(&["get", "--env", "far", "-o", "json"]).exits(6).error_json();
    assert_eq!(error["error"]["kind"], "operator.unreachable", "{error}");
    // A version can be told all the same.
    cortex.run(&["version", "--env", "far"]).ok().prints("cli ").says("cannot be reached");
}

#[test]
fn down_wants_to_be_sure() {
    let cluster = Cluster::up();
    assert_snapshot!(cluster.cortex.run(&["cluster", "down"]).snapshot(), @"");
    let outcome = cluster.cortex.run_with_input(&["cluster", "down"], "y\n").exits(10);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    cluster.run(&["get"]).ok();
}

#[test]
fn apis_that_are_not_there() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    cortex.write("one.json", "1");
    assert_snapshot!(cortex.run(&["get"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["delete", "nobody"]).snapshot(), @"");
    for arguments in [&["get", "nobody"][..], &["logs", "nobody"], &["predict", "nobody", "one.json"]] {
        cortex.run(arguments).exits(5).says("there is no API named `nobody`");
    }
}

#[test]
fn predict_wants_json() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    cortex.write("not.json", "{pixels: 1}");
    assert_snapshot!(cortex.run(&["predict", "nobody", "not.json"]).snapshot(), @"");
    assert_snapshot!(cortex.run(&["predict", "nobody", "none.json"]).snapshot(), @"");
    cortex.run_with_input(&["predict", "nobody", "-"], "").exits(3).says("is not JSON");
}

#[test]
fn errors_for_programs() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    let error = |arguments: &[&str], code: i32| {
        let outcome = cortex.run(arguments).exits(code);
        assert!(outcome.stdout.is_empty(), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        outcome.error_json()["error"].clone()
    };
    let missing = error(&["delete", "nobody", "-o", "json"], 5);
    assert_eq!(missing["kind"], "operator.api_not_found");
    assert!(missing["message"].as_str().is_some_and(|message| message.contains("`nobody`")), "{missing}");
    assert_eq!(error(&["get", "-o", "json", "--env", "nobody"], 5)["kind"], "cli.no_environment");
    assert_eq!(error(&["deploy", "-o", "json"], 5)["kind"], "deploy.no_file");
    assert_eq!(error(&["cluster", "down", "-o", "json"], 10)["kind"], "cli.confirmation_needed");

    cortex.write("cortex.yaml", WRONG_APIS);
    let invalid = error(&["deploy", "-o", "json"], 3);
    assert_eq!(invalid["kind"], "cli.invalid_config");
    let problems = invalid["problems"].as_array().expect("problems");
    assert!(problems.len() >= 6, "{problems:#?}");
    for problem in problems {
        assert!(problem["line"].as_u64().is_some_and(|line| line > 0), "{problem}");
        assert!(problem["column"].as_u64().is_some_and(|column| column > 0), "{problem}");
        assert!(problem["kind"].as_str().is_some_and(|kind| kind.starts_with("spec.")), "{problem}");
    }
}

#[test]
fn command_lines_that_make_no_sense() {
    let cortex = Cortex::new();
    cortex.run(&[]).exits(2);
    cortex.run(&["deplyo"]).exits(2).says("deploy");
    cortex.run(&["predict"]).exits(2).says("<API>");
    cortex.run(&["get", "--output", "xml"]).exits(2).says("pretty, json");
}
