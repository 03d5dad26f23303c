//! A request for a prediction: JSON, and behind it the tensors that are sent as bytes.
//!
//! Elements go from the text straight into the tensor, as in the plain form. That takes the input's name to be known
//! before its data; JSON has no order, so where the data comes first it is passed over and the text is read once more
//! with the names that were learnt.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    super::{
        decode::{Array, lists, told, wrong_shape},
        shown::Shown,
        signature::{Form, Input, Shape, Signature},
    },
    Asked, Infer, JSON_LENGTH, binary,
};

/// Of a tensor; NumPy takes as many.
const MOST_DIMENSIONS: usize = 64;
/// That are asked for: more than any model has.
const MOST_OUTPUTS: usize = 4096;

/// `json_length`: what the header of that name says. The text of an error is for the caller.
pub(in super::super) fn parse(body: &[u8], json_length: Option<&str>, signature: &Signature) -> Result<Infer, String> {
    let (json, mut tensors) = match json_length {
        None => (body, [].as_slice()),
        Some(text) => text.trim().parse().ok().and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
            format!("the header {JSON_LENGTH} is `{}`, but the body has {} bytes", Shown(text), body.len())
        })?,
    };
    let mut message = read(json, &[], signature)?;
    if message.inputs.iter().any(|input| input.passed_over) {
        let names: Vec<_> = message.inputs.iter().map(|input| input.index).collect();
        message = read(json, &names, signature)?;
    }
    let mut arrays: Vec<Option<Array>> = vec![None; signature.inputs.len()];
    for given in message.inputs {
        let index = given.index;
        let input = &signature.inputs[index];
        let array = given.array(input, &mut tensors, json_length.is_some())?;
        if arrays[index].replace(array).is_some() {
            return Err(format!("the input `{}` is given twice", input.name));
        }
    }
    if !tensors.is_empty() {
        return Err(format!("the body has {} bytes behind the last tensor", tensors.len()));
    }
    let missing =
        signature.inputs.iter().zip(&arrays).find_map(|(input, array)| array.is_none().then_some(&input.name));
    if let Some(name) = missing {
        return Err(format!("the input `{name}` is missing; the model takes {}", wanted(signature)));
    }
    let outputs = outputs(message.outputs, message.parameters.binary_data_output == Some(true), signature)?;
    Ok(Infer { id: message.id, arrays: arrays.into_iter().flatten().collect(), outputs })
}

