use proptest::prelude::*;

use super::{super::super::decode::Data, *};
use crate::onnx::signature::{
    Dim::{self, Any, Fixed},
    Element, Output as Known,
};

fn signature() -> Signature {
    let input = |name: &str, element, dims: &[Dim]| Input { name: name.to_owned(), element, dims: dims.to_vec() };
    let output = |name: &str, form| Known { name: name.to_owned(), form };
    let n = || Any("n".to_owned());
    Signature {
        inputs: vec![input("a", Element::F32, &[n(), Fixed(2)]), input("b", Element::Text, &[n()])],
        outputs: vec![
            output("y", Form::Tensor(Element::F32, vec![n()])),
            output("z", Form::Tensor(Element::I64, vec![n()])),
            output("maps", Form::Scores { text_keys: true }),
        ],
    }
}

const A: &str = r#"{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2.5]}"#;
const B: &str = r#"{"name":"b","datatype":"BYTES","shape":[2],"data":["x","é"]}"#;

fn body(inputs: &[&str], rest: &str) -> String {
    format!(r#"{{"inputs":[{}]{rest}}}"#, inputs.join(","))
}

fn infer(body: &str) -> Result<Infer, String> {
    parse(body.as_bytes(), None, &signature())
}

fn refused(inputs: &[&str], rest: &str) -> String {
    infer(&body(inputs, rest)).unwrap_err()
}

fn arrays() -> Vec<Array> {
    vec![
        Array { shape: vec![1, 2], data: Data::F32(vec![1.0, 2.5]) },
        Array { shape: vec![2], data: Data::Text(vec!["x".to_owned(), "é".to_owned()]) },
    ]
}

#[test]
fn the_order_of_inputs_and_fields_is_free() {
    let want = Infer {
        id: None,
        arrays: arrays(),
        outputs: vec![Asked { index: 0, binary: false }, Asked { index: 1, binary: false }],
    };
    assert_eq!(infer(&body(&[A, B], "")), Ok(want));
    let nested = r#"{"data":[[1,2.5]],"shape":[1,2],"datatype":"FP32","name":"a","parameters":{"other":[1]}}"#;
    let got = infer(&body(&[B, nested], r#","id":"7","parameters":{"priority":2,"binary_data_output":true}"#)).unwrap();
    assert_eq!((got.id.as_deref(), got.arrays), (Some("7"), arrays()));
    assert!(got.outputs.iter().all(|output| output.binary));
}

#[test]
fn outputs_are_chosen_in_their_order() {
    let asked = |outputs: &str, default: bool| {
        let rest = format!(r#","parameters":{{"binary_data_output":{default}}},"outputs":{outputs}"#);
        infer(&body(&[A, B], &rest)).map(|infer| infer.outputs)
    };
    let all = |binary| vec![Asked { index: 0, binary }, Asked { index: 1, binary }];
    assert_eq!(asked("[]", true), Ok(all(true)));
    assert_eq!(asked("null", false), Ok(all(false)));
    let chosen = r#"[{"name":"z"},{"name":"y","parameters":{"binary_data":false}}]"#;
    assert_eq!(asked(chosen, true), Ok(vec![Asked { index: 1, binary: true }, Asked { index: 0, binary: false }]));
    let why = |outputs: &str| asked(outputs, false).unwrap_err();
    assert_eq!(why(r#"[{"name":"q"}]"#), "the model has no output `q`; it gives `y`, `z`, `maps`");
    assert_eq!(why(r#"[{"name":"y"},{"name":"y"}]"#), "the output `y` is asked for twice");
    assert!(why(r#"[{"name":"maps"}]"#).contains("zipmap"));
    assert!(why(r#"[{"name":"y","parameters":{"classification":3}}]"#).contains("ask for the tensor"));
    assert!(why(r#"[{"name":"y","parameters":{"shared_memory_region":"r"}}]"#).contains("shared memory"));
}

#[test]
fn mistakes_are_told_with_the_remedy() {
    let takes = "`a` (FP32 [n, 2]), `b` (BYTES [n])";
    assert_eq!(refused(&[A], ""), format!("the input `b` is missing; the model takes {takes}"));
    assert_eq!(refused(&[A, A], ""), "the input `a` is given twice");
    assert_eq!(refused(&[A, B, B], ""), format!("there are more inputs than the model takes, which are {takes}"));
    assert_eq!(infer(""), Err(format!("there is no JSON; POST an object whose `inputs` are {takes}")));
    assert!(infer("[1]").unwrap_err().contains(&format!("expected an object whose `inputs` are {takes}")));
    assert!(infer(r#"{"inputs":[}"#).unwrap_err().starts_with("the body is not valid JSON: "));
    let sequence = refused(&[A, B], r#","parameters":{"sequence_id":7}"#);
    assert_eq!(sequence, "the request is part of a sequence, which is not served: the model keeps no state");
    for (input, why) in [
        (r#"{"name":"c"}"#, format!("the model has no input `c`; it takes {takes}")),
        (r#"{"name":"a","data":[1,2],"name":"b"}"#, "an input has two `name`s".to_owned()),
        (r#"{"data":[1]}"#, "an input has no `name`".to_owned()),
        (r#"{"name":"a","datatype":"BF16","shape":[1,2],"data":[1,2]}"#, "input `a` wants FP32, got BF16".to_owned()),
        (r#"{"name":"a","shape":[1,2],"data":[1,2]}"#, "input `a` has no `datatype`: it is FP32".to_owned()),
        (r#"{"name":"a","datatype":"FP32","data":[1,2]}"#, "input `a` has no `shape`, such as [1, 4]".to_owned()),
        (
            r#"{"name":"a","datatype":"FP32","shape":[2],"data":[1,2]}"#,
            "input `a` wants [n, 2], got [2]: wrap one sample in a list".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[-1,2],"data":[1,2]}"#,
            "the shape of input `a` has the size -1".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[9223372036854775807,2],"data":[1,2]}"#,
            "the shape of input `a` is too large".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[2,2],"data":[1,2,3]}"#,
            "the data of input `a` has the shape [3], but its shape is [2, 2]".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[1,2],"data":[[1],[2]]}"#,
            "the data of input `a` has the shape [2, 1], but its shape is [1, 2]".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,"2"]}"#,
            "`a[1]` is a string, but this input takes numbers".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[1,2]}"#,
            "input `a` has neither `data` nor `binary_data_size`".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}"#,
            "input `a` is sent as bytes: say in the header inference-header-content-length where they begin".to_owned(),
        ),
        (
            r#"{"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"shared_memory_region":"r"}}"#,
            "`a` is to be in shared memory, which is not served: send it in the body".to_owned(),
        ),
    ] {
        assert_eq!(refused(&[input, B], ""), why);
    }
}

#[test]
fn lists_without_end_are_refused_while_they_are_read() {
    let input = |shape: &str| format!(r#"{{"name":"a","datatype":"FP32","shape":[{shape}],"data":[1,2]}}"#);
    let long = input(&vec!["1"; 65].join(","));
    assert_eq!(refused(&[&long, B], ""), "invalid length 65, expected a list of at most 64 items");
    let outputs = vec![r#"{"name":"y"}"#; 4097].join(",");
    let why = refused(&[A, B], &format!(r#","outputs":[{outputs}]"#));
    assert_eq!(why, "invalid length 4097, expected a list of at most 4096 items");
    let name = "x".repeat(1 << 20);
    let why = refused(&[&format!(r#"{{"name":"{name}"}}"#)], "");
    assert!(why.len() < 200 && why.starts_with("the model has no input `xxx"), "{why}");
    let why = refused(&[A, B], &format!(r#","outputs":[{{"name":"{name}"}}]"#));
    assert!(why.len() < 200, "{why}");
}

const BINARY: &str = r#"{"inputs":[{"name":"b","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}},
    {"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}"#;

fn tensors() -> Vec<u8> {
    [b"\x01\0\0\0x\x02\0\0\0".as_slice(), "é".as_bytes(), &1_f32.to_le_bytes(), &2.5_f32.to_le_bytes()].concat()
}

#[test]
fn tensors_lie_behind_the_json_in_the_order_of_the_inputs() {
    let body = [BINARY.as_bytes(), &tensors()].concat();
    let read = |body: &[u8], length: &str| parse(body, Some(length), &signature());
    let length = BINARY.len().to_string();
    assert_eq!(read(&body, &length).unwrap().arrays, arrays());
    assert_eq!(
        read(&body[..body.len() - 1], &length).unwrap_err(),
        "input `a` has 8 bytes by `binary_data_size`, but 7 are left"
    );
    let long = [&body, [0].as_slice()].concat();
    assert_eq!(read(&long, &length).unwrap_err(), "the body has 1 bytes behind the last tensor");
    for bad in ["", "-1", "x", "99999999999999999999999", "100000"] {
        let why =
            format!("the header inference-header-content-length is `{bad}`, but the body has {} bytes", body.len());
        assert_eq!(read(&body, bad).unwrap_err(), why);
    }
    let huge = BINARY.replace(":8}", ":18446744073709551615}");
    let body = [huge.as_bytes(), &tensors()].concat();
    let why = read(&body, &huge.len().to_string()).unwrap_err();
    assert_eq!(why, "input `a` has 18446744073709551615 bytes by `binary_data_size`, but 8 are left");
}

proptest! {
    /// Neither a panic nor more elements than bytes, whatever a caller makes up.
    #[test]
    fn anything_is_read_or_refused(
        shape in prop::collection::vec(prop_oneof![-2_i64..5, any::<i64>()], 0..4),
        size: u64,
        small in 0_u64..24,
        length in 0_usize..400,
        tail: Vec<u8>,
    ) {
        for size in [size, small] {
            let json = format!(
                r#"{{"inputs":[{{"name":"a","datatype":"FP32","shape":{shape:?},"parameters":{{"binary_data_size":{size}}}}},{B}]}}"#
            );
            let body = [json.as_bytes(), &tail].concat();
            for length in [json.len(), length] {
                if let Ok(infer) = parse(&body, Some(&length.to_string()), &signature()) {
                    for array in infer.arrays {
                        prop_assert_eq!(array.shape.iter().product::<usize>(), array.data.len());
                    }
                }
            }
        }
    }
}
