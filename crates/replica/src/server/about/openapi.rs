//! An API as an OpenAPI 3.1 document, from what the replica knows of it.

mod content;
mod oip;

use serde_json::{Map, Value, json};

pub(super) use content::example;
use content::{replies, requests};

const REFUSAL: &str = "Refusal";

/// Paths are those below the API's endpoint, from where the document is served.
pub(super) fn document(about: &Map<String, Value>) -> Value {
    let text = |field: &str| about.get(field).and_then(Value::as_str).unwrap_or_default();
    let anything = json!({ "application/json": { "schema": { "type": "object" } } });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": text("name"), "version": text("version"), "description": text("description") },
        "servers": [{ "url": ".", "description": "The API's endpoint." }],
        "security": [{ "bearer": [] }, { "header": [] }, { "basic": [] }],
        "paths": {
            "/": {
                "get": {
                    "operationId": "describe",
                    "summary": "What this API is; a page for browsers.",
                    "responses": answers(&anything, REFUSAL),
                },
                "post": {
                    "operationId": "predict",
                    "summary": "A prediction.",
                    "requestBody": { "required": true, "content": requests(about) },
                    "responses": answers(&replies(about), REFUSAL),
                },
            },
            "/openapi.json": { "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": answers(&anything, REFUSAL),
            } },
        },
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The API key." },
                "header": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "basic": { "type": "http", "scheme": "basic", "description": "The password is the API key." },
            },
            "schemas": about.get("schemas").cloned().unwrap_or_else(|| json!({})),
            "responses": { REFUSAL: {
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
    });
    if text("type") == "onnx" {
        for (place, mut more) in [("/paths", oip::paths(about)), ("/components/responses", oip::refusals())] {
            if let Some(all) = document.pointer_mut(place).and_then(Value::as_object_mut) {
                all.append(&mut more);
            }
        }
    }
    document
}

/// `refusal`: the name of that response among the components.
fn answers(content: &Value, refusal: &str) -> Value {
    let mut all = Map::from_iter([("200".to_owned(), json!({ "description": "The answer.", "content": content }))]);
    for status in ["400", "401", "404", "413", "500", "502", "503", "504"] {
        all.insert(status.to_owned(), json!({ "$ref": format!("#/components/responses/{refusal}") }));
    }
    all.into()
}
