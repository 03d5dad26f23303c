//! The paths of the Open Inference Protocol, which an ONNX model is served by as well.

use serde_json::{Map, Value, json};

use super::{super::schema, answers, content::with_example};

const REFUSAL: &str = "InferenceRefusal";
const BINARY: &str = "With the binary tensor data extension: the JSON, as long as the header \
    `Inference-Header-Content-Length` says, and behind it the tensors that have `binary_data_size` in their `parameters`.";

pub(super) fn paths(about: &Map<String, Value>) -> Map<String, Value> {
    let text = |field: &str| about.get(field).and_then(Value::as_str).unwrap_or_default();
    let model = format!("/v2/models/{}", text("name"));
    let boolean = || json!({ "type": "boolean" });
    let string = || json!({ "type": "string" });
    let strings = || list(string());
    let tensor = json!({ "name": string(), "datatype": string(), "shape": list(json!({ "type": "integer" })) });
    let tensors = list(object(&tensor, &["name", "datatype", "shape"]));
    let server = json!({ "name": string(), "version": string(), "extensions": strings() });
    let metadata = json!({
        "name": { "const": text("name") }, "versions": strings(), "platform": string(), "inputs": tensors,
        "outputs": tensors,
    });
    let (live, ready) = (json!({ "live": boolean() }), json!({ "live": boolean(), "ready": boolean() }));
    let model_ready = json!({ "name": string(), "ready": boolean() });
    Map::from_iter([
        ("/v2".to_owned(), get("server_metadata", "The server, for the Open Inference Protocol.", &server)),
        ("/v2/health/live".to_owned(), get("server_live", "Whether the server is up.", &live)),
        ("/v2/health/ready".to_owned(), or_stopping(get("server_ready", "Whether it takes requests.", &ready))),
        (format!("{model}/ready"), or_stopping(get("model_ready", "Whether the model does.", &model_ready))),
        (format!("{model}/infer"), json!({ "post": infer(about) })),
        (model, get("model_metadata", "Inputs and outputs; -1 is a dimension of the caller's choice.", &metadata)),
    ])
}

/// The answer to what cannot be done.
pub(super) fn refusals() -> Map<String, Value> {
    let properties = json!({
        "error": { "type": "string", "description": "What is wrong. Not there if the gateway refuses." },
        "kind": { "type": "string" },
        "message": { "type": "string" },
        "request_id": { "type": "string" },
    });
    let refusal = json!({
        "description": "What is wrong, as the protocol says it and as the rest of the API does.",
        "content": { "application/json": { "schema": object(&properties, &["kind", "message", "request_id"]) } },
    });
    Map::from_iter([(REFUSAL.to_owned(), refusal)])
}

fn get(id: &str, summary: &str, properties: &Value) -> Value {
    let names: Vec<_> = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let content = json!({ "application/json": { "schema": object(properties, &names) } });
    json!({ "get": { "operationId": id, "summary": summary, "responses": answers(&content, REFUSAL) } })
}

/// A replica that is about to stop says so in its own words.
fn or_stopping(mut path: Value) -> Value {
    path["get"]["responses"]["503"] = json!({
        "description": "No: it is about to stop, or is not there.",
        "content": { "application/json": { "schema": { "type": "object" } } },
    });
    path
}

fn infer(about: &Map<String, Value>) -> Value {
    let name = about.get("name").and_then(Value::as_str).unwrap_or_default();
    let binary = json!({ "schema": { "description": BINARY } });
    let content = |json: Value| json!({ "application/json": json, "application/octet-stream": binary });
    json!({
        "operationId": "infer",
        "summary": "A prediction, in the Open Inference Protocol.",
        "description": format!(
            "Tensors may also be bytes, in requests and in replies, by the protocol's binary tensor data extension. \
             `/v2/models/{name}/versions/<version>` stands for `/v2/models/{name}` everywhere."
        ),
        "parameters": [{
            "name": "Inference-Header-Content-Length", "in": "header", "schema": { "type": "integer", "minimum": 0 },
            "description": "How many bytes of the body are JSON, if tensors follow.",
        }],
        "requestBody": { "required": true, "content": content(with_example(&request(about), example(about))) },
        "responses": answers(&content(json!({ "schema": reply(about) })), REFUSAL),
    })
}

