//! A reply, written into one buffer: the JSON, and behind it the tensors that were wanted as bytes.

use std::io::Write as _;

use ort::value::DynValue;

use super::{
    super::{
        encode::{self, Layout},
        rows::Rows,
        signature::{Element, Form, Output},
    },
    Infer, Names, binary,
};

/// The body, and how much of it is JSON.
pub(super) fn write(
    names: &Names,
    request: &Infer,
    outputs: &[Output],
    values: &[DynValue],
    rows: &Rows,
) -> ort::Result<(Vec<u8>, usize)> {
    let mut tensors = Vec::new();
    let mut json = Vec::with_capacity(256);
    json.extend_from_slice(b"{\"model_name\":");
    encode::write(&mut json, &names.model);
    json.extend_from_slice(b",\"model_version\":");
    encode::write(&mut json, &names.version);
    if let Some(id) = &request.id {
        json.extend_from_slice(b",\"id\":");
        encode::write(&mut json, id);
    }
    json.extend_from_slice(b",\"outputs\":[");
    for (position, asked) in request.outputs.iter().enumerate() {
        let (output, value) = (&outputs[asked.index], &values[asked.index]);
        let Form::Tensor(element, _) = output.form else { continue };
        json.extend_from_slice(if position > 0 { b",{\"name\":" } else { b"{\"name\":" });
        encode::write(&mut json, &output.name);
        json.extend_from_slice(b",\"datatype\":");
        encode::write(&mut json, element.datatype());
        json.extend_from_slice(b",\"shape\":");
        encode::write(&mut json, &rows.shape(value.shape()));
        if asked.binary {
            let size = append(&mut tensors, element, value, rows)?;
            // Writing to memory does not fail.
            let _ = write!(json, ",\"parameters\":{{\"binary_data_size\":{size}}}}}");
        } else {
            json.extend_from_slice(b",\"data\":");
            encode::tensor(&mut json, element, value, rows, Layout::Flat)?;
            json.push(b'}');
        }
    }
    json.extend_from_slice(b"]}");
    let length = json.len();
    json.append(&mut tensors);
    Ok((json, length))
}

fn append(tensors: &mut Vec<u8>, element: Element, value: &DynValue, rows: &Rows) -> ort::Result<usize> {
    let before = tensors.len();
    binary::encode(tensors, element, value, rows)?;
    Ok(tensors.len() - before)
}
