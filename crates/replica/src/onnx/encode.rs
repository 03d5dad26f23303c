//! The plain JSON form of an answer: `{"<output>": nested lists, ...}` in the model's order.
//!
//! Floats are written with the fewest digits that read back as the same value of their type. JSON has no NaN and no
//! infinities; they become `null`.

use half::f16;
use ort::value::{DynMapValueType, DynValue};
use serde::Serialize;

use super::{
    rows::Rows,
    signature::{Element, Form, Output},
};

/// All outputs as one JSON object, as far as they are the caller's.
pub(super) fn answer(outputs: &[Output], values: &[DynValue], rows: &Rows) -> ort::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(256);
    for (output, value) in outputs.iter().zip(values) {
        json.push(if json.is_empty() { b'{' } else { b',' });
        write(&mut json, &output.name);
        json.push(b':');
        match &output.form {
            Form::Tensor(element, _) => tensor(&mut json, *element, value, rows, Layout::Nested)?,
            Form::Scores { text_keys: false } => scores::<i64>(&mut json, value, rows)?,
            Form::Scores { text_keys: true } => scores::<String>(&mut json, value, rows)?,
        }
    }
    json.extend(if json.is_empty() { b"{}".as_slice() } else { b"}" });
    Ok(json)
}

/// How the elements of a tensor are put into lists.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    /// As the shape says.
    Nested,
    /// All in one.
    Flat,
}

impl Layout {
    fn sizes(self, shape: Vec<usize>, count: usize) -> Vec<usize> {
        match self {
            Self::Nested => shape,
            Self::Flat => vec![count],
        }
    }
}

pub(super) fn tensor(
    json: &mut Vec<u8>,
    element: Element,
    value: &DynValue,
    rows: &Rows,
    layout: Layout,
) -> ort::Result<()> {
    macro_rules! numbers {
        ($type:ty) => {{
            let (shape, data) = rows.cut(value.try_extract_tensor::<$type>()?);
            nested(json, &layout.sizes(shape, data.len()), data, &mut write);
        }};
    }
    match element {
        Element::Bool => numbers!(bool),
        Element::F32 => numbers!(f32),
        Element::F64 => numbers!(f64),
        Element::I8 => numbers!(i8),
        Element::I16 => numbers!(i16),
        Element::I32 => numbers!(i32),
        Element::I64 => numbers!(i64),
        Element::U8 => numbers!(u8),
        Element::U16 => numbers!(u16),
        Element::U32 => numbers!(u32),
        Element::U64 => numbers!(u64),
        Element::F16 => {
            let (shape, data) = rows.cut(value.try_extract_tensor::<f16>()?);
            nested(json, &layout.sizes(shape, data.len()), data, &mut |json, value: &f16| write(json, &value.to_f32()));
        }
        Element::Text => {
            let (shape, all) = value.try_extract_strings()?;
            let (shape, data) = rows.cut((shape, &all));
            nested(json, &layout.sizes(shape, data.len()), data, &mut write);
        }
    }
    Ok(())
}

/// A sequence of maps as a list of objects; the keys of a JSON object are strings.
fn scores<K>(json: &mut Vec<u8>, value: &DynValue, rows: &Rows) -> ort::Result<()>
where
    K: ort::value::IntoTensorElementType + Clone + std::hash::Hash + Eq + ToString,
{
    let maps = value.try_extract_sequence::<DynMapValueType>()?;
    json.push(b'[');
    for (index, map) in rows.items(&maps).iter().enumerate() {
        json.extend(if index > 0 { b",{".as_slice() } else { b"{" });
        for (index, (class, score)) in map.try_extract_key_values::<K, f32>()?.into_iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            write(json, &class.to_string());
            json.push(b':');
            write(json, &score);
        }
        json.push(b'}');
    }
    json.push(b']');
    Ok(())
}

pub(super) fn sizes(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|size| usize::try_from(*size).unwrap_or_default()).collect()
}

/// Row-major `data` as lists in lists.
fn nested<T>(json: &mut Vec<u8>, shape: &[usize], data: &[T], element: &mut impl FnMut(&mut Vec<u8>, &T)) {
    let Some((length, inner)) = shape.split_first() else {
        if let Some(value) = data.first() {
            element(json, value);
        }
        return;
    };
    let size: usize = inner.iter().product();
    json.push(b'[');
    for index in 0..*length {
        if index > 0 {
            json.push(b',');
        }
        nested(json, inner, &data[index * size..][..size], element);
    }
    json.push(b']');
}

pub(super) fn write<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(json, value).expect("numbers and strings are written to memory without errors");
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn text<T: Serialize>(shape: &[usize], data: &[T]) -> String {
        let mut json = Vec::new();
        nested(&mut json, shape, data, &mut write);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn lists_follow_the_shape() {
        assert_eq!(text(&[], &[7]), "7");
        assert_eq!(text(&[3], &[1, 2, 3]), "[1,2,3]");
        assert_eq!(text(&[2, 1, 2], &[1, 2, 3, 4]), "[[[1,2]],[[3,4]]]");
        assert_eq!(text::<i64>(&[0], &[]), "[]");
        assert_eq!(text::<i64>(&[2, 0], &[]), "[[],[]]");
        assert_eq!(text(&[2], &["a\"b", "é"]), r#"["a\"b","é"]"#);
    }

    #[test]
    fn floats_are_short_and_what_json_lacks_is_null() {
        assert_eq!(text(&[3], &[0.1_f32, 1e-30, 16_777_216.0]), "[0.1,1e-30,16777216.0]");
        assert_eq!(text(&[3], &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]), "[null,null,null]");
    }
}
