//! Programs written for Predictive Services: the clients that were published for them, against a cluster of today.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Cluster, interpreter, project};

/// Answers with what it got, its method included.
const ECHO: &str = r#"class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        assert "authorization" not in headers, headers
        return {"payload": payload, "method": headers.get("x-cortex-method")}
"#;

const RAISES: &str = r#"class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        raise ValueError("no")
"#;

#[test]
fn get_their_answers() {
    let cluster = Cluster::up();
    for (name, source) in [("echo", ECHO), ("raises", RAISES)] {
        cluster.deploy(&project::python(&cluster.cortex, name, source, ""));
    }
    // The reply tells which deploy answers.
    cluster.cortex.write("echo/predictor.py", format!("{ECHO}\n# changed\n"));
    cluster.deploy("echo/cortex.yaml");
    let seen = run_clients(&cluster);
    for (client, more) in [("graphlab", None), ("psquery", Some(("positional", json!([1, [2]]), Value::Null)))] {
        let seen = &seen[client];
        let function = json!({ "a": 1, "name": "María" });
        let method = json!({ "dataset": [{ "x": 1.5 }] });
        let calls = [("function", function, Value::Null), ("method", method, json!("predict"))];
        for (call, payload, method) in calls.into_iter().chain(more) {
            let reply = &seen[call];
            let wanted = json!({ "payload": payload, "method": method });
            assert_eq!((&reply["response"], &reply["version"]), (&wanted, &json!(2)), "{client} {call}: {seen:#}");
            assert_eq!((&reply["model"], &reply["from_cache"]), (&json!("echo"), &json!(false)), "{client} {call}");
            assert!(reply["uuid"].is_string(), "{client} {call}: {reply}");
        }
        let raised = |call: &str, class: &str, words: &[&str]| {
            assert_eq!(seen[call]["raised"], class, "{client} {call}: {seen:#}");
            let text = seen[call]["text"].as_str().expect("its text");
            assert!(words.iter().all(|word| text.contains(word)), "{client} {call}: {text}");
        };
        raised("raises", "RuntimeError", &["400", "QueryFailed", "raised ValueError"]);
        raised("nobody", "NonExistError", &["no%20such%20model"]);
        raised("wrong key", "RuntimeError", &["401", "unauthenticated"]);
    }
    // One raises what it was answered, the other returns it.
    assert_eq!(seen["psquery"]["feedback"]["raised"], "RuntimeError", "{seen:#}");
    assert_eq!(seen["graphlab"]["feedback"]["status"], 501, "{seen:#}");
    assert_eq!(seen["graphlab"]["feedback"]["json"]["kind"], "feedback_not_kept");
}

/// Over HTTPS, with the cluster's authority and no other.
fn run_clients(cluster: &Cluster) -> Value {
    let directory = cluster.cortex.temporary().join("old-clients");
    let authority = directory.join("ca.pem");
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&authority, &cluster.ca))
        .expect("it is the test's own");
    let output = Command::new(interpreter())
        .arg(project::repository("tests/python/old_clients.py"))
        .arg(&directory)
        .args([&cluster.api_endpoint, &cluster.key])
        .env("REQUESTS_CA_BUNDLE", &authority)
        .env("NO_PROXY", "*")
        .output()
        .expect("the interpreter starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
