//! A request for a prediction: JSON, and behind it the tensors that are sent as bytes.
//!
//! Elements go from the text straight into the tensor, as in the plain form. That takes the input's name to be known
//! before its data; JSON has no order, so where the data comes first it is passed over and the text is read once more
//! with the names that were learnt.

mod message;

use message::{Given, Message, Output, Reading, wanted};
use serde::Deserializer as _;

use super::{
    super::{
        decode::{Array, told, wrong_shape},
        shown::Shown,
        signature::{Form, Input, Shape, Signature},
    },
    Asked, Infer, JSON_LENGTH, binary,
};

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
        match (self.data, self.parameters.binary_data_size) {
            (Some(_), Some(_)) => Err(format!("input `{name}` has both `data` and `binary_data_size`")),
            (None, None) => Err(format!("input `{name}` has neither `data` nor `binary_data_size`")),
            (Some(given), None) => in_shape(name, given, shape, count),
            (None, Some(_)) if !header => {
                Err(format!("input `{name}` is sent as bytes: say in the header {JSON_LENGTH} where they begin"))
            }
            (None, Some(size)) => {
                let split = usize::try_from(size).ok().and_then(|size| tensors.split_at_checked(size));
                let Some((own, rest)) = split else {
                    let left = tensors.len();
                    return Err(format!("input `{name}` has {size} bytes by `binary_data_size`, but {left} are left"));
                };
                *tensors = rest;
                Ok(Array { data: binary::decode(input, count, own)?, shape })
            }
        }
    }
}

/// What was read as lists of that shape, or as a flat one of all elements.
fn in_shape(name: &str, given: Array, shape: Vec<usize>, count: usize) -> Result<Array, String> {
    if given.shape != shape && (given.shape.len() > 1 || given.data.len() != count) {
        let (got, wants) = (Shape(&given.shape), Shape(&shape));
        return Err(format!("the data of input `{name}` has the shape {got}, but its shape is {wants}"));
    }
    Ok(Array { shape, data: given.data })
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

#[cfg(test)]
mod tests;
