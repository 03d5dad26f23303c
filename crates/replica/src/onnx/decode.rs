//! The plain JSON form of a request: `{"<input>": nested lists, ...}`, or the nested lists alone for a model with one
//! input.
//!
//! Numbers go from the text straight into the tensor's buffer, without a tree of JSON values in between. The shape is
//! learnt on the way and then compared with the model's, so that a mistake is answered with the place and the remedy.
//! Numbers are read as 64-bit floats and rounded once to the input's type, as NumPy does.

mod scalar;

use std::{cell::Cell, fmt};

use half::f16;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use scalar::{Refused, Scalar};

use super::{
    shown::Shown,
    signature::{Element, Input, Shape, Signature, fits},
};

/// Most elements of one input in JSON, of which two bytes can become a text of 24: more is for binary tensors.
const MOST_ELEMENTS: usize = if cfg!(test) { 1 << 10 } else { 16 << 20 };

/// A tensor as parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
}

/// Elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Bool(Vec<bool>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Text(Vec<String>),
}

impl Data {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bool(data) => data.len(),
            Self::F16(data) => data.len(),
            Self::F32(data) => data.len(),
            Self::F64(data) => data.len(),
            Self::I8(data) => data.len(),
            Self::I16(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::U8(data) => data.len(),
            Self::U16(data) => data.len(),
            Self::U32(data) => data.len(),
            Self::U64(data) => data.len(),
            Self::Text(data) => data.len(),
        }
    }
}

/// One array per input, in the model's order; or what is wrong, for the caller.
pub(super) fn arrays(body: &[u8], signature: &Signature) -> Result<Vec<Array>, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(format!("the body is empty; POST a JSON object with {}", signature.wanted()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    json.deserialize_any(Body(signature)).and_then(|arrays| json.end().map(|()| arrays)).map_err(|error| told(&error))
}

/// What is wrong with the body, for the caller.
pub(super) fn told(error: &serde_json::Error) -> String {
    // The place in the text is of use for broken JSON only; otherwise the message names the place in the lists.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    match error.is_data() {
        true => text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        false => format!("the body is not valid JSON: {text}"),
    }
}

struct Body<'a>(&'a Signature);

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Vec<Array>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a JSON object with {}", self.0.wanted())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Array>, A::Error> {
        let inputs = &self.0.inputs;
        let mut arrays: Vec<Option<Array>> = vec![None; inputs.len()];
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let Some(index) = inputs.iter().position(|input| input.name == key) else {
                let (key, takes) = (Shown(&key), self.0.wanted());
                return Err(A::Error::custom(format!("the model has no input `{key}`; it takes {takes}")));
            };
            if arrays[index].is_some() {
                return Err(A::Error::custom(format!("the input `{key}` is given twice")));
            }
            arrays[index] = Some(map.next_value_seed(Seed(&inputs[index]))?);
        }
        let missing = inputs.iter().zip(&arrays).find_map(|(input, array)| array.is_none().then_some(&input.name));
        if let Some(name) = missing {
            return Err(A::Error::custom(format!(
                "the input `{name}` is missing; the model takes {}",
                self.0.wanted()
            )));
        }
        Ok(arrays.into_iter().flatten().collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<Array>, A::Error> {
        match self.0.inputs.as_slice() {
            [input] => Ok(vec![Seed(input).deserialize(SeqAccessDeserializer::new(seq))?]),
            _ => Err(A::Error::custom(format!("the body is a list; POST a JSON object with {}", self.0.wanted()))),
        }
    }
}

/// Reads one input.
struct Seed<'a>(&'a Input);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Array;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Array, D::Error> {
        let input = self.0;
        let array = lists(input, json)?;
        if !input.accepts(&array.shape) {
            return Err(D::Error::custom(wrong_shape(input, &array.shape)));
        }
        Ok(array)
    }
}

