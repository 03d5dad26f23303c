//! In which forms payloads and replies go over the wire, and what they look like in each.

use serde_json::{Map, Value, json};

use super::super::{
    sample::{referred, sample},
    schema,
};

/// A payload that the API may take, for people to begin with.
pub(in super::super) fn example(about: &Map<String, Value>) -> Option<Value> {
    if let Some(payload) = about.get("payload") {
        return sample(payload, named(about));
    }
    let inputs = about.get("inputs")?.as_array()?;
    let of_input = |input: &Value| Some((input["name"].as_str()?.to_owned(), schema::example(input)?));
    inputs.iter().map(of_input).collect::<Option<Map<_, _>>>().map(Value::from)
}

pub(super) fn requests(about: &Map<String, Value>) -> Value {
    if let Some(payload) = about.get("payload") {
        return payloads(payload, about);
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
    json!({ "application/json": with_example(&named, example(about)) })
}

pub(super) fn replies(about: &Map<String, Value>) -> Value {
    if let Some(reply) = about.get("reply") {
        let parts = parts(reply, named(about), &mut Vec::new());
        let content =
            |form: Form| (!of_form(&parts, form).is_empty()).then(|| json!({ "schema": any(&of_form(&parts, form)) }));
        return by_content_type(content);
    }
    match about.get("outputs").and_then(Value::as_array) {
        Some(outputs) => json!({ "application/json": { "schema": object(outputs, schema::given) } }),
        None => json!({ "*/*": { "schema": { "description": "What the predictor answers." } } }),
    }
}

pub(super) fn with_example(schema: &Value, example: Option<Value>) -> Value {
    match example {
        Some(example) => json!({ "schema": schema, "example": example }),
        None => json!({ "schema": schema }),
    }
}

fn named(about: &Map<String, Value>) -> &Value {
    about.get("schemas").unwrap_or(&Value::Null)
}

fn payloads(payload: &Value, about: &Map<String, Value>) -> Value {
    let parts = parts(payload, named(about), &mut Vec::new());
    by_content_type(|form| {
        let mut schemas = of_form(&parts, form);
        if form != Form::Json {
            return (!schemas.is_empty()).then(|| json!({ "schema": any(&schemas) }));
        }
        // A text may also be written as JSON.
        schemas.extend(of_form(&parts, Form::Text));
        let schema = if parts.iter().all(|(form, _)| *form != Form::Bytes) { payload.clone() } else { any(&schemas) };
        (!schemas.is_empty()).then(|| with_example(&schema, example(about)))
    })
}

/// What goes over the wire if Python has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    Bytes,
}

/// What is in a schema, told apart by its form: all of it where that is one. `seen`: references that were followed.
fn parts<'a>(schema: &'a Value, named: &'a Value, seen: &mut Vec<&'a str>) -> Vec<(Form, &'a Value)> {
    let inner: Vec<_> = if let Some(name) = referred(schema) {
        if seen.contains(&name) {
            return Vec::new();
        }
        seen.push(name);
        named.get(name).map_or_else(Vec::new, |schema| parts(schema, named, seen))
    } else if let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|word| schema[*word].as_array()) {
        choices.iter().flat_map(|choice| parts(choice, named, seen)).collect()
    } else {
        return forms(schema).iter().map(|form| (*form, schema)).collect();
    };
    match &inner[..] {
        [] => vec![(Form::Json, schema)],
        [(form, _), rest @ ..] if rest.iter().all(|(other, _)| other == form) => vec![(*form, schema)],
        _ => inner,
    }
}

fn forms(schema: &Value) -> &'static [Form] {
    let is =
        |name: &str| schema["type"] == name || schema["type"].as_array().is_some_and(|all| all.contains(&json!(name)));
    let says = |word: &&str| schema.get(word).is_some();
    match schema["format"].as_str() {
        _ if !["type", "enum", "const", "allOf", "properties", "items"].iter().any(says) => {
            &[Form::Json, Form::Text, Form::Bytes]
        }
        Some("binary") if is("string") => &[Form::Bytes],
        None if schema["type"] == "string" => &[Form::Text],
        None if is("string") => &[Form::Json, Form::Text],
        _ => &[Form::Json],
    }
}

fn of_form<'a>(parts: &[(Form, &'a Value)], wanted: Form) -> Vec<&'a Value> {
    parts.iter().filter(|(form, _)| *form == wanted).map(|(_, schema)| *schema).collect()
}

