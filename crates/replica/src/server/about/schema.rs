//! Tensors, as a predictor describes them (`name`, `type`, `shape`), in terms of JSON Schema, and an example of each.

use serde_json::{Map, Value, json};

/// An example with more elements than this says nothing to anybody.
const MAX_ELEMENTS: usize = 1024;
/// Of a schema, as of one that contains itself.
const MAX_DEPTH: usize = 16;

/// What is read into a tensor: nested lists.
pub(super) fn taken(tensor: &Value) -> Value {
    nested(tensor, element(tensor["type"].as_str().unwrap_or_default(), false))
}

/// What a tensor is written as. Numbers that JSON does not have are `null`.
pub(super) fn given(tensor: &Value) -> Value {
    nested(tensor, element(tensor["type"].as_str().unwrap_or_default(), true))
}

/// One value per free dimension, if that is not too much.
pub(super) fn example(tensor: &Value) -> Option<Value> {
    let value = match tensor["type"].as_str()? {
        "bool" => json!(false),
        "string" => json!("text"),
        name if name.starts_with("float") => json!(0.5),
        _ => json!(0),
    };
    let sizes = || shape(tensor).iter().map(|dim| usize::try_from(dim.as_u64().unwrap_or(1)).unwrap_or(usize::MAX));
    let elements = sizes().try_fold(1_usize, usize::checked_mul)?;
    (elements <= MAX_ELEMENTS).then(|| sizes().rev().fold(value, |inner, size| vec![inner; size].into()))
}

/// A value that a schema allows, the plainest one. `named`: what it refers to. `None` if that cannot be said.
pub(super) fn sample(schema: &Value, named: &Value, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |schema: &Value| sample(schema, named, depth + 1);
    let said = [&schema["examples"][0], &schema["example"], &schema["default"], &schema["const"], &schema["enum"][0]];
    if let Some(value) = said.into_iter().find(|value| !value.is_null()) {
        return Some(value.clone());
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return inner(named.get(name)?);
    }
    if let Some(choices) = ["anyOf", "oneOf", "allOf"].iter().find_map(|word| schema[*word].as_array()) {
        return choices.iter().find_map(inner);
    }
    match schema["type"].as_str()? {
        "boolean" => Some(json!(false)),
        "integer" => Some(json!(0)),
        "number" => Some(json!(0.5)),
        "string" if schema["format"] == "binary" => None,
        "string" => Some(json!("text")),
        "null" => Some(Value::Null),
        "array" => match (schema["prefixItems"].as_array(), schema.get("items")) {
            (Some(items), _) => items.iter().map(inner).collect::<Option<Vec<_>>>().map(Value::from),
            (None, Some(items)) => inner(items).map(|item| json!([item])),
            (None, None) => Some(json!([])),
        },
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let required = |name: &String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
            let of_field = |(name, field): (&String, &Value)| match inner(field) {
                None if !required(name) => None,
                value => Some(value.map(|value| (name.clone(), value))),
            };
            fields.filter_map(of_field).collect::<Option<Map<_, _>>>().map(Value::from)
        }
        _ => None,
    }
}

fn shape(tensor: &Value) -> &[Value] {
    tensor["shape"].as_array().map_or(&[], Vec::as_slice)
}

fn element(name: &str, written: bool) -> Value {
    let integer = |low: i64, high: i64| json!({ "type": "integer", "minimum": low, "maximum": high });
    match name {
        "bool" => json!({ "type": "boolean" }),
        "string" => json!({ "type": "string" }),
        "int8" => integer(i8::MIN.into(), i8::MAX.into()),
        "int16" => integer(i16::MIN.into(), i16::MAX.into()),
        "int32" => integer(i32::MIN.into(), i32::MAX.into()),
        "uint8" => integer(0, u8::MAX.into()),
        "uint16" => integer(0, u16::MAX.into()),
        "uint32" => integer(0, u32::MAX.into()),
        "uint64" => json!({ "type": "integer", "minimum": 0 }),
        "int64" => json!({ "type": "integer" }),
        name if name.starts_with("float") && written => json!({ "type": ["number", "null"], "format": name }),
        name if name.starts_with("float") => json!({ "type": "number", "format": name }),
        // Such as "list of objects".
        _ => json!({ "description": name }),
    }
}

/// A shape without dimensions is not known.
fn nested(tensor: &Value, element: Value) -> Value {
    let dims = shape(tensor);
    if dims.is_empty() && tensor.get("shape").is_some() {
        return json!({ "description": format!("{}, alone or in nested lists", tensor["type"].as_str().unwrap_or_default()) });
    }
    dims.iter().rev().fold(element, |items, dim| match dim.as_u64() {
        Some(size) => json!({ "type": "array", "items": items, "minItems": size, "maxItems": size }),
        None => json!({ "type": "array", "items": items, "description": dim.as_str().unwrap_or("?") }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_lists_in_lists() {
        let tensor = json!({ "name": "x", "type": "float32", "shape": ["batch", 2] });
        let number = json!({ "type": "number", "format": "float32" });
        let row = json!({ "type": "array", "items": number, "minItems": 2, "maxItems": 2 });
        assert_eq!(taken(&tensor), json!({ "type": "array", "items": row, "description": "batch" }));
        assert_eq!(given(&tensor)["items"]["items"]["type"], json!(["number", "null"]));
        assert_eq!(example(&tensor), Some(json!([[0.5, 0.5]])));
    }

    #[test]
    fn what_has_no_shape_is_not_guessed() {
        let unknown = json!({ "name": "x", "type": "int64", "shape": [] });
        assert_eq!(taken(&unknown), json!({ "description": "int64, alone or in nested lists" }));
        let scores = json!({ "name": "x", "type": "list of objects" });
        assert_eq!(given(&scores), json!({ "description": "list of objects" }));
    }

    #[test]
    fn the_plainest_value_of_a_schema() {
        let named = json!({
            "Point": {
                "type": "object",
                "properties": {
                    "x": { "type": "number" },
                    "unit": { "enum": ["mm", "inch"] },
                    "labels": { "type": "array", "items": { "anyOf": [{ "type": "string" }, { "type": "null" }] } },
                    "pair": { "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "boolean" }] },
                    "anything": {},
                },
                "required": ["x"],
            },
            "Endless": { "type": "object", "properties": { "next": { "$ref": "#/x/Endless" } }, "required": ["next"] },
        });
        let point = json!({ "$ref": "#/components/schemas/Point" });
        let expected = json!({ "x": 0.5, "unit": "mm", "labels": ["text"], "pair": [0, false] });
        assert_eq!(sample(&point, &named, 0), Some(expected));
        assert_eq!(sample(&json!({ "type": "integer", "default": 7 }), &named, 0), Some(json!(7)));
        for unknown in [json!({}), json!({ "$ref": "#/x/Endless" }), json!({ "type": "string", "format": "binary" })] {
            assert_eq!(sample(&unknown, &named, 0), None, "{unknown}");
        }
    }

    #[test]
    fn an_image_has_no_example() {
        for shape in [json!([1, 3, 224, 224]), json!([u64::MAX, 2])] {
            assert_eq!(example(&json!({ "name": "x", "type": "uint8", "shape": shape })), None);
        }
        assert_eq!(example(&json!({ "name": "x", "type": "string", "shape": ["n"] })), Some(json!(["text"])));
    }
}
