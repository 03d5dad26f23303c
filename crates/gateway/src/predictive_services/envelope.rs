//! The body that old clients send: `{"data": ...}`, perhaps with the key beside it.

use identity::Secret;

use super::{json::members, refusal::Refusal};

/// Where the key is, the better place first. GraphLab's own clients wrote it with a space.
const KEYS: [&str; 2] = ["api_key", "api key"];
const DATA: &str = "data";

/// What a body has in it.
#[derive(Debug)]
pub(super) struct Envelope<'t> {
    pub(super) key: Option<Secret>,
    /// The value of `data` as it was written.
    pub(super) data: Option<&'t str>,
}

/// What a predictor gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Payload<'t> {
    /// An object (keyword arguments) or an array (positional ones), as it was written.
    pub(super) json: &'t str,
    /// Set if the client called a method of a model; then `json` is what it called it with.
    pub(super) method: Option<String>,
}

impl<'t> Envelope<'t> {
    /// Whatever the client says that it is, it is JSON.
    pub(super) fn parse(body: &'t [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::NotJson("is not UTF-8"))?;
        let (mut found, mut twice) = ([None; 3], false);
        let read = members(text, |name, value| {
            let known = [KEYS[0], KEYS[1], DATA].iter().position(|known| *known == name);
            if let Some(known) = known {
                twice |= found[known].replace(value).is_some();
            }
        });
        read.ok_or(Refusal::NotJson("is not one JSON object, or its end is missing"))?;
        if twice {
            return Err(Refusal::NotJson("has `data` or a key twice"));
        }
        let [first, second, data] = found;
        // What is no text is no key.
        let key = first.or(second).and_then(|key| serde_json::from_str::<String>(key).ok()).map(Secret::new);
        Ok(Self { key, data })
    }
}

/// A call of a model's method is an object of exactly `method`, a name, and `data`: every other object, `method` in it or not, is
/// the arguments of a function.
pub(super) fn payload(data: Option<&str>) -> Result<Payload<'_>, Refusal> {
    let data = data.ok_or(Refusal::NoData)?;
    if data.starts_with('[') {
        return Ok(Payload { json: data, method: None });
    }
    // One more than a call has.
    let mut first = Vec::with_capacity(3);
    let read = members(data, |name, value| {
        if first.len() < 3 {
            first.push((name.to_owned(), value));
        }
    });
    read.ok_or(Refusal::NoData)?;
    if let [(left_name, left), (right_name, right)] = &first[..] {
        let call = match (&**left_name, &**right_name) {
            ("method", DATA) => Some((left, right)),
            (DATA, "method") => Some((right, left)),
            _ => None,
        };
        if let Some((method, json)) = call
            && let Some(method) = serde_json::from_str::<String>(method).ok().filter(|method| is_name(method))
        {
            return Ok(Payload { json, method: Some(method) });
        }
    }
    Ok(Payload { json: data, method: None })
}

/// As Python and R write names of methods, so that it can stand in a header.
fn is_name(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|next| next.is_ascii_alphanumeric() || "_.".contains(next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{super::json::tests::json as any_json, *};

    fn key(body: &str) -> Option<String> {
        Envelope::parse(body.as_bytes()).unwrap().key.map(|key| key.expose().to_owned())
    }

    #[test]
    fn the_key_is_in_either_place() {
        for (body, wanted) in [
            (r#"{"api_key": "K", "data": {}}"#, Some("K")),
            (r#"{"data": {}, "api key": "K"}"#, Some("K")),
            (r#"{"api key": "second", "api_key": "first"}"#, Some("first")),
            (r#"{"api_key": "\u004b"}"#, Some("K")),
            (r#"{"api_key": 7}"#, None),
            (r#"{"api_key": null, "api key": "K"}"#, None),
            (r#"{"data": {"api_key": "K"}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(key(body).as_deref(), wanted, "{body}");
        }
    }

    #[test]
    fn a_body_with_two_readings_has_none() {
        for body in [
            &br#"{"data": 1, "data": 2}"#[..],
            br#"{"api_key": "a", "api_key": "b"}"#,
            br#"{"data": {"name": "Joa~o"}"#,
            b"{\"data\": \"\xff\"}",
            b"",
        ] {
            assert!(matches!(Envelope::parse(body), Err(Refusal::NotJson(_))), "{body:?}");
        }
    }

    #[test]
    fn a_method_is_called_only_in_one_form() {
        for (data, payload, method) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1, "b": 2}"#, None),
            ("[1, 2]", "[1, 2]", None),
            ("[]", "[]", None),
            (r#"{"method": "predict", "data": {"dataset": [1.0]}}"#, r#"{"dataset": [1.0]}"#, Some("predict")),
            (r#"{"data": [3], "method": "recommend"}"#, "[3]", Some("recommend")),
            (r#"{"method": "predict"}"#, r#"{"method": "predict"}"#, None),
            (r#"{"method": 1, "data": 2}"#, r#"{"method": 1, "data": 2}"#, None),
            (r#"{"method": "a b", "data": 2}"#, r#"{"method": "a b", "data": 2}"#, None),
            (r#"{"method": "", "data": 2}"#, r#"{"method": "", "data": 2}"#, None),
            (r#"{"method": "m", "data": 2, "x": 3}"#, r#"{"method": "m", "data": 2, "x": 3}"#, None),
        ] {
            let wanted = Payload { json: payload, method: method.map(str::to_owned) };
            assert_eq!(super::payload(Some(data)).unwrap(), wanted, "{data}");
        }
        for data in [None, Some("1"), Some("null"), Some("\"x\"")] {
            assert!(matches!(payload(data), Err(Refusal::NoData)), "{data:?}");
        }
    }

    proptest! {
        /// Whatever the arguments are, the predictor gets them and never the key.
        #[test]
        fn arguments_arrive_and_the_key_does_not(value in any_json(), first: bool, spaced: bool) {
            let secret = "not-in-any-generated-value-0123456789";
            let key = if spaced { "api key" } else { "api_key" };
            let data = if value.is_array() { value } else { json!({ "argument": value }) };
            let body = match first {
                true => format!("{{\"{key}\": \"{secret}\", \"data\": {data}}}"),
                false => format!("{{\"data\":{data},\n\"{key}\":\"{secret}\"}}"),
            };
            let envelope = Envelope::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(envelope.key.as_ref().map(Secret::expose), Some(secret));
            let payload = payload(envelope.data).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(payload.json).unwrap(), data);
            prop_assert!(!payload.json.contains(secret));
        }
    }
}