fn any(schemas: &[&Value]) -> Value {
    match schemas {
        [one] => (*one).clone(),
        all => json!({ "anyOf": all }),
    }
}

fn by_content_type(content: impl Fn(Form) -> Option<Value>) -> Value {
    let all = [("application/json", Form::Json), ("text/plain", Form::Text), ("application/octet-stream", Form::Bytes)];
    let said = all.into_iter().filter_map(|(content_type, form)| Some((content_type.to_owned(), content(form)?)));
    said.collect::<Map<_, _>>().into()
}

fn object(tensors: &[Value], schema: impl Fn(&Value) -> Value) -> Value {
    let name = |tensor: &Value| tensor["name"].as_str().unwrap_or_default().to_owned();
    let properties: Map<_, _> = tensors.iter().map(|tensor| (name(tensor), schema(tensor))).collect();
    let required: Vec<_> = tensors.iter().map(name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(schema: &Value) -> (Value, Value) {
        let about = json!({
            "payload": schema, "reply": schema,
            "schemas": {
                "Record": { "type": "object" },
                "Text": { "anyOf": [{ "type": "string" }, { "type": "string", "enum": ["a"] }] },
                "Mixed": { "anyOf": [{ "$ref": "#/x/Record" }, { "type": "string", "format": "binary" }] },
                "Endless": { "anyOf": [{ "$ref": "#/x/Endless" }, { "type": "string" }] },
            },
        });
        let about = about.as_object().unwrap();
        (requests(about), replies(about))
    }

    fn content_types(content: &Value) -> String {
        let short = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
        content.as_object().unwrap().keys().map(short).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_content_type_is_there_that_python_may_send() {
        let (text, bytes) = (json!({ "type": "string" }), json!({ "type": "string", "format": "binary" }));
        let (none, record) = (json!({ "type": "null" }), json!({ "$ref": "#/x/Record" }));
        for (schema, taken, given) in [
            (text.clone(), "json plain", "plain"),
            (json!({ "type": "string", "enum": ["a"] }), "json plain", "plain"),
            (json!({ "enum": ["a"] }), "json", "json"),
            (bytes.clone(), "octet-stream", "octet-stream"),
            (record.clone(), "json", "json"),
            (json!({ "$ref": "#/x/Text" }), "json plain", "plain"),
            (json!({ "$ref": "#/x/Endless" }), "json plain", "plain"),
            (json!({ "$ref": "#/x/Mixed" }), "json octet-stream", "json octet-stream"),
            (json!({ "$ref": "#/x/Nowhere" }), "json", "json"),
            (json!({ "anyOf": [text, none] }), "json plain", "json plain"),
            (json!({ "type": ["string", "null"] }), "json plain", "json plain"),
            (json!({ "anyOf": [bytes, record] }), "json octet-stream", "json octet-stream"),
            (json!({ "anyOf": [bytes, text] }), "json octet-stream plain", "octet-stream plain"),
            (json!({ "description": "Something." }), "json octet-stream plain", "json octet-stream plain"),
        ] {
            let (requests, replies) = said(&schema);
            let all = |content: &Value| {
                let mut names: Vec<_> = content_types(content).split(' ').map(str::to_owned).collect();
                names.sort_unstable();
                names.join(" ")
            };
            assert_eq!((all(&requests), all(&replies)), (taken.to_owned(), given.to_owned()), "{schema}");
        }
    }

    #[test]
    fn of_each_content_type_is_said_what_it_is() {
        let (text, bytes) = (json!({ "type": "string" }), json!({ "type": "string", "format": "binary" }));
        let record = json!({ "$ref": "#/x/Record" });
        let (requests, replies) = said(&json!({ "anyOf": [text, { "$ref": "#/x/Mixed" }], "description": "Any." }));
        let json_or_text = json!({ "schema": { "anyOf": [record, text] }, "example": "text" });
        assert_eq!(requests["application/json"], json_or_text);
        assert_eq!(replies["application/json"], json!({ "schema": record }));
        for content in [requests, replies] {
            assert_eq!(content["text/plain"], json!({ "schema": text }));
            assert_eq!(content["application/octet-stream"], json!({ "schema": bytes }));
        }
        let optional = json!({ "anyOf": [text, { "type": "null" }], "description": "A name." });
        let (requests, replies) = said(&optional);
        assert_eq!(requests["application/json"]["schema"], optional);
        assert_eq!(replies["application/json"]["schema"], json!({ "type": "null" }));
    }
}
