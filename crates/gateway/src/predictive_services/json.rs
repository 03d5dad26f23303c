//! The members of a JSON object as they were written: the client's numbers, order and escapes reach the predictor untouched.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

/// Calls `each` with name and text of each member, in their order, and keeps none of them: a member of five bytes is not to cost
/// ten times as much. `None` if the text is not exactly one JSON object; some members may have been told of by then.
pub(super) fn members<'t>(text: &'t str, mut each: impl FnMut(&str, &'t str)) -> Option<()> {
    let mut rest = begin(text).strip_prefix('{')?;
    if let Some(end) = begin(rest).strip_prefix('}') {
        return begin(end).is_empty().then_some(());
    }
    loop {
        let (name, after) = value(rest)?;
        // Names with half a surrogate pair are names of nothing that is asked for here.
        let read = name.starts_with('"').then(|| serde_json::from_str::<Cow<'_, str>>(name))?;
        let (value, after) = value(begin(after).strip_prefix(':')?)?;
        each(read.as_deref().unwrap_or(name), value);
        let after = begin(after);
        match (after.strip_prefix(','), after.strip_prefix('}')) {
            (Some(more), _) => rest = more,
            (_, Some(end)) => return begin(end).is_empty().then_some(()),
            _ => return None,
        }
    }
}

/// The value that the text begins with, and what comes after it.
fn value(text: &str) -> Option<(&str, &str)> {
    let text = begin(text);
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    text.split_at_checked(values.byte_offset())
}

/// Without the white space at its beginning, as JSON knows it (RFC 8259, 2).
fn begin(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON value, three levels deep.
    pub(in super::super) fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn members(text: &str) -> Option<Vec<(String, &str)>> {
        let mut all = Vec::new();
        super::members(text, |name, value| all.push((name.to_owned(), value))).map(|()| all)
    }

    #[test]
    fn members_are_as_they_were_written() {
        let text = " {\"a\" : 1.50e+00 ,\r\n\"\\u0062\":{\"x\":[1,{}]},\t\"a\":\"}\\\"\", \"\\ud800\":\"\\ud800\"} ";
        let members = members(text).expect("it is an object");
        let wanted = [("a", "1.50e+00"), ("b", "{\"x\":[1,{}]}"), ("a", "\"}\\\"\""), ("\"\\ud800\"", "\"\\ud800\"")];
        assert_eq!(members.iter().map(|(name, value)| (&**name, *value)).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_not_one_object_has_none() {
        for text in [
            "",
            " ",
            "1",
            "[]",
            "null",
            "\"{}\"",
            "{",
            "}",
            "{}}",
            "{}{}",
            "{} x",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "{\"a\":1]",
            "\u{feff}{}",
            "\u{a0}{}",
            "{\"a\":\"\t\"}",
            "{\"data\": {\"x\": \"\u{ed}\"}",
        ] {
            assert_eq!(members(text), None, "{text}");
        }
        assert_eq!(members(" { } "), Some(Vec::new()));
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = 1_000_000;
        let text = format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert_eq!(members(&text).map(|members| members[0].1.len()), Some(2 * deep));
    }

    proptest! {
        #[test]
        fn agrees_with_the_parser(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let ours = members(&text).map(|members| {
                let read = |(name, value): (String, &str)| (name, serde_json::from_str::<Value>(value).unwrap());
                members.into_iter().map(read).collect::<serde_json::Map<_, _>>()
            });
            prop_assert_eq!(ours.as_ref(), value.as_object());
        }

        #[test]
        fn takes_nothing_that_the_parser_does_not(text in "[{}\\[\\]\":,a1 \\\\-]{0,12}") {
            let parsed = serde_json::from_str::<serde_json::Map<String, Value>>(&text);
            prop_assert_eq!(members(&text).is_some(), parsed.is_ok(), "{}", text);
        }
    }
}
