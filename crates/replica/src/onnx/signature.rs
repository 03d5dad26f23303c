//! What a model takes and gives, in our own words: for checking requests, for messages, and for `GET /`.

use std::fmt;

use ort::value::{Outlet, TensorElementType, ValueType};
use serde_json::{Value, json};

/// Element types that have a JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Text,
}

/// One dimension of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dim {
    Fixed(usize),
    /// Chosen by the caller; named in most models.
    Any(String),
}

/// A tensor that the model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) element: Element,
    /// ONNX Runtime does not tell a scalar from a tensor of unknown rank, so none means "do not check".
    pub(super) dims: Vec<Dim>,
}

/// Something that the model gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Tensor(Element, Vec<Dim>),
    /// A list of maps from class to score: what scikit-learn's classifiers give through the `ZipMap` operator.
    Scores {
        text_keys: bool,
    },
}

#[derive(Debug)]
pub(super) struct Signature {
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
}

impl Signature {
    /// Fails with a reason if something has no JSON form.
    pub(super) fn of(inputs: &[Outlet], outputs: &[Outlet]) -> Result<Self, String> {
        Ok(Self {
            inputs: inputs.iter().map(Input::of).collect::<Result<_, _>>()?,
            outputs: outputs.iter().map(Output::of).collect::<Result<_, _>>()?,
        })
    }

    /// Why requests cannot be put together along the first dimension, if that can be seen from here.
    pub(super) fn check_rows(&self) -> Result<(), String> {
        let inputs = self.inputs.iter().map(|input| ("input", &input.name, input.dims.as_slice(), true));
        let outputs = self.outputs.iter().filter_map(|output| match &output.form {
            Form::Tensor(_, dims) => Some(("output", &output.name, dims.as_slice(), false)),
            Form::Scores { .. } => None,
        });
        for (what, name, dims, is_input) in inputs.chain(outputs) {
            match dims {
                [Dim::Any(_), ..] => {}
                // Many exporters leave the shapes of outputs out.
                [] if !is_input => {}
                [] => return Err(together(&format!("its {what} `{name}` has none"))),
                [Dim::Fixed(_), ..] => {
                    return Err(together(&format!("that of its {what} `{name}` {} is fixed", Shape(dims))));
                }
            }
        }
        Ok(())
    }

    /// As fields of the JSON that `GET /` answers.
    pub(super) fn describe(&self) -> [(&'static str, Value); 2] {
        let tensor = |name: &str, element: Element, dims: &[Dim]| {
            let shape: Vec<_> = dims.iter().map(Dim::describe).collect();
            json!({ "name": name, "type": element.name(), "shape": shape })
        };
        let inputs: Vec<_> = self.inputs.iter().map(|input| tensor(&input.name, input.element, &input.dims)).collect();
        let outputs: Vec<_> = self
            .outputs
            .iter()
            .map(|output| match &output.form {
                Form::Tensor(element, dims) => tensor(&output.name, *element, dims),
                Form::Scores { .. } => json!({ "name": output.name, "type": "list of objects" }),
            })
            .collect();
        [("inputs", inputs.into()), ("outputs", outputs.into())]
    }

    /// `a` (float32 [batch, 2]), `b` (string)
    pub(super) fn wanted(&self) -> String {
        let all: Vec<_> = self
            .inputs
            .iter()
            .map(|input| match input.dims.as_slice() {
                [] => format!("`{}` ({})", input.name, input.element.name()),
                dims => format!("`{}` ({} {})", input.name, input.element.name(), Shape(dims)),
            })
            .collect();
        all.join(", ")
    }
}

impl Input {
    fn of(outlet: &Outlet) -> Result<Self, String> {
        let name = outlet.name().to_owned();
        let unsupported = || format!("its input `{name}` is a {}, which has no JSON form", outlet.dtype());
        let ValueType::Tensor { ty, .. } = outlet.dtype() else { return Err(unsupported()) };
        let element = Element::of(*ty).ok_or_else(unsupported)?;
        Ok(Self { element, dims: dims(outlet.dtype()), name })
    }

