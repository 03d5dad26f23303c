//! Tensors, as a predictor describes them (`name`, `type`, `shape`), in terms of JSON Schema, and an example of each.

use serde_json::{Value, json};

/// An example with more elements than this says nothing to anybody.
const MAX_ELEMENTS: usize = 1024;

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

/// All elements in one list.
pub(super) fn elements(tensor: &Value, written: bool) -> Value {
    json!({ "type": "array", "items": element(tensor["type"].as_str().unwrap_or_default(), written) })
}

pub(super) fn shape(tensor: &Value) -> &[Value] {
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
    fn an_image_has_no_example() {
        for shape in [json!([1, 3, 224, 224]), json!([u64::MAX, 2])] {
            assert_eq!(example(&json!({ "name": "x", "type": "uint8", "shape": shape })), None);
        }
        assert_eq!(example(&json!({ "name": "x", "type": "string", "shape": ["n"] })), Some(json!(["text"])));
    }
}
