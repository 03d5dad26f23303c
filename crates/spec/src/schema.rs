//! JSON Schema from the as-written types, for editors (draft 2020-12, as schemars makes it).

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schema of a type, everything inlined: each document's schema is one self-contained value.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    schema
}

/// The names an as-written struct knows.
pub(crate) fn property_names<T: JsonSchema>() -> Vec<String> {
    let schema = of::<T>();
    schema["properties"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
}

/// The schema of a whole file.
pub(crate) fn file(schema: Value, title: &str, description: &str) -> Value {
    let mut out = titled(schema, title, description);
    out["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    out
}

/// A schema, or a part of one, with a title and a description for people.
pub(crate) fn titled(schema: Value, title: &str, description: &str) -> Value {
    let mut out = Map::new();
    out.insert("title".into(), json!(title));
    out.insert("description".into(), json!(description));
    if let Value::Object(rest) = schema {
        out.extend(rest.into_iter().filter(|(key, _)| !matches!(key.as_str(), "$schema" | "title" | "description")));
    }
    Value::Object(out)
}

/// Takes out what says nothing to a person who writes YAML: Rust's number formats and the names of Rust types.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("format").is_some_and(|f| matches!(f.as_str(), Some("int64" | "double"))) {
                map.remove("format");
            }
            // `title` may also be the name of a property, whose value is a schema.
            if map.get("title").is_some_and(Value::is_string) {
                map.remove("title");
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}
