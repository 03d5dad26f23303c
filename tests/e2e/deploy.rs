//! What `deploy` does and what it leaves alone.

use insta::assert_snapshot;
use serde_json::json;
use testkit::{Cluster, Load, eventually, project};

fn endpoint(path: &str) -> String {
    format!("  networking:\n    endpoint: {path}\n")
}

#[test]
fn as_a_user_sees_it() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "echo", &project::echo("1"), "");
    let outcome = cluster.deploy(&file);
    assert_eq!(outcome.stdout, format!("echo is live at {}/echo\n", cluster.api_endpoint));
    outcome.says("uploading 1 file, 0.0 MB\ncreating echo\n");
    assert_snapshot!(cluster.cortex.run(&["get"]).snapshot(), @"
    exit code: 0
    --- stdout
    api    status   ready   updated   endpoint
    echo   live     1/1     [AGO]   https://localhost:[PORT]/echo
    ");
    assert_snapshot!(cluster.cortex.run(&["get", "echo"]).snapshot(), @"
    exit code: 0
    --- stdout
    api         echo
    status      live
    endpoint    https://localhost:[PORT]/echo
    predictor   predictor.py (python)
    replicas    1/1
    deployed    [AGO] by local-admin
    generation  1

    replica    phase   version   restarts
    [REPLICA]   ready   present   0
    ");
    assert_snapshot!(cluster.cortex.run(&["get", "echo", "-o", "json"]).snapshot(), @r#"
    exit code: 0
    --- stdout
    {
      "name": "echo",
      "status": "live",
      "message": "",
      "endpoint": "https://localhost:[PORT]/echo",
      "predictor": "python",
      "generation": 1,
      "replicas": {
        "wanted": 1,
        "ready": 1,
        "up_to_date": 1,
        "failed": 0
      },
      "updated_at": "[TIME]",
      "updated_by": "local-admin",
      "spec": {
        "name": "echo",
        "kind": "RealtimeAPI",
        "predictor": {
          "type": "python",
          "path": "predictor.py",
          "config": {},
          "env": {},
          "python_path": null,
          "processes_per_replica": 1,
          "threads_per_process": 1
        },
        "compute": {
          "cpu_millis": 200,
          "mem_bytes": null
        },
        "networking": {
          "endpoint": "/echo"
        },
        "autoscaling": {
          "min_replicas": 1,
          "max_replicas": 1
        },
        "update_strategy": {
          "max_surge": {
            "percent": 25
          },
          "max_unavailable": {
            "percent": 25
          }
        }
      },
      "bundle": "[SHA256]",
      "replicas_detail": [
        {
          "id": "[REPLICA]",
          "up_to_date": true,
          "phase": "ready",
          "message": "ready",
          "restarts": 0
        }
      ]
    }
    "#);
    cluster.cortex.write("body.json", "{\"a\": [1, 2]}");
    assert_snapshot!(cluster.cortex.run(&["predict", "echo", "body.json"]).snapshot(), @r#"
    exit code: 0
    --- stdout
    {"version":"1","echo":{"a":[1,2]}}
    "#);
    assert_snapshot!(cluster.cortex.run(&["delete", "echo"]).snapshot(), @"
    exit code: 0
    --- stdout
    deleted echo
    ");
    assert_snapshot!(cluster.cortex.run(&["get"]).snapshot(), @"
    exit code: 0
    --- stdout
    nothing is deployed; `cortex deploy cortex.yaml` deploys
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_changes_nothing() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "echo", &project::echo("1"), &project::replicas(2));
    cluster.deploy(&file);
    let (replicas, shown) = (cluster.settled("echo", 2).await, cluster.get("echo"));
    let outcome = cluster.deploy(&file);
    assert_snapshot!(outcome.snapshot(), @"
    exit code: 0
    --- stdout
    echo is live at https://localhost:[PORT]/echo
    --- stderr
    echo is deployed as it is
    ");
    let report = cluster.run(&["deploy", &file, "-o", "json"]).ok().json();
    assert_eq!((&report[0]["action"], &report[0]["generation"]), (&json!("unchanged"), &json!(1)), "{report:#}");
    assert_eq!(cluster.get("echo"), shown);
    assert_eq!(cluster.replicas_of("echo"), replicas);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_another_endpoint_moves_the_route_and_no_replica() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "echo", &project::echo("1"), &endpoint("/old"));
    cluster.deploy(&file);
    let replicas = cluster.settled("echo", 1).await;
    let client = cluster.client();
    client.predict("/old", &json!(1)).await;

    project::python(&cluster.cortex, "echo", &project::echo("1"), &endpoint("/new/place"));
    let outcome = cluster.deploy(&file).says("updating echo");
    assert_eq!(outcome.stdout, format!("echo is live at {}/new/place\n", cluster.api_endpoint));
    // `live at` is the truth at once.
    let (old, new) = (client.post("/old", &json!(1)).await, client.post("/new/place", &json!(1)).await);
    assert_eq!((old.status, new.status), (404, 200), "{old:?} {new:?}");
    assert_eq!(cluster.replicas_of("echo"), replicas, "the code is the same, so the replicas are");
    assert_eq!(cluster.get("echo")["generation"], 2);
}

#[test]
fn of_an_endpoint_that_is_taken_is_refused() {
    let cluster = Cluster::up();
    cluster.deploy(&project::python(&cluster.cortex, "first", &project::echo("1"), &endpoint("/shared")));
    let second = project::python(&cluster.cortex, "second", &project::echo("1"), &endpoint("/shared"));
    assert_snapshot!(cluster.run(&["deploy", &second]).snapshot(), @"
    exit code: 7
    --- stderr
    error: `second` and `first` both want the endpoint /shared: set `networking.endpoint` of one of them
    ");
    cluster.run(&["get", "second"]).exits(5);

    // Within one file it is found before anything is sent.
    let both = project::api("third", &endpoint("/new")) + &project::api("fourth", &endpoint("/new"));
    cluster.cortex.write("second/cortex.yaml", both);
    assert_snapshot!(cluster.run(&["deploy", &second]).snapshot(), @"
    exit code: 3
    --- stderr
    spec.duplicate_value

      × [1].networking.endpoint: `/new` is already the endpoint of the API in line 7
        ╭─[second/cortex.yaml:14:15]
     13 │   networking:
     14 │     endpoint: /new
        ·               ────
        ╰────
      help: give each API its own `networking.endpoint`

    second/cortex.yaml: 1 problem

    error: second/cortex.yaml has 1 problem; nothing was changed
    ");

    // Deploying an API in its own place is no conflict.
    cluster.deploy("first/cortex.yaml");
    // A name that is free again can be taken.
    cluster.run(&["delete", "first"]).ok();
    project::python(&cluster.cortex, "second", &project::echo("1"), &endpoint("/shared"));
    cluster.deploy(&second);
}

#[test]
fn uploads_a_bundle_once() {
    let cluster = Cluster::up();
    let file = project::python(&cluster.cortex, "echo", &project::echo("1"), "");
    cluster.deploy(&file).says("uploading");
    let bundles = cluster.files("state/blobs/bundles");
    assert_eq!(bundles.len(), 1);
    assert_eq!(cluster.get("echo")["bundle"], bundles[0].as_str());

    // The same files under another name, in another place, at another time.
    let twin = project::python(&cluster.cortex, "elsewhere/twin", &project::echo("1"), "");
    cluster.cortex.write("elsewhere/twin/cortex.yaml", project::api("twin", ""));
    let outcome = cluster.deploy(&twin);
    assert!(!outcome.stderr.contains("uploading"), "{outcome}");
    assert_eq!(cluster.files("state/blobs/bundles"), bundles);

    project::python(&cluster.cortex, "echo", &project::echo("2"), "");
    cluster.deploy(&file).says("uploading");
    // Back to the first version: it is still there.
    project::python(&cluster.cortex, "echo", &project::echo("1"), "");
    let outcome = cluster.deploy(&file).says("updating echo");
    assert!(!outcome.stderr.contains("uploading"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_takes_away_one_api_and_its_processes() {
    let cluster = Cluster::up();
    for name in ["stays", "goes"] {
        cluster.deploy(&project::python(&cluster.cortex, name, &project::echo(name), &project::replicas(2)));
    }
    let client = cluster.client();
    let load = Load::gentle(&client, "/stays", &json!(1));
    let staying = cluster.settled("stays", 2).await;
    cluster.run(&["delete", "goes"]).ok();
    cluster.settled("goes", 0).await;
    eventually("the route is gone", async || {
        let answer = client.post("/goes", &json!(1)).await;
        if answer.status == 404 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    eventually("the logs are gone", async || {
        let logs = cluster.files("logs");
        if logs == ["stays"] { Ok(()) } else { Err(format!("{logs:?}")) }
    })
    .await;
    cluster.run(&["get", "goes"]).exits(5);
    cluster.run(&["delete", "goes"]).exits(5);
    assert_eq!(cluster.replicas(), staying);
    load.stop().await.flawless();
}
