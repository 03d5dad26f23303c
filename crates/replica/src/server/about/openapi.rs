//! An API as an OpenAPI 3.1 document, from what the replica knows of it.

use serde_json::{Map, Value, json};

use super::schema;

/// Paths are those below the API's endpoint, from where the document is served.
pub(super) fn document(about: &Map<String, Value>) -> Value {
    let text = |field: &str| about.get(field).and_then(Value::as_str).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": { "title": text("name"), "version": text("version"), "description": text("description") },
        "servers": [{ "url": ".", "description": "The API's endpoint." }],
        "security": [{ "bearer": [] }, { "header": [] }, { "basic": [] }],
        "paths": {
            "/": {
                "get": {
                    "operationId": "describe",
                    "summary": "What this API is; a page for browsers.",
                    "responses": answers(json!({ "application/json": { "schema": { "type": "object" } } })),
                },
                "post": {
                    "operationId": "predict",
                    "summary": "A prediction.",
                    "requestBody": { "required": true, "content": requests(about) },
                    "responses": answers(replies(about)),
                },
            },
            "/openapi.json": { "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": answers(json!({ "application/json": { "schema": { "type": "object" } } })),
            } },
        },
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The API key." },
                "header": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "basic": { "type": "http", "scheme": "basic", "description": "The password is the API key." },
            },
            "schemas": about.get("schemas").cloned().unwrap_or_else(|| json!({})),
            "responses": { "Refusal": {
                "description": "What is wrong, and what to do about it.",
                "content": { "application/json": { "schema": {
                    "type": "object",
                    "properties": {
                        "kind": { "type": "string", "description": "Stable, for programs." },
                        "message": { "type": "string" },
                        "request_id": { "type": "string" },
                    },
                    "required": ["kind", "message", "request_id"],
                } } },
            } },
        },
    })
}

/// A payload that the API may take, for people to begin with.
pub(super) fn example(about: &Map<String, Value>) -> Option<Value> {
    if let Some(payload) = about.get("payload") {
        return schema::sample(payload, about.get("schemas").unwrap_or(&Value::Null), 0);
    }
    let inputs = about.get("inputs")?.as_array()?;
    let of_input = |input: &Value| Some((input["name"].as_str()?.to_owned(), schema::example(input)?));
    inputs.iter().map(of_input).collect::<Option<Map<_, _>>>().map(Value::from)
}

fn requests(about: &Map<String, Value>) -> Value {
    if let Some(payload) = about.get("payload") {
        let written = json!({ "schema": payload });
        return match form(payload) {
            Form::Bytes => json!({ "application/octet-stream": written }),
            Form::Text => json!({ "application/json": with_example(payload, about), "text/plain": written }),
            Form::Json => json!({ "application/json": with_example(payload, about) }),
        };
    }
    let Some(inputs) = about.get("inputs").and_then(Value::as_array) else {
        return json!({
            "application/json": { "schema": { "description": "The payload, as the predictor takes it." } },
            "text/plain": { "schema": { "type": "string" } },
            "application/octet-stream": { "schema": { "description": "The payload is the bytes." } },
        });
    };
    let mut named = object(inputs, schema::taken);
    if let [input] = &inputs[..] {
        named = json!({ "anyOf": [named, schema::taken(input)] });
    }
    json!({ "application/json": with_example(&named, about) })
}

fn with_example(schema: &Value, about: &Map<String, Value>) -> Value {
    match example(about) {
        Some(example) => json!({ "schema": schema, "example": example }),
        None => json!({ "schema": schema }),
    }
}

fn replies(about: &Map<String, Value>) -> Value {
    if let Some(reply) = about.get("reply") {
        let content_type = match form(reply) {
            Form::Bytes => "application/octet-stream",
            Form::Text => "text/plain",
            Form::Json => "application/json",
        };
        return json!({ content_type: { "schema": reply } });
    }
    match about.get("outputs").and_then(Value::as_array) {
        Some(outputs) => json!({ "application/json": { "schema": object(outputs, schema::given) } }),
        None => json!({ "*/*": { "schema": { "description": "What the predictor answers." } } }),
    }
}

/// What goes over the wire if Python has a value of that schema.
enum Form {
    Bytes,
    Text,
    Json,
}

fn form(schema: &Value) -> Form {
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("binary")) => Form::Bytes,
        (Some("string"), None) => Form::Text,
        _ => Form::Json,
    }
}

fn object(tensors: &[Value], schema: impl Fn(&Value) -> Value) -> Value {
    let name = |tensor: &Value| tensor["name"].as_str().unwrap_or_default().to_owned();
    let properties: Map<_, _> = tensors.iter().map(|tensor| (name(tensor), schema(tensor))).collect();
    let required: Vec<_> = tensors.iter().map(name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn answers(content: Value) -> Value {
    let mut all = Map::from_iter([("200".to_owned(), json!({ "description": "The answer.", "content": content }))]);
    for status in ["400", "401", "404", "413", "500", "502", "503", "504"] {
        all.insert(status.to_owned(), json!({ "$ref": "#/components/responses/Refusal" }));
    }
    all.into()
}
