//! A value that a JSON Schema allows, the plainest one, for people to begin with.

use serde_json::{Map, Value, json};

/// An example with more values than this says nothing to anybody.
const MAX_VALUES: usize = 1024;
/// Of schemas within schemas.
const MAX_DEPTH: usize = 16;
/// What is not looked at: a value that is made up might be one that these forbid.
const BEYOND: [&str; 11] = [
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "minProperties",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
];
const FORMATS: [(&str, &str); 5] = [
    ("date", "2000-01-31"),
    ("date-time", "2000-01-31T12:00:00Z"),
    ("email", "name@example.com"),
    ("uri", "https://example.com/"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
];

/// `named`: the schemas that `schema` refers to. `None` if nothing can be said.
pub(super) fn sample(schema: &Value, named: &Value) -> Option<Value> {
    Sampler { named, open: Vec::new(), left: MAX_VALUES }.of(schema, 0)
}

struct Sampler<'a> {
    named: &'a Value,
    /// References that are being followed.
    open: Vec<&'a str>,
    left: usize,
}

impl<'a> Sampler<'a> {
    fn of(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(value) = given(schema) {
            return Some(value.clone());
        }
        if BEYOND.iter().any(|word| schema.get(word).is_some()) {
            return None;
        }
        let inner = depth + 1;
        if let Some(name) = referred(schema) {
            return self.of_named(name, inner);
        }
        if let Some(all) = schema["allOf"].as_array() {
            // What all of several allow is more than can be seen here.
            return if let [one] = &all[..] { self.of(one, inner) } else { None };
        }
        if let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|word| schema[*word].as_array()) {
            return choices.iter().find_map(|choice| self.of(choice, inner));
        }
        match schema["type"].as_str()? {
            "boolean" => Some(json!(false)),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "string" => text(schema),
            "null" => Some(Value::Null),
            "array" => self.list(schema, inner),
            "object" => self.object(schema, inner),
            _ => None,
        }
    }

    /// What is within itself has no end.
    fn of_named(&mut self, name: &'a str, depth: usize) -> Option<Value> {
        let schema = self.named.get(name).filter(|_| !self.open.contains(&name))?;
        self.open.push(name);
        let value = self.of(schema, depth);
        self.open.pop();
        value
    }

    fn list(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        let list: Vec<Value> = match (schema["prefixItems"].as_array(), schema.get("items")) {
            (Some(items), _) => items.iter().map(|item| self.of(item, depth)).collect::<Option<_>>()?,
            (None, Some(item)) if most > 0 => vec![self.of(item, depth)?],
            _ => Vec::new(),
        };
        let length = list.len() as u64;
        (schema["minItems"].as_u64().unwrap_or(0) <= length && length <= most).then(|| list.into())
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = self.of(field, depth) {
                object.insert(name.clone(), value);
            }
        }
        required.iter().all(|name| object.contains_key(*name)).then(|| object.into())
    }
}

/// The schema's own word for it.
fn given(schema: &Value) -> Option<&Value> {
    let said = [&schema["examples"][0], &schema["example"], &schema["default"]];
    let only = || schema.get("const").or_else(|| schema["enum"].get(0));
    said.into_iter().find(|value| !value.is_null()).or_else(only)
}

/// The name of the schema that this one is.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn number(schema: &Value, whole: bool) -> Option<Value> {
    let bound = |word: &str, otherwise: f64| schema[word].as_f64().unwrap_or(otherwise);
    let (least, above) = (bound("minimum", f64::NEG_INFINITY), bound("exclusiveMinimum", f64::NEG_INFINITY));
    let (most, below) = (bound("maximum", f64::INFINITY), bound("exclusiveMaximum", f64::INFINITY));
    let (low, high) = (least.max(above), most.min(below));
    let usual = if whole { 0.0 } else { 0.5 };
    let candidates = if whole {
        [usual, low.ceil(), low.floor() + 1.0, high.floor(), high.ceil() - 1.0]
    } else {
        [usual, low, low + 1.0, high - 1.0, f64::midpoint(low, high)]
    };
    let fits = |value: &f64| *value >= least && *value > above && *value <= most && *value < below;
    // Beyond, floating-point numbers are not whole numbers apart.
    let fair = |value: &f64| value.is_finite() && (!whole || value.abs() < 9e15);
    let value = candidates.into_iter().find(|value| fits(value) && fair(value))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is small and whole")]
    let whole_value = || json!(value as i64);
    Some(if whole { whole_value() } else { json!(value) })
}