    /// Whether a tensor of this shape can be given.
    pub(super) fn accepts(&self, shape: &[usize]) -> bool {
        self.dims.is_empty() || fits(&self.dims, shape)
    }

    /// The smallest shape that can be given: one wherever the caller may choose.
    pub(super) fn smallest(&self) -> Vec<usize> {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Any(_) => 1,
        };
        self.dims.iter().map(size).collect()
    }
}

impl Output {
    fn of(outlet: &Outlet) -> Result<Self, String> {
        let name = outlet.name().to_owned();
        let unsupported = || {
            format!(
                "its output `{name}` is a {}, which has no JSON form; export it as a tensor (scikit-learn: `zipmap: False`)",
                outlet.dtype()
            )
        };
        let form = match outlet.dtype() {
            ValueType::Tensor { ty, .. } => {
                Form::Tensor(Element::of(*ty).ok_or_else(unsupported)?, dims(outlet.dtype()))
            }
            ValueType::Sequence(inner) => match **inner {
                ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Float32 } => {
                    Form::Scores { text_keys: false }
                }
                ValueType::Map { key: TensorElementType::String, value: TensorElementType::Float32 } => {
                    Form::Scores { text_keys: true }
                }
                _ => return Err(unsupported()),
            },
            _ => return Err(unsupported()),
        };
        Ok(Self { name, form })
    }
}

/// What is said of a model whose requests cannot be run together.
pub(super) fn together(why: &str) -> String {
    format!(
        "`server_side_batching` puts requests together along a free first dimension, but {why}: export the model with one, or \
         remove `server_side_batching`"
    )
}

/// Whether `shape` is one of those that `dims` stand for.
pub(super) fn fits(dims: &[Dim], shape: &[usize]) -> bool {
    let one = |(dim, size): (&Dim, &usize)| matches!(dim, Dim::Any(_)) || *dim == Dim::Fixed(*size);
    dims.len() == shape.len() && dims.iter().zip(shape).all(one)
}

fn dims(dtype: &ValueType) -> Vec<Dim> {
    let ValueType::Tensor { shape, dimension_symbols, .. } = dtype else { return Vec::new() };
    let name = |index: usize| dimension_symbols.get(index).cloned().unwrap_or_default();
    let dim = |(index, size): (usize, &i64)| usize::try_from(*size).map_or_else(|_| Dim::Any(name(index)), Dim::Fixed);
    shape.iter().enumerate().map(dim).collect()
}

impl Dim {
    fn describe(&self) -> Value {
        match self {
            Self::Fixed(size) => json!(size),
            Self::Any(_) => json!(self.to_string()),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => size.fmt(f),
            Self::Any(name) if name.is_empty() => f.write_str("?"),
            Self::Any(name) => f.write_str(name),
        }
    }
}

/// Sizes or dimensions as `[batch, 64]`.
pub(super) struct Shape<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Shape<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", parts.join(", "))
    }
}

impl Element {
    fn of(ty: TensorElementType) -> Option<Self> {
        Some(match ty {
            TensorElementType::Bool => Self::Bool,
            TensorElementType::Float16 => Self::F16,
            TensorElementType::Float32 => Self::F32,
            TensorElementType::Float64 => Self::F64,
            TensorElementType::Int8 => Self::I8,
            TensorElementType::Int16 => Self::I16,
            TensorElementType::Int32 => Self::I32,
            TensorElementType::Int64 => Self::I64,
            TensorElementType::Uint8 => Self::U8,
            TensorElementType::Uint16 => Self::U16,
            TensorElementType::Uint32 => Self::U32,
            TensorElementType::Uint64 => Self::U64,
            TensorElementType::String => Self::Text,
            _ => return None,
        })
    }

    /// As the Open Inference Protocol calls it.
    pub(super) fn datatype(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::F16 => "FP16",
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::I8 => "INT8",
            Self::I16 => "INT16",
            Self::I32 => "INT32",
            Self::I64 => "INT64",
            Self::U8 => "UINT8",
            Self::U16 => "UINT16",
            Self::U32 => "UINT32",
            Self::U64 => "UINT64",
            Self::Text => "BYTES",
        }
    }

    /// As NumPy calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Text => "string",
        }
    }
}
