//! The Open Inference Protocol, version 2, over HTTP: what Triton, KServe and their clients speak, with the binary tensor
//! data extension (github.com/kserve/open-inference-protocol; triton-inference-server/server, docs/protocol).
//!
//! The model's name is the API's, its only version is the one that is deployed. What the protocol leaves to extensions
//! that are not served here (shared memory, sequences, classification) is refused; parameters that only advise
//! (`priority`, `timeout`) are passed over.

mod binary;
mod reply;
mod request;
mod route;

use http::HeaderValue;
use serde_json::{Value, json};

pub(super) use request::parse;
pub(super) use route::{Route, route};

use super::{
    rows::Rows,
    signature::{Dim, Element, Form, Output, Signature},
};
use crate::exchange::Reply;

/// How many bytes of a body with binary tensors are JSON.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// A request for a prediction, read and checked as far as the model's signature goes.
#[derive(Debug, PartialEq)]
pub(super) struct Infer {
    /// To be repeated in the reply.
    pub(super) id: Option<String>,
    /// As [`super::decode::arrays`] gives them.
    pub(super) arrays: Vec<super::decode::Array>,
    /// In the order of the reply.
    pub(super) outputs: Vec<Asked>,
}

/// An output that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// Among the model's.
    pub(super) index: usize,
    pub(super) binary: bool,
}

/// Whom the protocol's answers speak of.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) model: String,
    pub(super) version: String,
}

impl Names {
    pub(super) fn server() -> Value {
        json!({ "name": "cortex", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] })
    }

    pub(super) fn metadata(&self, signature: &Signature) -> Value {
        let tensor = |name: &str, element: Element, dims: &[Dim]| {
            let size = |dim: &Dim| match dim {
                Dim::Fixed(size) => json!(size),
                Dim::Any(_) => json!(-1),
            };
            let shape: Vec<_> = dims.iter().map(size).collect();
            json!({ "name": name, "datatype": element.datatype(), "shape": shape })
        };
        let inputs: Vec<_> =
            signature.inputs.iter().map(|input| tensor(&input.name, input.element, &input.dims)).collect();
        let outputs = signature.outputs.iter().filter_map(|output| match &output.form {
            Form::Tensor(element, dims) => Some(tensor(&output.name, *element, dims)),
            Form::Scores { .. } => None,
        });
        json!({
            "name": self.model,
            "versions": [self.version],
            "platform": "onnxruntime_onnx",
            "inputs": inputs,
            "outputs": outputs.collect::<Vec<_>>(),
        })
    }

    /// The outputs that `request` wants.
    pub(super) fn reply(
        &self,
        request: &Infer,
        outputs: &[Output],
        values: &[ort::value::DynValue],
        rows: &Rows,
    ) -> ort::Result<Reply> {
        let (body, json) = reply::write(self, request, outputs, values, rows)?;
        if json == body.len() {
            return Ok(Reply::json(body));
        }
        let mut reply = Reply::new(HeaderValue::from_static("application/octet-stream"), body);
        reply.headers.insert(JSON_LENGTH, HeaderValue::from(json));
        Ok(reply)
    }
}