/// Nested lists of what `input` takes, whatever their shape.
pub(super) fn lists<'de, D: Deserializer<'de>>(input: &Input, json: D) -> Result<Array, D::Error> {
    match input.element {
        Element::Bool => nested(input, json, Data::Bool),
        Element::F16 => nested(input, json, Data::F16),
        Element::F32 => nested(input, json, Data::F32),
        Element::F64 => nested(input, json, Data::F64),
        Element::I8 => nested(input, json, Data::I8),
        Element::I16 => nested(input, json, Data::I16),
        Element::I32 => nested(input, json, Data::I32),
        Element::I64 => nested(input, json, Data::I64),
        Element::U8 => nested(input, json, Data::U8),
        Element::U16 => nested(input, json, Data::U16),
        Element::U32 => nested(input, json, Data::U32),
        Element::U64 => nested(input, json, Data::U64),
        Element::Text => nested(input, json, Data::Text),
    }
}

pub(super) fn wrong_shape(input: &Input, shape: &[usize]) -> String {
    let one_sample = input.dims.len() > 1 && fits(&input.dims[1..], shape);
    let remedy = if one_sample { ": wrap one sample in a list" } else { "" };
    format!("input `{}` wants {}, got {}{remedy}", input.name, Shape(&input.dims), Shape(shape))
}

fn nested<'de, D: Deserializer<'de>, T: Scalar>(
    input: &Input,
    json: D,
    wrap: fn(Vec<T>) -> Data,
) -> Result<Array, D::Error> {
    let mut nest =
        Nest { name: &input.name, element: input.element, data: Vec::new(), shape: Vec::new(), path: Vec::new() };
    json.deserialize_any(&mut nest)?;
    let shape = nest.shape.iter().map(|size| size.get().unwrap_or_default()).collect();
    Ok(Array { shape, data: wrap(nest.data) })
}

/// Lists in lists, as far as they have been read.
struct Nest<'a, T> {
    name: &'a str,
    element: Element,
    data: Vec<T>,
    /// Lengths by depth, known once the first list at that depth has ended. When `data` has something in it, its depth
    /// is the number of lengths.
    shape: Vec<Cell<Option<usize>>>,
    /// Where the reader is.
    path: Vec<usize>,
}

impl<T: Scalar> Nest<'_, T> {
    fn place(&self) -> String {
        self.path.iter().fold(self.name.to_owned(), |place, index| format!("{place}[{index}]"))
    }

    fn push<E: serde::de::Error>(&mut self, value: Result<T, Refused>, shown: impl fmt::Display) -> Result<(), E> {
        if self.path.len() != self.shape.len() {
            return Err(E::custom(format!("`{}` is {shown}, but its neighbours are lists", self.place())));
        }
        if self.data.len() == MOST_ELEMENTS {
            let text = "elements: send a large tensor as bytes, by the Open Inference Protocol";
            return Err(E::custom(format!("`{}` has more than {MOST_ELEMENTS} {text}", self.name)));
        }
        let wanted = self.element.name();
        match value {
            Ok(value) => self.data.push(value),
            Err(Refused::Range) => {
                return Err(E::custom(format!("`{}` is {shown}, out of range for {wanted}", self.place())));
            }
            Err(Refused::Kind) => return Err(E::custom(format!("`{}` is {shown}, but {}", self.place(), T::WANTED))),
        }
        Ok(())
    }
}

impl<'de, T: Scalar> DeserializeSeed<'de> for &mut Nest<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: Scalar> Visitor<'de> for &mut Nest<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nested lists of {}", self.element.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.path.len();
        if depth == self.shape.len() {
            if !self.data.is_empty() {
                return Err(A::Error::custom(format!("`{}` is a list, but its neighbours are not", self.place())));
            }
            self.shape.push(Cell::new(None));
        }
        self.path.push(0);
        while seq.next_element_seed(&mut *self)?.is_some() {
            self.path[depth] += 1;
        }
        let length = self.path.pop().unwrap_or_default();
        match self.shape[depth].replace(Some(length)) {
            Some(others) if others != length => Err(A::Error::custom(format!(
                "`{}` has {length} elements where its neighbours have {others}: lists at the same depth must be equally long",
                self.place()
            ))),
            _ => Ok(()),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.push(T::from_u64(value), value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.push(T::from_i64(value), value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.push(T::from_f64(value), format_args!("{value:?}"))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.push(T::from_bool(value), value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.push(T::from_text(value), "a string")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.push(Err(Refused::Kind), "null")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.push(Err(Refused::Kind), "an object")
    }
}

#[cfg(test)]
mod tests;
