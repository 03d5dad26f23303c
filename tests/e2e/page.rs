//! What an API tells of itself: to programs that read OpenAPI, and to a person with a browser.

use std::{fs, process::Command};

use serde_json::{Value, json};
use testkit::{Answer, Cluster, Version, browser::Tab, interpreter, project, raw};

const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// As an author would annotate it.
const TYPED: &str = r#"
from typing import Annotated, Literal, Optional, TypedDict

class ndarray:
    """Stands in for NumPy's."""
    __module__ = "numpy"

class Node(TypedDict, total=False):
    """One of a tree."""
    kind: Annotated[Literal["leaf", "branch"], "What it is."]
    children: "list[Node]"
    position: tuple[float, float]

class PythonPredictor:
    """Counts leaves."""
    def predict(self, payload: Optional[Node]) -> dict[str, ndarray]:
        return {"leaves": [0.0]}
"#;

fn deploy_digits(cluster: &Cluster) {
    for file in ["cortex.yaml", "model.onnx"] {
        let content = fs::read(project::repository("examples/digits").join(file)).expect("it is in the repository");
        cluster.cortex.write(&format!("digits/{file}"), content);
    }
    cluster.deploy("digits/cortex.yaml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_a_person_try_the_api() {
    let cluster = Cluster::up();
    deploy_digits(&cluster);
    let url = format!("{}/digits", cluster.api_endpoint);
    let get = |accept: &str| raw(&cluster.ca, Version::Http2).get(&url).header("accept", accept);
    let asked = Answer::of(get(ACCEPT)).await.expect("an answer");
    assert_eq!((asked.status, &asked.json()["kind"]), (401, &json!("unauthenticated")));
    assert!(asked.headers["www-authenticate"].as_bytes().starts_with(b"Basic realm="), "{asked:?}");
    let page = Answer::of(get(ACCEPT).basic_auth("", Some(&cluster.key))).await.expect("an answer");
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().expect("a value"))
    );
    let policy = page.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let json = Answer::of(get("*/*").basic_auth("", Some(&cluster.key))).await.expect("an answer").json();
    assert_eq!((&json["name"], &json["inputs"][0]["name"]), (&json!("digits"), &json!("pixels")));

    // As one who has typed the key into what the browser asked.
    let with_key = url.replace("https://", &format!("https://me:{}@", cluster.key));
    let mut tab = Tab::open(&with_key, &cluster.ca, &cluster.cortex.temporary()).await;
    assert_eq!(tab.run("document.querySelector('h1').textContent").await, "digits");
    assert_eq!(tab.run("document.getElementById('openapi').href").await, json!(format!("{url}/openapi.json")));
    assert_eq!(tab.run("document.querySelector('td').textContent").await, "pixels");
    let predict = async |tab: &mut Tab, payload: Option<&str>| {
        if let Some(payload) = payload {
            tab.run(&format!("document.getElementById('payload').value = {}", json!(payload))).await;
        }
        tab.run("document.getElementById('send').click()").await;
        tab.becomes("!document.getElementById('send').disabled").await;
        let texts = "['outcome', 'answer'].map((id) => document.getElementById(id).textContent)";
        let texts = tab.run(texts).await;
        let [outcome, answer] = [0, 1].map(|index| texts[index].as_str().expect("a text").to_owned());
        assert!(outcome.ends_with(" ms"), "{outcome}: {answer}");
        (outcome, serde_json::from_str::<Value>(&answer).expect("JSON"))
    };
    let (outcome, answer) = predict(&mut tab, None).await;
    assert!(outcome.starts_with("200 ") && answer["label"].is_array(), "the example is a good one: {outcome} {answer}");
    let (outcome, answer) = predict(&mut tab, Some(r#"{"pixels": [[1]]}"#)).await;
    assert!(outcome.starts_with("400 ") && answer["kind"] == "bad_request", "{outcome} {answer}");
    // Whatever gets into the page does not run.
    let inject = "new Promise((done) => {
        const refused = new Set();
        document.addEventListener('securitypolicyviolation', (event) => {
            refused.add(event.effectiveDirective);
            if (refused.has('script-src-elem') && refused.has('script-src-attr')) done(typeof window.ran);
        });
        const script = document.createElement('script');
        script.textContent = 'window.ran = 1';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<img onerror=\"window.ran = 2\">');
    })";
    assert_eq!(tab.run(inject).await, "undefined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_described_by_valid_openapi_documents() {
    let cluster = Cluster::up();
    deploy_digits(&cluster);
    cluster.deploy(&project::python(&cluster.cortex, "echo", &project::echo("1"), ""));
    let with_numpy = fs::read(project::repository("examples/digits-python/requirements.txt"));
    cluster.cortex.write("typed/requirements.txt", with_numpy.expect("it is in the repository"));
    cluster.deploy(&project::python(&cluster.cortex, "typed", TYPED, ""));
    let client = raw(&cluster.ca, Version::Http1);
    let api =
        |name: &str| client.get(format!("{}/{name}/openapi.json", cluster.api_endpoint)).bearer_auth(&cluster.key);
    let operator = client.get(format!("{}/v1/openapi.json", cluster.operator_endpoint));
    let mut files = Vec::new();
    let mut documents = Vec::new();
    for (name, request) in
        [("digits", api("digits")), ("echo", api("echo")), ("typed", api("typed")), ("operator", operator)]
    {
        let answer = Answer::of(request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let file = cluster.cortex.temporary().join(format!("{name}.openapi.json"));
        fs::write(&file, &answer.body).expect("it is the test's own");
        files.push(file);
        documents.push(answer.json());
    }
    let script = project::repository("tests/python/valid_openapi.py");
    let output = Command::new(interpreter()).arg(script).args(&files).output().expect("the interpreter starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed =
        fs::read(project::repository("docs/schema/operator.openapi.json")).expect("it is in the repository");
    assert_eq!(documents[2]["components"]["schemas"]["Node"]["description"], "One of a tree.");
    assert_eq!(documents[3], serde_json::from_slice::<Value>(&committed).expect("JSON"));

    // What the document says of digits is what digits takes and gives.
    let post = &documents[0]["paths"]["/"]["post"];
    let request = &post["requestBody"]["content"]["application/json"];
    let pixels = &request["schema"]["anyOf"][0]["properties"]["pixels"];
    assert_eq!((&pixels["items"]["minItems"], &pixels["items"]["items"]["type"]), (&json!(64), &json!("number")));
    let answer = cluster.client().predict("/digits", &request["example"]).await;
    let schema = &post["responses"]["200"]["content"]["application/json"]["schema"];
    let said = schema["properties"].as_object().expect("fields").keys().collect::<Vec<_>>();
    assert_eq!(said, answer.as_object().expect("an object").keys().collect::<Vec<_>>());

    // In the Open Inference Protocol as well.
    let infer = &documents[0]["paths"]["/v2/models/digits/infer"]["post"];
    let request = &infer["requestBody"]["content"]["application/json"];
    let answer = cluster.client().predict("/digits/v2/models/digits/infer", &request["example"]).await;
    let outputs =
        &infer["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["outputs"]["items"]["anyOf"];
    let names = |tensors: &Value, pointer: &str| {
        let all = tensors.as_array().expect("a list").iter();
        all.map(|tensor| tensor.pointer(pointer).expect("a name").clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(outputs, "/properties/name/const"), names(&answer["outputs"], "/name"));
}
