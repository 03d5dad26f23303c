use proptest::prelude::*;

use super::*;
use crate::onnx::{
    encode::tests::text,
    signature::Dim::{Any, Fixed},
};

fn signature(inputs: &[(&str, Element, &[Dim])]) -> Signature {
    let inputs = inputs
        .iter()
        .map(|(name, element, dims)| Input { name: (*name).to_owned(), element: *element, dims: dims.to_vec() })
        .collect();
    Signature { inputs, outputs: Vec::new() }
}

use crate::onnx::signature::Dim;

fn batch() -> Dim {
    Any("batch".to_owned())
}

/// A model with the input `x` of this type and two dimensions.
fn one(element: Element) -> Signature {
    signature(&[("x", element, &[batch(), Fixed(2)])])
}

fn refusal(body: &str, signature: &Signature) -> String {
    arrays(body.as_bytes(), signature).unwrap_err()
}

#[test]
fn reads_by_name_and_bare() {
    let want = [Array { shape: vec![2, 2], data: Data::F32(vec![1.0, 2.5, -3.0, 4.0]) }];
    for body in [r#"{"x": [[1, 2.5], [-3, 4e0]]}"#, " [[1,2.5],[-3,4]] "] {
        assert_eq!(arrays(body.as_bytes(), &one(Element::F32)).unwrap(), want);
    }
    let two = signature(&[("a", Element::Text, &[batch()]), ("b", Element::I64, &[])]);
    let want = [
        Array { shape: vec![1], data: Data::Text(vec!["é\n".to_owned()]) },
        Array { shape: vec![], data: Data::I64(vec![-7]) },
    ];
    assert_eq!(arrays(r#"{"b": -7, "a": ["é\n"]}"#.as_bytes(), &two).unwrap(), want);
}

#[test]
fn an_empty_batch_is_a_batch() {
    let flat = signature(&[("x", Element::F32, &[batch()])]);
    assert_eq!(arrays(b"[]", &flat).unwrap(), [Array { shape: vec![0], data: Data::F32(vec![]) }]);
}

#[test]
fn refuses_elements_without_end() {
    let model = signature(&[("x", Element::F32, &[batch()])]);
    let body = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(arrays(body(1024).as_bytes(), &model).unwrap()[0].shape, [1024]);
    let why = refusal(&body(1025), &model);
    assert!(why.starts_with("`x` has more than 1024 elements: send a large tensor as bytes"), "{why}");
}

#[test]
fn refuses_wrong_inputs_by_name() {
    let two = signature(&[("a", Element::F32, &[batch(), Fixed(2)]), ("b", Element::Text, &[])]);
    let takes = "`a` (float32 [batch, 2]), `b` (string)";
    assert_eq!(refusal(r#"{"c": 1}"#, &two), format!("the model has no input `c`; it takes {takes}"));
    assert_eq!(refusal(r#"{"b": "x"}"#, &two), format!("the input `a` is missing; the model takes {takes}"));
    assert_eq!(refusal(r#"{"b": "x", "b": "y"}"#, &two), "the input `b` is given twice");
    assert_eq!(refusal("[[1, 2]]", &two), format!("the body is a list; POST a JSON object with {takes}"));
    assert_eq!(refusal("", &two), format!("the body is empty; POST a JSON object with {takes}"));
    let not_an_object = refusal("3", &two);
    assert_eq!(not_an_object, format!("invalid type: integer `3`, expected a JSON object with {takes}"));
}

#[test]
fn refuses_wrong_shapes_with_the_remedy() {
    let model = one(Element::F32);
    assert_eq!(refusal("[1, 2]", &model), "input `x` wants [batch, 2], got [2]: wrap one sample in a list");
    assert_eq!(refusal("[[1, 2, 3]]", &model), "input `x` wants [batch, 2], got [1, 3]");
    assert_eq!(refusal(r#"{"x": 1}"#, &model), "input `x` wants [batch, 2], got []");
    assert_eq!(refusal("[[[1, 2]]]", &model), "input `x` wants [batch, 2], got [1, 1, 2]");
}

#[test]
fn refuses_ragged_lists_at_their_place() {
    let model = one(Element::F32);
    let long = ": lists at the same depth must be equally long";
    assert_eq!(refusal("[[1, 2], [3]]", &model), format!("`x[1]` has 1 elements where its neighbours have 2{long}"));
    assert_eq!(refusal("[[], [3]]", &model), format!("`x[1]` has 1 elements where its neighbours have 0{long}"));
    assert_eq!(refusal("[[1, 2], 3]", &model), "`x[1]` is 3, but its neighbours are lists");
    assert_eq!(refusal("[[], 3]", &model), "`x[1]` is 3, but its neighbours are lists");
    assert_eq!(refusal("[1, [2]]", &model), "`x[1]` is a list, but its neighbours are not");
    assert_eq!(refusal("[[1, 2], [3, [4]]]", &model), "`x[1][1]` is a list, but its neighbours are not");
}

#[test]
fn refuses_wrong_elements_at_their_place() {
    let cases = [
        (Element::F32, "null", "`x[0][1]` is null, but this input takes numbers"),
        (Element::F32, "\"a\"", "`x[0][1]` is a string, but this input takes numbers"),
        (Element::F32, "true", "`x[0][1]` is true, but this input takes numbers"),
        (Element::F32, "{\"a\": [1]}", "`x[0][1]` is an object, but this input takes numbers"),
        (Element::F32, "1e39", "`x[0][1]` is 1e39, out of range for float32"),
        (Element::F16, "70000", "`x[0][1]` is 70000, out of range for float16"),
        (Element::I64, "1.0", "`x[0][1]` is 1.0, but this input takes whole numbers"),
        (Element::I64, "9223372036854775808", "`x[0][1]` is 9223372036854775808, out of range for int64"),
        (Element::I8, "-129", "`x[0][1]` is -129, out of range for int8"),
        (Element::U8, "-1", "`x[0][1]` is -1, out of range for uint8"),
        (Element::U64, "18446744073709551616", "`x[0][1]` is 1.8446744073709552e19, out of range for uint64"),
        (Element::Bool, "1", "`x[0][1]` is 1, but this input takes true and false"),
        (Element::Text, "1", "`x[0][1]` is 1, but this input takes strings without NUL characters"),
        (Element::Text, "\"a\\u0000b\"", "`x[0][1]` is a string, but this input takes strings without NUL characters"),
    ];
    for (element, value, want) in cases {
        let good = match element {
            Element::Bool => "true",
            Element::Text => "\"t\"",
            _ => "1",
        };
        assert_eq!(refusal(&format!("[[{good}, {value}]]"), &one(element)), want);
    }
}

#[test]
fn broken_json_is_named_with_its_place() {
    let model = one(Element::F32);
    for body in ["[[1, 2]", "{\"x\" [", "[[1,2]] x", "[[NaN, 1]]", "[[1, 1e999]]"] {
        let text = refusal(body, &model);
        assert!(text.starts_with("the body is not valid JSON: ") && text.contains("line 1 column"), "{text}");
    }
    let deep = "[".repeat(10_000);
    assert!(refusal(&deep, &model).contains("recursion limit"));
}

/// A shape of at most three dimensions and its number of elements.
fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..5, 1..4)
}

macro_rules! round_trips {
    ($($name:ident: $type:ty, $element:ident, $strategy:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(
                (shape, data) in shapes().prop_flat_map(|shape| {
                    let count = shape.iter().product::<usize>();
                    (Just(shape), prop::collection::vec($strategy, count))
                })
            ) {
                let dims: Vec<_> = shape.iter().map(|_| batch()).collect();
                let model = signature(&[("x", Element::$element, &dims)]);
                let got = arrays(text(&shape, &data).as_bytes(), &model);
                prop_assert_eq!(got, Ok(vec![Array { shape, data: Data::$element(data) }]));
            }
        )*}
    };
}

round_trips! {
    every_f32_reads_back: f32, F32, prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO;
    every_f64_reads_back: f64, F64, prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    every_i64_reads_back: i64, I64, any::<i64>();
    every_u64_reads_back: u64, U64, any::<u64>();
    every_i8_reads_back: i8, I8, any::<i8>();
    every_bool_reads_back: bool, Bool, any::<bool>();
    every_string_reads_back: String, Text, "[^\0]{0,8}";
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = arrays(&body, &one(Element::F32));
    }

    #[test]
    fn no_json_panics(body in r#"[\[\]{}:,"x0-9.eE \-]{0,60}"#) {
        let _ = arrays(body.as_bytes(), &one(Element::I32));
    }
}
