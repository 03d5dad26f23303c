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
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no file cluster.yaml
    hint: name the configuration with -c; cluster.yaml.example shows every field
    ");
}

#[test]
fn cluster_yaml_that_is_not_yaml() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", "cluster_name: [abc\nprovider: local\n");
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"
    exit code: 3
    --- stderr
    clusterconfig.syntax_error

      × not valid YAML: illegal placement of ':' indicator
       ╭─[cluster.yaml:2:9]
     1 │ cluster_name: [abc
     2 │ provider: local
       ·         ─
       ╰────

    cluster.yaml: 1 problem

    error: cluster.yaml has 1 problem; nothing was changed
    ");
}

#[test]
fn cluster_yaml_with_many_problems() {
    let cortex = Cortex::new();
    cortex.write("cluster.yaml", WRONG_CLUSTER);
    assert_snapshot!(cortex.run(&["cluster", "up"]).snapshot(), @"
    exit code: 3
    --- stderr
    clusterconfig.invalid_value

      × cluster_name: `My_Cluster` is not a name for a cluster
       ╭─[cluster.yaml:1:15]
     1 │ cluster_name: My_Cluster
       ·               ──────────
     2 │ provider: local
       ╰────
      help: use lower-case letters, digits and single dashes between them

    clusterconfig.out_of_range

      × lb_port: 70000 is out of range: it must be from 0 to 65535
       ╭─[cluster.yaml:3:10]
     2 │ provider: local
     3 │ lb_port: 70000
       ·          ─────
     4 │ listen_adress: 127.0.0.1
       ╰────

    clusterconfig.unknown_field

      × listen_adress: there is no such field
       ╭─[cluster.yaml:4:1]
     3 │ lb_port: 70000
     4 │ listen_adress: 127.0.0.1
       · ─────────────
     5 │ host_names: [good.example.com, 'not a host']
       ╰────
      help: did you mean `listen_address`?

    clusterconfig.invalid_value

      × host_names[1]: `not a host` is neither a host name nor an IP address
       ╭─[cluster.yaml:5:32]
     4 │ listen_adress: 127.0.0.1
     5 │ host_names: [good.example.com, 'not a host']
       ·                                ────────────
     6 │ data_dir: relative/path
       ╰────
      help: write only the name, without `https://`, port or path

    clusterconfig.invalid_value

      × data_dir: `relative/path` is not an absolute path
       ╭─[cluster.yaml:6:11]
     5 │ host_names: [good.example.com, 'not a host']
     6 │ data_dir: relative/path
       ·           ─────────────
       ╰────
      help: begin it with `/`

    cluster.yaml: 5 problems

    error: cluster.yaml has 5 problems; nothing was changed
    ");
    assert!(!cortex.home().join("clusters").exists(), "something was made");
}

#[test]
fn an_environment_on_aws_has_to_say_where_its_operator_is() {
    let cortex = Cortex::new();
    assert_snapshot!(cortex.run(&["env", "configure", "aws"]).snapshot(), @"
    exit code: 3
    --- stderr
    error: where the cluster's operator is has to be said
    hint: `cortex cluster info -c cluster.yaml` prints the whole command
    ");
    for endpoint in ["http://localhost:8888", "localhost:8888", "https://", "https://localhost:8888/path"] {
        let outcome =
            cortex.run(&["env", "configure", "aws", "--operator-endpoint", endpoint, "--region", "us-east-1"]);
        outcome.exits(3).says("is not https://HOST[:PORT]");
    }
    cortex.run(&["env", "list", "-o", "json"]).ok().prints("\"environments\": {}");
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
            assert_snapshot!(outcome.snapshot(), @"
            exit code: 7
            --- stderr
            error: the address 127.0.0.1:[PORT] cannot be used: Address already in use (os error 98)
            hint: another program listens there: stop it, or set `lb_port` to another port (0 takes any free one)
            ");
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
    assert_snapshot!(cortex.run(&["get"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: no environment is configured
    hint: `cortex env configure local` sets one up for a cluster on this machine
    ");
    assert_snapshot!(cortex.run(&["get", "--env", "nobody"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no environment `nobody`
    hint: `cortex env list` shows them; `cortex env configure nobody` makes this one
    ");
    assert_snapshot!(cortex.run(&["env", "delete", "nobody"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no environment `nobody`
    hint: `cortex env list` shows them; `cortex env configure nobody` makes this one
    ");
    assert_snapshot!(cortex.run(&["env", "configure", "local"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no cluster on this machine
    hint: `cortex cluster up -c cluster.yaml` makes one
    ");
    assert_snapshot!(cortex.run(&["cluster", "down", "--yes"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no cluster on this machine
    hint: a cluster on AWS is named by --name and --region, or by its file with --config
    ");
    assert_snapshot!(cortex.run(&["cluster", "info", "--name", "nobody"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no cluster `nobody` on this machine
    hint: a cluster on AWS is named by --name and --region, or by its file with --config
    ");
}

#[test]
fn cortex_yaml_with_many_problems() {
    let cortex = Cortex::new();
    cortex.write("cortex.yaml", WRONG_APIS);
    // Found before anything else is looked for, a cluster for one.
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"
    exit code: 3
    --- stderr
    spec.invalid_value

      × [0].name: `Iris_Classifier` is not a name for an API
       ╭─[cortex.yaml:1:9]
     1 │ - name: Iris_Classifier
       ·         ───────────────
     2 │   kind: RealtimeAPI
       ╰────
      help: use lower-case letters, digits and dashes; begin with a letter and do not end with a dash

    spec.conflicting_fields

      × [0].predictor.path: `predictor.py` is a Python file, and `type: onnx` serves a model
       ╭─[cortex.yaml:5:11]
     4 │     type: onnx
     5 │     path: predictor.py
       ·           ────────────
     6 │ - name: second
       ╰────
      help: name the .onnx file, or use `type: python` for a predictor class

    spec.not_supported_yet

      × [1].kind: `BatchAPI` is not supported yet
       ╭─[cortex.yaml:7:9]
     6 │ - name: second
     7 │   kind: BatchAPI
       ·         ────────
     8 │   predictor:
       ╰────
      help: only `kind: RealtimeAPI` is served

    spec.not_supported_yet

      × [1].predictor.type: `tensorflow` is not supported yet
        ╭─[cortex.yaml:9:11]
      8 │   predictor:
      9 │     type: tensorflow
        ·           ──────────
     10 │     path: /abs/model
        ╰────
      help: export the model to ONNX and use `type: onnx`

    spec.invalid_value

      × [1].predictor.path: `/abs/model` is not relative to the project
        ╭─[cortex.yaml:10:11]
      9 │     type: tensorflow
     10 │     path: /abs/model
        ·           ──────────
     11 │     model_path: s3://bucket/model
        ╰────
      help: write it relative to the directory of cortex.yaml, with `/` between the parts

    spec.not_supported_yet

      × [1].predictor.model_path: not supported yet
        ╭─[cortex.yaml:11:5]
     10 │     path: /abs/model
     11 │     model_path: s3://bucket/model
        ·     ──────────
     12 │   autoscaling:
        ╰────
      help: use `path`, with a file of the project

    spec.conflicting_fields

      × [1].autoscaling.max_replicas: `max_replicas` is 2, less than `min_replicas`, 4
        ╭─[cortex.yaml:14:19]
     13 │     min_replicas: 4
     14 │     max_replicas: 2
        ·                   ─
     15 │ - name: third
        ╰────

    spec.required_field

      × [2]: `predictor` is required
        ╭─[cortex.yaml:15:3]
     14 │     max_replicas: 2
     15 │ - name: third
        ·   ─
     16 │   kind: RealtimeAPI
        ╰────
      help: say what answers requests: `type` and `path`; or run a server of your own with `container`

    spec.invalid_value

      × [2].networking.endpoint: `no-slash` does not begin with `/`
        ╭─[cortex.yaml:18:15]
     17 │   networking:
     18 │     endpoint: no-slash
        ·               ────────
        ╰────
      help: write `/no-slash`

    cortex.yaml: 9 problems

    error: cortex.yaml has 9 problems; nothing was changed
    ");
    cortex.write("cortex.yaml", "- name: [iris\n");
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"
    exit code: 3
    --- stderr
    spec.syntax_error

      × not valid YAML: unclosed bracket '['
       ╭─[cortex.yaml:1:9]
     1 │ - name: [iris
       ·         ─
       ╰────

    cortex.yaml: 1 problem

    error: cortex.yaml has 1 problem; nothing was changed
    ");
}

#[test]
fn files_that_are_missing() {
    let cortex = Cortex::new();
    assert_snapshot!(cortex.run(&["deploy"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no file cortex.yaml
    hint: name the configuration: `cortex deploy path/to/cortex.yaml`
    ");
    assert_snapshot!(cortex.run(&["deploy", "there/is/none.yaml"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no file there/is/none.yaml
    hint: name the configuration: `cortex deploy path/to/cortex.yaml`
    ");
    cortex.write("iris/cortex.yaml", project::api("iris", "") + &project::api("lily", ""));
    assert_snapshot!(cortex.run(&["deploy", "iris/cortex.yaml"]).snapshot(), @"
    exit code: 3
    --- stderr
    error: files that iris/cortex.yaml names are not there: `iris` wants predictor.py, `lily` wants predictor.py
    hint: `predictor.path` is relative to iris
    ");
}

#[test]
fn a_home_directory_is_no_project() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "user", &project::echo("1"), "");
    let mut command = cluster.cortex.command(&["deploy", &file]);
    command.env("HOME", cluster.cortex.working_directory().join("user"));
    assert_snapshot!(cluster.cortex.run_command(command).snapshot(), @"
    exit code: 3
    --- stderr
    error: the project directory is [ROOT]/p/user, all of which would be uploaded
    hint: put cortex.yaml and the files it needs into a directory of their own
    ");
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

    assert_snapshot!(cortex.run(&["get", "--env", "far"]).snapshot(), @"
    exit code: 6
    --- stderr
    error: the operator at https://localhost:[PORT] cannot be reached: Connection refused (os error 111)
    hint: is the cluster up? `cortex cluster info` tells, `cortex cluster up` starts it; is the environment current? `cortex env list` shows it, `cortex env configure` renews it
    ");
    let error = cortex.run(&["get", "--env", "far", "-o", "json"]).exits(6).error_json();
    assert_eq!(error["error"]["kind"], "operator.unreachable", "{error}");
    // A version can be told all the same.
    cortex.run(&["version", "--env", "far"]).ok().prints("cli ").says("cannot be reached");
}

#[test]
fn down_wants_to_be_sure() {
    let cluster = Cluster::up();
    assert_snapshot!(cluster.cortex.run(&["cluster", "down"]).snapshot(), @"
    exit code: 10
    --- stderr
    error: this ends the cluster `e2e` and deletes [ROOT]/h/clusters/e2e with everything deployed in it: nobody can be asked
    hint: --yes answers beforehand
    ");
    let outcome = cluster.cortex.run_with_input(&["cluster", "down"], "y\n").exits(10);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    cluster.run(&["get"]).ok();
}

#[test]
fn apis_that_are_not_there() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    cortex.write("one.json", "1");
    assert_snapshot!(cortex.run(&["get"]).snapshot(), @"
    exit code: 0
    --- stdout
    nothing is deployed; `cortex deploy cortex.yaml` deploys
    ");
    assert_snapshot!(cortex.run(&["delete", "nobody"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no API named `nobody`; `cortex get` lists what is deployed
    ");
    for arguments in [&["get", "nobody"][..], &["logs", "nobody"], &["predict", "nobody", "one.json"]] {
        cortex.run(arguments).exits(5).says("there is no API named `nobody`");
    }
}

#[test]
fn predict_wants_json() {
    let cluster = Cluster::up();
    let cortex = &cluster.cortex;
    cortex.write("not.json", "{pixels: 1}");
    assert_snapshot!(cortex.run(&["predict", "nobody", "not.json"]).snapshot(), @"
    exit code: 3
    --- stderr
    error: not.json is not JSON: key must be a string at line 1 column 2
    ");
    assert_snapshot!(cortex.run(&["predict", "nobody", "none.json"]).snapshot(), @"
    exit code: 5
    --- stderr
    error: there is no file none.json
    hint: name a file with the request's body, or `-` for standard input
    ");
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
