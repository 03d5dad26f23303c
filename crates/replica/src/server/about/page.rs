//! The page: what the API takes and gives, and a form to try it. It is complete in itself and asks nobody but its own API; its
//! policy names its one script and its one style by their hashes, so that nothing that got into it otherwise would run.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::openapi;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn of(about: &Map<String, Value>) -> String {
    let text = |field: &str| escaped(about.get(field).and_then(Value::as_str).unwrap_or_default());
    let example = openapi::example(about).unwrap_or_else(|| Value::from(Map::new()));
    let fields = [
        ("name", text("name")),
        ("type", text("type")),
        ("version", text("version")),
        ("about", described(about)),
        ("example", escaped(&written(&example))),
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
    ];
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + 1024);
    // In one pass, so that nothing that is put in is taken for a place to put in something else.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the template closes what it opens");
        page.push_str(before);
        page.push_str(fields.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value));
        rest = after;
    }
    page + rest
}

pub(super) fn policy() -> HeaderValue {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    HeaderValue::try_from(policy).expect("it is ASCII")
}

fn described(about: &Map<String, Value>) -> String {
    let mut html = String::new();
    if let Some(description) = about.get("description").and_then(Value::as_str) {
        html += &format!("<p class=\"description\">{}</p>\n", escaped(description));
    }
    for (field, title) in [("inputs", "Takes"), ("outputs", "Gives")] {
        let Some(tensors) = about.get(field).and_then(Value::as_array) else { continue };
        html += &format!("<h2>{title}</h2>\n<table>\n<tr><th>name<th>type<th>shape\n");
        for tensor in tensors {
            let cell = |field: &str| escaped(&plain(&tensor[field]));
            html += &format!("<tr><td><code>{}</code><td>{}<td>{}\n", cell("name"), cell("type"), cell("shape"));
        }
        html += "</table>\n";
    }
    for (field, title) in [("payload", "Takes"), ("reply", "Gives")] {
        let Some(schema) = about.get(field) else { continue };
        html += &format!("<h2>{title}</h2>\n<pre>{}</pre>\n", escaped(&format!("{schema:#}")));
    }
    if let Some(schemas) = about.get("schemas").and_then(Value::as_object) {
        for (name, schema) in schemas {
            html +=
                &format!("<h3><code>{}</code></h3>\n<pre>{}</pre>\n", escaped(name), escaped(&format!("{schema:#}")));
        }
    }
    html
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// An object with a line for each member: lists of numbers in lines of their own would be long to look at.
fn written(example: &Value) -> String {
    match example.as_object() {
        Some(members) if !members.is_empty() => {
            let line = |(name, value): (&String, &Value)| format!(" {}: {value}", Value::from(name.as_str()));
            format!("{{\n{}\n}}", members.iter().map(line).collect::<Vec<_>>().join(",\n"))
        }
        _ => example.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            char => html.push(char),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_a_model_says_becomes_part_of_the_page() {
        let hostile = "</textarea><script>{{script}}</script>\"'&";
        let about = json!({
            "name": hostile, "type": hostile, "version": hostile, "description": hostile,
            "inputs": [{ "name": hostile, "type": "float32", "shape": [hostile, 2] }],
            "outputs": [{ "name": hostile, "type": hostile }],
            "payload": { "description": hostile, "enum": [[[0.5, 0.5]]] }, "reply": { hostile: hostile },
            "schemas": { hostile: { hostile: hostile } },
        });
        let page = of(about.as_object().unwrap());
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</textarea>").count(), 1);
        assert_eq!(page.matches("<style>").count(), 1);
        assert!(page.contains("&lt;/textarea&gt;") && page.contains("[[0.5,0.5]]"), "{page}");
        assert!(!page.contains("{{name}}") && page.contains("{{script}}"), "what was put in stays as it was");
    }

    #[test]
    fn the_page_is_all_there_is_and_nothing_runs_by_attribute() {
        let page = of(json!({ "name": "digits" }).as_object().unwrap());
        for foreign in
            ["src=", "http:", "https:", "url(", "@import", "onclick", "onsubmit", "onload", "javascript:", "style="]
        {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(
            page.contains(&format!("<script>{SCRIPT}</script>")) && page.contains(&format!("<style>{STYLE}</style>"))
        );
        let policy = policy();
        assert_eq!(policy.to_str().unwrap().matches("'sha256-").count(), 2);
        assert!(!policy.to_str().unwrap().contains("unsafe"));
    }
}