fn text(schema: &Value) -> Option<Value> {
    let length = |word: &str| schema[word].as_u64().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let (least, most) = (length("minLength").unwrap_or(0), length("maxLength").unwrap_or(usize::MAX));
    let text = match schema["format"].as_str() {
        Some(format) => FORMATS.iter().find(|(known, _)| *known == format)?.1,
        None => &"text"[..most.min(4)],
    };
    (least..=most).contains(&text.len()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(schema: &Value) -> Option<Value> {
        sample(schema, &Value::Null)
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
        });
        let point = json!({ "$ref": "#/components/schemas/Point" });
        let expected = json!({ "x": 0.5, "unit": "mm", "labels": ["text"], "pair": [0, false] });
        assert_eq!(sample(&point, &named), Some(expected));
        for (schema, expected) in [
            (json!({ "type": "integer", "default": 7 }), json!(7)),
            (json!({ "enum": [null, 1] }), json!(null)),
            (json!({ "const": "leaf", "type": "string" }), json!("leaf")),
            (json!({ "allOf": [{ "type": "integer" }] }), json!(0)),
            (json!({ "type": "array", "items": {}, "maxItems": 0 }), json!([])),
        ] {
            assert_eq!(plain(&schema), Some(expected), "{schema}");
        }
        assert_eq!(plain(&json!({})), None);
    }

    #[test]
    fn numbers_keep_within_bounds() {
        for (bounds, expected) in [
            (json!({ "type": "integer", "minimum": 1 }), json!(1)),
            (json!({ "type": "integer", "exclusiveMinimum": 1 }), json!(2)),
            (json!({ "type": "integer", "minimum": 0.5 }), json!(1)),
            (json!({ "type": "integer", "maximum": -3 }), json!(-3)),
            (json!({ "type": "integer", "exclusiveMaximum": -3 }), json!(-4)),
            (json!({ "type": "integer", "minimum": 5, "maximum": 4 }), json!(null)),
            (json!({ "type": "integer", "minimum": 1e300 }), json!(null)),
            (json!({ "type": "number", "minimum": 1 }), json!(1.0)),
            (json!({ "type": "number", "exclusiveMinimum": 1 }), json!(2.0)),
            (json!({ "type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2 }), json!(1.5)),
            (json!({ "type": "number", "maximum": 0 }), json!(-1.0)),
            (json!({ "type": "number", "minimum": 0.1, "maximum": 0.1 }), json!(0.1)),
        ] {
            assert_eq!(plain(&bounds).unwrap_or_default(), expected, "{bounds}");
        }
    }

    #[test]
    fn what_a_schema_may_forbid_is_no_example() {
        for schema in [
            json!({ "type": "string", "format": "binary" }),
            json!({ "type": "string", "format": "ipv4" }),
            json!({ "type": "string", "pattern": "^x$" }),
            json!({ "type": "string", "minLength": 5 }),
            json!({ "type": "integer", "multipleOf": 7 }),
            json!({ "type": "array", "items": { "type": "integer" }, "minItems": 2 }),
            json!({ "type": "array", "prefixItems": [{ "type": "integer" }], "minItems": 2 }),
            json!({ "type": "object", "required": ["x"] }),
            json!({ "allOf": [{ "type": "integer" }, { "type": "number" }] }),
        ] {
            assert_eq!(plain(&schema), None, "{schema}");
        }
        assert_eq!(plain(&json!({ "type": "string", "maxLength": 2 })), Some(json!("te")));
        assert_eq!(plain(&json!({ "type": "string", "format": "date" })), Some(json!("2000-01-31")));
    }

    #[test]
    fn what_holds_itself_ends() {
        let node = json!({ "$ref": "#/x/Node" });
        let four = json!({ "a": node, "b": node, "c": node, "d": node, "x": { "type": "integer" } });
        let all = json!({ "Node": { "type": "object", "properties": four } });
        assert_eq!(sample(&node, &all), Some(json!({ "x": 0 })));
        let endless = json!({ "Node": { "type": "object", "properties": { "next": node }, "required": ["next"] } });
        assert_eq!(sample(&node, &endless), None);
        let ends =
            json!({ "Node": { "type": "object", "properties": { "next": { "anyOf": [node, { "type": "null" }] } } } });
        assert_eq!(sample(&node, &ends), Some(json!({ "next": null })));
    }

    #[test]
    fn each_of_many_that_hold_one_another_is_not_followed_for_ever() {
        let names: Vec<_> = (0..12).map(|number| format!("N{number}")).collect();
        let fields: Map<_, _> = names.iter().map(|name| (name.clone(), json!({ "$ref": name }))).collect();
        let record = json!({ "type": "object", "properties": fields });
        let named: Map<_, _> = names.iter().map(|name| (name.clone(), record.clone())).collect();
        let example = sample(&record, &named.into()).expect("no field is needed");
        assert!(example.to_string().matches(':').count() < MAX_VALUES);
    }
}
