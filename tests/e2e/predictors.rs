//! Predictors that do not work: each says why in `deploy`, `get` and `logs`, nobody else notices, and a mended version goes
//! live.

use serde_json::{Value, json};
use testkit::{Cluster, Load, Outcome, eventually, project};

/// A cluster with an API under load that has nothing to do with what goes wrong.
struct Ward {
    cluster: Cluster,
    neighbour: Load,
}

impl Ward {
    fn open() -> Self {
        let cluster = Cluster::up();
        let file = project::python(&cluster.cortex, "neighbour", &project::echo("1"), "");
        cluster.deploy(&file);
        let neighbour = Load::gentle(&cluster.client(), "/neighbour", &json!("hello"));
        Self { cluster, neighbour }
    }

    /// Deploys something that does not get ready, and checks that all commands tell why.
    async fn sick(&self, file: &str, api: &str, why: &str) -> Outcome {
        let outcome = self.cluster.run(&["deploy", file]).exits(8).says(why).prints(why);
        let shown = self.cluster.get(api);
        assert!(shown["message"].as_str().is_some_and(|message| message.contains(why)), "{shown:#}");
        self.cluster.run(&["get"]).ok().prints(why);
        self.cluster.run(&["get", api]).ok().prints(why);
        self.cluster.run(&["logs", api]).ok().prints(why);
        outcome
    }

    async fn mended(&self, file: &str, api: &str) {
        self.cluster.deploy(file);
        let answer = self.cluster.client().predict(&format!("/{api}"), &json!([1, 2])).await;
        assert_eq!(answer, json!({ "version": "mended", "echo": [1, 2] }));
        let shown = self.cluster.get(api);
        assert_eq!((&shown["status"], &shown["message"]), (&json!("live"), &json!("")), "{shown:#}");
    }

    async fn close(self) {
        self.neighbour.more(8).await;
        self.neighbour.stop().await.flawless();
    }
}