fn read(json: &[u8], names: &[usize], signature: &Signature) -> Result<Message, String> {
    if json.iter().all(u8::is_ascii_whitespace) {
        return Err(format!("there is no JSON; POST an object whose `inputs` are {}", wanted(signature)));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let message = reader.deserialize_any(Reading { names, signature });
    message.and_then(|message| reader.end().map(|()| message)).map_err(|error| told(&error))
}

/// `a` (FP32 [batch, 2]), `b` (BYTES)
fn wanted(signature: &Signature) -> String {
    let one = |input: &Input| match input.dims.as_slice() {
        [] => format!("`{}` ({})", input.name, input.element.datatype()),
        dims => format!("`{}` ({} {})", input.name, input.element.datatype(), Shape(dims)),
    };
    signature.inputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn outputs(wanted: Option<Vec<Output>>, binary: bool, signature: &Signature) -> Result<Vec<Asked>, String> {
    let all = &signature.outputs;
    let tensor = |index: &usize| matches!(all[*index].form, Form::Tensor(..));
    // Some clients send an empty list for "all".
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok((0..all.len()).filter(tensor).map(|index| Asked { index, binary }).collect());
    };
    let mut asked = Vec::<Asked>::new();
    for output in wanted {
        let name = &output.name;
        let Some(index) = all.iter().position(|known| known.name == *name) else {
            let known: Vec<_> = all.iter().map(|known| format!("`{}`", known.name)).collect();
            return Err(format!("the model has no output `{}`; it gives {}", Shown(name), known.join(", ")));
        };
        if !tensor(&index) {
            return Err(format!(
                "output `{name}` is a list of objects, which this protocol cannot carry: POST plain JSON to the API, or \
                 export the model with a tensor (scikit-learn: `zipmap: False`)"
            ));
        }
        if output.parameters.classification.is_some() {
            return Err(format!(
                "output `{name}` is wanted as a classification, which is not served: ask for the tensor"
            ));
        }
        output.parameters.refuse_shared_memory(name)?;
        if asked.iter().any(|other| other.index == index) {
            return Err(format!("the output `{name}` is asked for twice"));
        }
        asked.push(Asked { index, binary: output.parameters.binary_data.unwrap_or(binary) });
    }
    Ok(asked)
}

struct Message {
    id: Option<String>,
    parameters: Parameters,
    inputs: Vec<Given>,
    outputs: Option<Vec<Output>>,
}

/// One of `inputs`, as far as it was written.
struct Given {
    index: usize,
    datatype: Option<String>,
    shape: Option<Vec<i64>>,
    parameters: Parameters,
    data: Option<Array>,
    /// It has data, which came before its name.
    passed_over: bool,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// Those that mean something here; there may be others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    binary_data_size: Option<u64>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    classification: Option<IgnoredAny>,
    shared_memory_region: Option<IgnoredAny>,
    sequence_id: Option<IgnoredAny>,
}

impl Parameters {
    fn refuse_shared_memory(&self, tensor: &str) -> Result<(), String> {
        match self.shared_memory_region {
            Some(_) => Err(format!("`{tensor}` is to be in shared memory, which is not served: send it in the body")),
            None => Ok(()),
        }
    }
}

impl Given {
    /// Takes from `tensors` what is this input's.
    fn array(self, input: &Input, tensors: &mut &[u8], header: bool) -> Result<Array, String> {
        let name = &input.name;
        self.parameters.refuse_shared_memory(name)?;
        let wants = input.element.datatype();
        match self.datatype.as_deref() {
            Some(datatype) if datatype == wants => {}
            Some(datatype) => return Err(format!("input `{name}` wants {wants}, got {}", Shown(datatype))),
            None => return Err(format!("input `{name}` has no `datatype`: it is {wants}")),
        }
        let Some(shape) = self.shape else {
            return Err(format!("input `{name}` has no `shape`, such as [1, 4]"));
        };
        let (shape, count) = sizes(name, &shape)?;
        if !input.accepts(&shape) {
            return Err(wrong_shape(input, &shape));
        }
        let data = match (self.data, self.parameters.binary_data_size) {
            (Some(_), Some(_)) => return Err(format!("input `{name}` has both `data` and `binary_data_size`")),
            (None, None) => return Err(format!("input `{name}` has neither `data` nor `binary_data_size`")),
            (Some(given), None) => {
                if given.shape != shape && (given.shape.len() > 1 || given.data.len() != count) {
                    let got = Shape(&given.shape);
                    return Err(format!(
                        "the data of input `{name}` has the shape {got}, but its shape is {}",
                        Shape(&shape)
                    ));
                }
                given.data
            }
            (None, Some(_)) if !header => {
                return Err(format!(
                    "input `{name}` is sent as bytes: say in the header {JSON_LENGTH} where they begin"
                ));
            }
            (None, Some(size)) => {
                let split = usize::try_from(size).ok().and_then(|size| tensors.split_at_checked(size));
                let Some((own, rest)) = split else {
                    let left = tensors.len();
                    return Err(format!("input `{name}` has {size} bytes by `binary_data_size`, but {left} are left"));
                };
                *tensors = rest;
                binary::decode(input, count, own)?
            }
        };
        Ok(Array { shape, data })
    }
}

/// The sizes of a shape, and how many elements it has. ONNX Runtime multiplies 64-bit numbers, zeros or not.
fn sizes(name: &str, shape: &[i64]) -> Result<(Vec<usize>, usize), String> {
    let mut sizes = Vec::with_capacity(shape.len());
    let mut bound: i64 = 1;
    for size in shape {
        let size_here =
            usize::try_from(*size).map_err(|_| format!("the shape of input `{name}` has the size {size}"))?;
        bound = bound.checked_mul((*size).max(1)).ok_or_else(|| format!("the shape of input `{name}` is too large"))?;
        sizes.push(size_here);
    }
    // At most `bound`, which did not overflow.
    let count = sizes.iter().product();
    Ok((sizes, count))
}

/// Where a reader is: the model, and which of its inputs the items of `inputs` are, as far as that is known.
#[derive(Clone, Copy)]
struct Reading<'a> {
    names: &'a [usize],
    signature: &'a Signature,
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object whose `inputs` are {}", wanted(self.signature))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let mut message = Message { id: None, parameters: Parameters::default(), inputs: Vec::new(), outputs: None };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "id" => message.id = map.next_value()?,
                "parameters" => message.parameters = map.next_value()?,
                "inputs" => message.inputs = map.next_value_seed(Inputs(self))?,
                "outputs" => message.outputs = map.next_value::<Option<Few<Output, MOST_OUTPUTS>>>()?.map(|few| few.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if message.parameters.sequence_id.is_some() {
            return Err(A::Error::custom(
                "the request is part of a sequence, which is not served: the model keeps no state",
            ));
        }
        Ok(message)
    }
}

