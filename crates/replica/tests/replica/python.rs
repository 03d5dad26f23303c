//! What a Python predictor's author and callers see.

use api::replica::Phase;
use http_body_util::Full;
use serde_json::json;

use crate::ground::{Ground, log, until};

/// Answers with what it was given.
const ECHO: &str = r#"
import os

class PythonPredictor:
    def __init__(self, config):
        self.config = config

    def predict(self, payload, headers, query_params):
        print("predicting", flush=True)
        return {"payload": payload, "config": self.config, "query": query_params,
                "header": headers.get("x-twice"), "env": os.environ["WHO"], "cwd": os.getcwd()}
"#;

#[tokio::test]
async fn answers_with_all_it_was_given() {
    let mut ground = Ground::python(ECHO);
    ground.predictor().config.insert("scale".to_owned(), json!(0.1));
    ground.predictor().env.insert("WHO".to_owned(), "a-secret-value".to_owned());
    let running = ground.ready().await;
    let request = http::Request::post("/deep/path?a=1&b=x%20y")
        .header("content-type", "application/json")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .body(Full::from(r#"{"n": [1, 2.5, "é"]}"#))
        .unwrap();
    let answer = running.connect().await.send(request).await;
    let project = ground.spec.project.canonicalize().unwrap();
    let want = json!({
        "payload": {"n": [1, 2.5, "é"]}, "config": {"scale": 0.1}, "query": {"a": "1", "b": "x y"},
        "header": "one, two", "env": "a-secret-value", "cwd": project,
    });
    assert_eq!(answer.ok(), want);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(!answer.closes());
    running.stopped().await.unwrap();
    assert_eq!(ground.status().unwrap().phase, Phase::Draining);
    let log = log();
    assert!(log.contains(r#""message":"predicting","stream":"stdout""#), "{log}");
    assert!(!log.contains("a-secret-value"), "{log}");
    assert!(!ground.path("project/__pycache__").exists(), "the bundle is read-only");
}

#[tokio::test]
async fn tells_what_it_is_and_refuses_other_methods() {
    let ground = Ground::python(ECHO);
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    let get = |path: &str| http::Request::get(path).header("x-request-id", "r1").body(Full::default()).unwrap();
    let about = connection.send(get("/")).await.ok();
    assert_eq!(about, json!({"name": "digits", "type": "python", "version": "v1"}));
    let refused = connection.send(get("/other")).await;
    refused.refused(405, "method_not_allowed");
    assert_eq!(refused.headers["allow"], "GET, HEAD, POST");
    drop(connection);
    running.stopped().await.unwrap();
}

/// Says what it takes and gives.
const TYPED: &str = r#"
from dataclasses import dataclass
from typing import Literal, Optional, TypedDict

class Flower(TypedDict):
    """In centimetres."""
    petal: list[float]
    colour: Literal["blue", "white"]

class Limits:
    @staticmethod
    def model_json_schema(ref_template):
        return {"description": "\udcff", "maximum": float("inf")}

@dataclass
class Answer:
    name: str
    score: float
    limits: Optional[Limits] = None

class PythonPredictor:
    """Names flowers."""

    def predict(self, payload: Flower) -> Answer:
        """By the <length> of petals."""
        return Answer("iris", sum(payload["petal"]))
"#;

#[tokio::test]
async fn tells_what_its_docstrings_and_annotations_say() {
    let ground = Ground::python(TYPED);
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    let get = |path: &str| http::Request::get(path).header("x-request-id", "r1");
    let text = "Names flowers.\n\nBy the <length> of petals.";
    let about = connection.send(get("/").body(Full::default()).unwrap()).await.ok();
    assert_eq!(about, json!({"name": "digits", "type": "python", "version": "v1", "description": text}));
    let document = connection.send(get("/openapi.json").body(Full::default()).unwrap()).await.ok();
    let post = &document["paths"]["/"]["post"];
    let request = &post["requestBody"]["content"]["application/json"];
    assert_eq!(request["schema"], json!({"$ref": "#/components/schemas/Flower"}));
    let reply = &post["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*reply, json!({"$ref": "#/components/schemas/Answer"}));
    let flower = json!({
        "type": "object", "description": "In centimetres.", "required": ["colour", "petal"],
        "properties": {
            "petal": {"type": "array", "items": {"type": "number"}},
            "colour": {"type": "string", "enum": ["blue", "white"]},
        },
    });
    let properties = &document["components"]["schemas"]["Answer"]["properties"];
    let number = json!({"type": "number"});
    assert_eq!((&properties["score"], &properties["limits"]), (&number, &json!({})), "what is no JSON is left out");
    assert_eq!(document["components"]["schemas"]["Flower"], flower);
    assert_eq!(document["info"]["description"], text);
    let answer = connection.post("/", &request["example"].to_string()).await.ok();
    assert_eq!(answer, json!({"name": "iris", "score": 0.5, "limits": null}), "the example is a good one");
    let page = connection.send(get("/").header("accept", "text/html").body(Full::default()).unwrap()).await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("By the &lt;length&gt; of petals.") && page.contains("In centimetres."), "{page}");
    drop(connection);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn tells_each_content_type_that_it_answers_with() {
    let ground = Ground::python(
        r#"
import enum
from typing import Literal, Union

class Kind(enum.Enum):
    PLAIN = "plain"

class Text(str, enum.Enum):
    TEXT = "text"

class PythonPredictor:
    def predict(self, payload: Literal["plain", "text", "bytes"]) -> Union[Kind, Text, bytes]:
        return {"plain": Kind.PLAIN, "text": Text.TEXT, "bytes": b"raw"}[payload]
"#,
    );
    let running = ground.ready().await;
    let mut connection = running.connect().await;
    let document = connection.send(http::Request::get("/openapi.json").body(Full::default()).unwrap()).await.ok();
    let post = &document["paths"]["/"]["post"];
    let payload = json!({"schema": {"type": "string", "enum": ["plain", "text", "bytes"]}});
    assert_eq!(post["requestBody"]["content"]["text/plain"], payload);
    let content = &post["responses"]["200"]["content"];
    for (payload, content_type, body, schema) in [
        ("plain", "application/json", r#""plain""#, json!({"enum": ["plain"]})),
        ("text", "text/plain", "text", json!({"type": "string", "enum": ["text"]})),
        ("bytes", "application/octet-stream", "raw", json!({"type": "string", "format": "binary"})),
    ] {
        let answer = connection.post("/", &json!(payload).to_string()).await;
        let said = answer.headers["content-type"].to_str().unwrap().split(';').next();
        assert_eq!((said, &answer.body[..]), (Some(content_type), body.as_bytes()));
        assert_eq!(content[content_type]["schema"], schema);
    }
    assert_eq!(content.as_object().unwrap().len(), 3);
    drop(connection);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn faults_are_told_apart_and_details_stay_in_the_log() {
    let ground = Ground::python(
        r#"
class PythonPredictor:
    def predict(self, payload):
        if payload == "raise":
            raise ValueError("the secret of life is 42")
        return object() if payload == "object" else b"raw"
"#,
    );
    let running = ground.ready().await;
    let raised = running.post(r#""raise""#).await.refused(500, "predictor_raised");
    assert_eq!(raised, "the predictor raised ValueError; see `cortex logs digits`");
    let object = running.post(r#""object""#).await.refused(500, "bad_response");
    assert!(object.contains("`object`") && object.ends_with("see `cortex logs digits`"), "{object}");
    let broken = running.post("{").await.refused(400, "bad_request");
    assert!(broken.contains("not valid JSON"), "{broken}");
    let raw = running.post("1").await;
    assert_eq!((raw.status, &raw.body[..]), (200, b"raw".as_slice()));
    running.stopped().await.unwrap();
    let log = log();
    assert!(log.contains("ValueError: the secret of life is 42") && log.contains(r#""request_id":"r1""#), "{log}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let mut ground = Ground::python(ECHO);
    ground.limits.body = 10;
    let running = ground.ready().await;
    let message = running.post(r#""0123456789""#).await.refused(413, "body_too_large");
    assert_eq!(message, "the request body is longer than 10 bytes");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let cases = [
        ("import nonexistent_thing", "cannot be imported: ModuleNotFoundError: No module named 'nonexistent_thing'"),
        ("import nonexistent_thing", "add it to requirements.txt"),
        ("raise OSError('no weights')", "predictor.py cannot be imported: OSError: no weights (predictor.py, line 1)"),
        ("def f(:", "predictor.py cannot be imported: SyntaxError"),
        ("x = 1", "predictor.py has no class; the predictor must be a class named `PythonPredictor`"),
        (
            "class PythonPredictor:\n  def __init__(self, config): config['model']\n  def predict(self, payload): pass",
            "the predictor's __init__ raised KeyError: 'model' (predictor.py, line 2)",
        ),
        ("import os; os._exit(7)", "the worker process ended (exit status: 7) while it loaded predictor.py"),
        ("import os; os.kill(os.getpid(), 9)", "if it ran out of memory, raise `compute.mem`"),
    ];
    for (source, want) in cases {
        let message = Ground::python(source).failure().await;
        assert!(message.contains(want) && !message.contains('\n'), "{message}");
    }
}

#[tokio::test]
async fn a_start_that_takes_too_long_says_so() {
    let mut ground = Ground::python("import time; time.sleep(3600)");
    ground.limits.init = std::time::Duration::from_millis(300);
    assert_eq!(ground.failure().await, "the predictor's __init__ in predictor.py took longer than 0 s");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let mut ground = Ground::python(ECHO);
    ground.predictor().path = "other.py".to_owned();
    assert_eq!(ground.failure().await, "other.py is not in the project: check `predictor.path` in cortex.yaml");

    let mut ground = Ground::python(ECHO);
    ground.spec.python = "/nowhere/python3".into();
    let message = ground.failure().await;
    assert!(message.starts_with("/nowhere/python3 cannot be run: install Python 3"), "{message}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let mut ground = Ground::python(ECHO);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    ground.spec.listen = transport::Address::Tcp(address.clone());
    let message = ground.failure().await;
    assert_eq!(message, format!("cannot listen on tcp://{address}: another process uses it"));
}

#[tokio::test]
async fn there_is_only_one_of_each_replica() {
    let ground = Ground::python(ECHO);
    let running = ground.ready().await;
    let error = ground.start().ended().await.unwrap_err();
    assert!(matches!(error, replica::Error::AlreadyRunning { .. }), "{error}");
    assert_eq!(ground.status().unwrap().phase, Phase::Ready, "the other's status is untouched");
    running.stopped().await.unwrap();
    ground.ready().await.stopped().await.unwrap();

    std::fs::remove_dir_all(ground.directory.path()).unwrap();
    let error = ground.start().ended().await.unwrap_err();
    assert!(matches!(error, replica::Error::NoDirectory { .. }), "{error}");
}

#[tokio::test]
async fn it_can_be_stopped_while_it_starts() {
    let ground = Ground::python("import time; time.sleep(3600)");
    let running = ground.start();
    until("the worker process is starting", || {
        ground.status().filter(|status| status.message == "starting 1 worker process")
    })
    .await;
    running.stopped().await.unwrap();
    assert_eq!(ground.status().unwrap().phase, Phase::Draining);
}