fn request(about: &Map<String, Value>) -> Value {
    let asked = json!({ "name": { "enum": names(&outputs(about)) }, "parameters": { "type": "object" } });
    let inputs = inputs(about);
    let properties = json!({
        "id": { "type": "string", "description": "It comes back in the reply." },
        "parameters": { "type": "object" },
        "inputs": exactly(&inputs.iter().map(|input| tensor(input, &taken(input))).collect::<Vec<_>>()),
        "outputs": {
            "type": "array",
            "items": object(&asked, &["name"]),
            "description": "Those that are wanted; all if left out.",
        },
    });
    object(&properties, &["inputs"])
}

fn reply(about: &Map<String, Value>) -> Value {
    let given = |output: &&Value| tensor(output, &schema::elements(output, true));
    let all: Vec<_> = outputs(about).iter().map(given).collect();
    let outputs = if all.is_empty() { json!({ "type": "array" }) } else { list(json!({ "anyOf": all })) };
    let properties = json!({
        "model_name": { "const": about.get("name") },
        "model_version": { "const": about.get("version") },
        "id": { "type": "string" },
        "outputs": outputs,
    });
    object(&properties, &["model_name", "model_version", "outputs"])
}

/// In any order.
fn exactly(tensors: &[Value]) -> Value {
    match tensors {
        [] => json!({ "type": "array", "maxItems": 0 }),
        all => json!({ "type": "array", "items": { "anyOf": all }, "minItems": all.len(), "maxItems": all.len() }),
    }
}

fn tensor(tensor: &Value, data: &Value) -> Value {
    let sizes: Vec<_> = schema::shape(tensor)
        .iter()
        .map(|dim| match dim.as_u64() {
            Some(size) => json!({ "const": size }),
            None => json!({ "type": "integer", "minimum": 0, "description": dim }),
        })
        .collect();
    let shape = match sizes.len() {
        0 => list(json!({ "type": "integer", "minimum": 0 })),
        rank => json!({ "type": "array", "prefixItems": sizes, "minItems": rank, "maxItems": rank }),
    };
    let properties = json!({
        "name": { "const": tensor["name"] },
        "datatype": { "const": datatype(tensor) },
        "shape": shape,
        "data": data,
        "parameters": { "type": "object" },
    });
    object(&properties, &["name", "datatype", "shape", "data"])
}

/// Flat, or in lists by its shape.
fn taken(input: &Value) -> Value {
    match schema::shape(input).len() {
        0 => json!({ "type": "array" }),
        1 => schema::elements(input, false),
        _ => json!({ "anyOf": [schema::elements(input, false), schema::taken(input)] }),
    }
}

fn example(about: &Map<String, Value>) -> Option<Value> {
    let of_input = |input: &&Value| {
        let shape: Vec<_> = schema::shape(input).iter().map(|dim| dim.as_u64().unwrap_or(1)).collect();
        let data = schema::example(input).filter(Value::is_array)?;
        Some(json!({ "name": input["name"], "datatype": datatype(input), "shape": shape, "data": data }))
    };
    let inputs: Vec<_> = inputs(about).iter().map(of_input).collect::<Option<_>>()?;
    Some(json!({ "inputs": inputs }))
}

/// The protocol's word for an element.
fn datatype(tensor: &Value) -> String {
    match tensor["type"].as_str().unwrap_or_default() {
        "string" => "BYTES".to_owned(),
        name => name.to_uppercase().replace("FLOAT", "FP"),
    }
}

fn inputs(about: &Map<String, Value>) -> Vec<&Value> {
    about.get("inputs").and_then(Value::as_array).into_iter().flatten().collect()
}

/// Those that are tensors: the protocol has nothing else.
fn outputs(about: &Map<String, Value>) -> Vec<&Value> {
    let all = about.get("outputs").and_then(Value::as_array).into_iter().flatten();
    all.filter(|output| output.get("shape").is_some()).collect()
}

fn names(tensors: &[&Value]) -> Vec<Value> {
    tensors.iter().map(|tensor| tensor["name"].clone()).collect()
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}