/// A list that is refused while it is read if it is too long.
struct Few<T, const MOST: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Counting<T, const MOST: usize>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Counting<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while let Some(item) = list.next_element()? {
                    if few.len() == MOST {
                        return Err(A::Error::invalid_length(MOST + 1, &self));
                    }
                    few.push(item);
                }
                Ok(Few(few))
            }
        }

        json.deserialize_seq(Counting(std::marker::PhantomData))
    }
}

struct Inputs<'a>(Reading<'a>);

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = Vec<Given>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Given>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = Vec<Given>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of inputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Given>, A::Error> {
        let mut inputs = Vec::new();
        let reading = self.0;
        while let Some(input) =
            list.next_element_seed(One { reading, known: reading.names.get(inputs.len()).copied() })?
        {
            inputs.push(input);
            // Each may be there once, so that more are a mistake whatever they are.
            if inputs.len() > reading.signature.inputs.len() {
                let takes = wanted(reading.signature);
                return Err(A::Error::custom(format!("there are more inputs than the model takes, which are {takes}")));
            }
        }
        Ok(inputs)
    }
}

struct One<'a> {
    reading: Reading<'a>,
    known: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Given, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an input: an object with `name`, `datatype`, `shape` and `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let signature = self.reading.signature;
        let mut index = self.known;
        let (mut datatype, mut shape, mut data) = (None, None, None);
        let mut parameters = Parameters::default();
        let (mut named, mut passed_over) = (false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match (&*key, index) {
                ("name", _) => {
                    let name: Cow<'de, str> = map.next_value()?;
                    let Some(found) = signature.inputs.iter().position(|input| input.name == name) else {
                        let (name, takes) = (Shown(&name), wanted(signature));
                        return Err(A::Error::custom(format!("the model has no input `{name}`; it takes {takes}")));
                    };
                    // What was read before is of the other name's type.
                    if std::mem::replace(&mut named, true) {
                        return Err(A::Error::custom("an input has two `name`s"));
                    }
                    index = Some(found);
                }
                ("datatype", _) => datatype = map.next_value()?,
                ("shape", _) => shape = map.next_value::<Option<Few<i64, MOST_DIMENSIONS>>>()?.map(|few| few.0),
                ("parameters", _) => parameters = map.next_value()?,
                ("data", Some(index)) => data = Some(map.next_value_seed(Elements(&signature.inputs[index]))?),
                ("data", None) => {
                    map.next_value::<IgnoredAny>()?;
                    passed_over = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let index = index.ok_or_else(|| A::Error::custom("an input has no `name`"))?;
        Ok(Given { index, datatype, shape, parameters, data, passed_over })
    }
}

struct Elements<'a>(&'a Input);

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Array;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Array, D::Error> {
        lists(self.0, json)
    }
}

#[cfg(test)]
mod tests;
