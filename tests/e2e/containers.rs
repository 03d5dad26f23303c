//! A server of the user's own as an API: deployed, killed, updated, removed.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Cluster, Load, Version, eventually, process};

/// Slow to begin and slow to answer, so that an update in a hurry would show.
fn source(version: u32) -> String {
    format!(
        r#"
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({{}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(0.02)
        self.answer({{"version": {version}, "pid": os.getpid(), "path": self.path, "got": body}})

    def answer(self, told):
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

print("the server of version {version}", flush=True)
time.sleep(0.2)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#
    )
}

fn write(cluster: &Cluster, version: u32, more: &str) -> String {
    cluster.cortex.write("own/server.py", source(version));
    let text = format!(
        "- name: own\n  kind: RealtimeAPI\n  container:\n    command: [python3, server.py]\n    readiness_path: /up\n{more}  \
         autoscaling: {{min_replicas: 2, max_replicas: 2}}\n"
    );
    cluster.cortex.write("own/cortex.yaml", text);
    "own/cortex.yaml".to_owned()
}

fn pid(answer: &Value) -> u32 {
    answer["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lives_dies_is_updated_and_goes() {
    let cluster = Cluster::up();
    cluster.run(&["deploy", &write(&cluster, 1, "    image: me/own:1\n")]).exits(1).says("runs on one machine");
    let file = write(&cluster, 1, "");
    cluster.deploy(&file);
    let client = cluster.client();
    let first = client.predict("/own/v1/x?y=z", &json!([1])).await;
    assert_eq!((&first["version"], &first["path"], &first["got"]), (&json!(1), &json!("/v1/x?y=z"), &json!([1])));
    cluster.run(&["get", "own"]).ok().prints("container   python3 server.py");
    cluster.run(&["logs", "own"]).ok().prints("the server of version 1");

    cluster.kill(pid(&first)).await;
    let mut seen = std::collections::BTreeSet::new();
    eventually("both servers answer again", async || {
        seen.insert(pid(&client.predict("/own", &json!(0)).await));
        if seen.len() == 2 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    assert!(!seen.contains(&pid(&first)), "{seen:?}");

    let clients = [Version::Http1, Version::Http2].map(|version| cluster.client_of(version));
    let load = Load::start(&clients, "/own", &json!({ "x": 1 }), 16, Duration::ZERO);
    load.more(32).await;
    write(&cluster, 2, "");
    cluster.deploy(&file);
    load.more(64).await;
    load.stop().await.flawless();
    let last = client.predict("/own", &json!(0)).await;
    assert_eq!(last["version"], 2);
    cluster.run(&["delete", "own"]).ok();
    eventually(
        "the servers are gone",
        async || {
            if process::is_alive(pid(&last)) { Err("one runs".to_owned()) } else { Ok(()) }
        },
    )
    .await;
}