/// The whole course of an API that never worked: sick, and then mended.
async fn never_worked(source: &str, why: &str) {
    let ward = Ward::open();
    let file = project::python(&ward.cluster.cortex, "sick", source, "");
    ward.sick(&file, "sick", why).await;
    assert_eq!(ward.cluster.get("sick")["status"], "failed");
    let answer = ward.cluster.client().post("/sick", &json!(1)).await;
    assert_eq!((answer.status, &answer.json()["kind"]), (503, &json!("api_not_ready")), "{answer:?}");
    project::python(&ward.cluster.cortex, "sick", &project::echo("mended"), "");
    ward.mended(&file, "sick").await;
    ward.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raises_at_import() {
    let source = "import a_package_that_is_not_there\n\nclass PythonPredictor:\n    pass\n";
    never_worked(source, "ModuleNotFoundError: No module named 'a_package_that_is_not_there'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_no_python() {
    never_worked("class PythonPredictor\n", "SyntaxError").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raises_in_init() {
    let source = "class PythonPredictor:\n    def __init__(self, config):\n        raise ValueError('no weights')\n\n    \
                  def predict(self, payload):\n        return payload\n";
    never_worked(source, "__init__ raised ValueError: no weights").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn has_no_class() {
    never_worked("class Predictor:\n    pass\n", "PythonPredictor").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dies_in_init() {
    let source = "import os\n\nclass PythonPredictor:\n    def __init__(self, config):\n        os._exit(3)\n\n    \
                  def predict(self, payload):\n        return payload\n";
    never_worked(source, "ended (exit status: 3)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requirement_does_not_install() {
    let ward = Ward::open();
    // Nothing is asked of the network.
    let offline = "    env:\n      PIP_NO_INDEX: '1'\n";
    let file = project::python(&ward.cluster.cortex, "sick", &project::echo("1"), offline);
    ward.cluster.cortex.write("sick/requirements.txt", "cortex-no-such-package-xyz==9.9\n");
    let why = "No matching distribution found for cortex-no-such-package-xyz==9.9";
    ward.sick(&file, "sick", why).await.says("correct requirements.txt and deploy again");
    std::fs::remove_file(ward.cluster.cortex.working_directory().join("sick/requirements.txt")).expect("it is there");
    project::python(&ward.cluster.cortex, "sick", &project::echo("mended"), offline);
    ward.mended(&file, "sick").await;
    ward.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_is_no_model() {
    let ward = Ward::open();
    let cortex = &ward.cluster.cortex;
    let onnx = "- name: sick\n  kind: RealtimeAPI\n  predictor:\n    type: onnx\n    path: model.onnx\n";
    cortex.write("sick/cortex.yaml", onnx);
    cortex.write("sick/model.onnx", "this is not a model");
    ward.sick("sick/cortex.yaml", "sick", "model.onnx cannot be loaded by ONNX Runtime").await;
    let model = std::fs::read(project::repository("examples/digits/model.onnx")).expect("it is in the repository");
    cortex.write("sick/model.onnx", model);
    ward.cluster.deploy("sick/cortex.yaml");
    let answer = ward.cluster.client().predict("/sick", &json!({ "pixels": [vec![0; 64]] })).await;
    assert!(answer["label"].is_array(), "{answer}");
    ward.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raises_at_predict() {
    let ward = Ward::open();
    let source = "class PythonPredictor:\n    def __init__(self, config):\n        pass\n\n    def predict(self, payload):\n        \
                  return self.look_up(payload)\n\n    def look_up(self, payload):\n        \
                  raise ValueError('the secret is ' + payload)\n";
    let file = project::python(&ward.cluster.cortex, "sick", source, "");
    ward.cluster.deploy(&file);
    let answer = ward.cluster.client().post("/sick", &json!("hunter2")).await;
    let body = answer.json();
    assert_eq!(answer.status, 500, "{body}");
    assert_eq!(body["kind"], "predictor_raised");
    assert!(!body["message"].as_str().expect("text").contains("hunter2"), "{body}");
    let id = body["request_id"].as_str().expect("an id");
    assert_eq!(answer.headers["x-request-id"], id);

    // The log has the traceback, under the id that the caller has.
    let entry = eventually("the traceback is in the log", async || {
        let logs = ward.cluster.run(&["logs", "sick", "-o", "json"]).ok();
        let lines: Vec<Value> = logs.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let mine = lines.iter().find(|line| line["request_id"] == id && line["level"] == "error").cloned();
        mine.ok_or_else(|| logs.to_string())
    })
    .await;
    let traceback = entry["message"].as_str().expect("text");
    assert!(traceback.contains("Traceback (most recent call last)"), "{traceback}");
    assert!(traceback.contains("in look_up") && traceback.contains("ValueError: the secret is hunter2"), "{traceback}");
    assert_eq!(entry["source"], "predictor");

    ward.cluster.cortex.write("text.json", "\"hunter2\"");
    let outcome = ward.cluster.run(&["predict", "sick", "text.json"]).exits(1);
    outcome.says("HTTP 500").says("`cortex logs sick`");
    // It is a predictor that raises, not one that is broken.
    assert_eq!(ward.cluster.get("sick")["status"], "live");
    project::python(&ward.cluster.cortex, "sick", &project::echo("mended"), "");
    ward.mended(&file, "sick").await;
    ward.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_gets_ready() {
    let ward = Ward::open();
    let file = project::python(&ward.cluster.cortex, "sick", &project::echo("1"), "");
    ward.cluster.deploy(&file);
    let patient = Load::gentle(&ward.cluster.client(), "/sick", &json!(7));
    patient.more(4).await;

    let source = "import threading\n\nclass PythonPredictor:\n    def __init__(self, config):\n        \
                  threading.Event().wait()\n\n    def predict(self, payload):\n        return payload\n";
    project::python(&ward.cluster.cortex, "sick", source, "");
    let outcome = ward.cluster.run(&["deploy", &file, "--timeout", "3"]).exits(8);
    outcome.says("not ready after 3 s: sick").says("the cluster goes on trying");
    let shown = ward.cluster.get("sick");
    assert_eq!((&shown["status"], &shown["replicas"]["ready"]), (&json!("updating"), &json!(1)), "{shown:#}");
    ward.cluster.run(&["get", "sick"]).ok().prints("starting 1 worker process");

    project::python(&ward.cluster.cortex, "sick", &project::echo("mended"), "");
    ward.mended(&file, "sick").await;
    let tally = patient.stop().await;
    tally.flawless();
    assert!(tally.answers.keys().all(|answer| !answer.is_empty()), "{tally:?}");
    ward.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_that_fails_leaves_the_earlier_version_in_service() {
    let ward = Ward::open();
    let file = project::python(&ward.cluster.cortex, "sick", &project::echo("1"), &project::replicas(2));
    ward.cluster.deploy(&file);
    let patient = Load::gentle(&ward.cluster.client(), "/sick", &json!(7));
    patient.more(4).await;

    let source = "class PythonPredictor:\n    def __init__(self, config):\n        raise ValueError('no weights')\n\n    \
                  def predict(self, payload):\n        return payload\n";
    project::python(&ward.cluster.cortex, "sick", source, &project::replicas(2));
    let outcome = ward.sick(&file, "sick", "ValueError: no weights").await;
    outcome.says("the version deployed before goes on serving");
    let shown = ward.cluster.get("sick");
    assert_eq!((&shown["status"], &shown["replicas"]["ready"]), (&json!("update_failed"), &json!(2)), "{shown:#}");
    patient.more(8).await;
    let tally = patient.tally();
    assert_eq!(tally.answers.len(), 1, "only the earlier version answers: {:?}", tally.answers);

    project::python(&ward.cluster.cortex, "sick", &project::echo("mended"), &project::replicas(2));
    ward.mended(&file, "sick").await;
    patient.stop().await.flawless();
    ward.close().await;
}
