//! Writes small ONNX models (the protobuf of onnx.proto3), so that tests need no exporter.

/// `TensorProto.DataType`.
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const STRING: u64 = 8;
pub const INT64: u64 = 7;

#[derive(Clone, Copy)]
pub enum Dim {
    Size(u64),
    Free(&'static str),
}

/// `y = Identity(x)`, for a tensor of this type.
pub fn identity(element: u64, dims: &[Dim]) -> Vec<u8> {
    let tensor = tensor(element, dims);
    model(&node("Identity", "", &[]), &[("x", tensor.clone())], &[("y", tensor)])
}

/// `y = x @ x` for each matrix of a list, which takes long if they are large.
pub fn squares() -> Vec<u8> {
    let matrices = tensor(FLOAT, &[Dim::Free("batch"), Dim::Free("n"), Dim::Free("n")]);
    let node = [bytes(1, b"x"), bytes(1, b"x"), bytes(2, b"y"), bytes(4, b"MatMul")].concat();
    model(&node, &[("x", matrices.clone())], &[("y", matrices)])
}

/// `y` has the integers of `table` at the places that `x` says; there is no row 2 and above.
pub fn lookup() -> Vec<u8> {
    let table = [number(1, 2), number(2, 7), number(7, 70), number(7, 71), bytes(8, b"table")].concat();
    let places = tensor(INT64, &[Dim::Free("n")]);
    let node = [bytes(1, b"table"), bytes(1, b"x"), bytes(2, b"y"), bytes(4, b"Gather")].concat();
    with_constants(&node, &bytes(5, &table), &[("x", places.clone())], &[("y", places)])
}

/// `y` is `x` with its dimensions swapped.
pub fn transposed() -> Vec<u8> {
    let (x, y) = (tensor(FLOAT, &[Dim::Free("n"), Dim::Free("m")]), tensor(FLOAT, &[Dim::Free("m"), Dim::Free("n")]));
    model(&node("Transpose", "", &[]), &[("x", x)], &[("y", y)])
}

/// `y` is as many zeros as the shape `x` asks for.
pub fn zeros() -> Vec<u8> {
    let zero = [number(1, 1), number(2, UINT8), bytes(9, &[0])].concat();
    let value = [bytes(1, b"value"), bytes(5, &zero), number(20, 4)].concat();
    let shape = tensor(INT64, &[Dim::Free("rank")]);
    let zeros = tensor(UINT8, &[Dim::Free("a"), Dim::Free("b")]);
    model(&node("ConstantOfShape", "", &value), &[("x", shape)], &[("y", zeros)])
}

/// `y` is a list of maps from a class label to a score; `x` has the scores.
pub fn zip_map(text_labels: bool) -> Vec<u8> {
    let labels = if text_labels {
        let strings = ["no", "yes"].map(|label| bytes(9, label.as_bytes())).concat();
        [bytes(1, b"classlabels_strings"), strings, number(20, 8)].concat()
    } else {
        [bytes(1, b"classlabels_int64s"), number(8, 10), number(8, 20), number(20, 7)].concat()
    };
    let key = if text_labels { STRING } else { INT64 };
    let map = bytes(5, &[number(1, key), bytes(2, &tensor(FLOAT, &[]))].concat());
    let sequence = bytes(4, &bytes(1, &map));
    let scores = tensor(FLOAT, &[Dim::Free("batch"), Dim::Size(2)]);
    model(&node("ZipMap", "ai.onnx.ml", &labels), &[("x", scores)], &[("y", sequence)])
}

/// `y` is a list of tensors.
pub fn sequence() -> Vec<u8> {
    let one = tensor(FLOAT, &[Dim::Free("n")]);
    let list = bytes(4, &bytes(1, &one));
    model(&node("SequenceConstruct", "", &[]), &[("x", one)], &[("y", list)])
}

fn model(node: &[u8], inputs: &[(&str, Vec<u8>)], outputs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    with_constants(node, &[], inputs, outputs)
}

fn with_constants(node: &[u8], constants: &[u8], inputs: &[(&str, Vec<u8>)], outputs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let values = |field, values: &[(&str, Vec<u8>)]| {
        let value =
            |(name, kind): &(&str, Vec<u8>)| bytes(field, &[bytes(1, name.as_bytes()), bytes(2, kind)].concat());
        values.iter().map(value).collect::<Vec<_>>().concat()
    };
    let graph =
        [bytes(1, node), bytes(2, b"test"), constants.to_vec(), values(11, inputs), values(12, outputs)].concat();
    let opset = bytes(8, &number(2, 17));
    let ml_opset = bytes(8, &[bytes(1, b"ai.onnx.ml"), number(2, 3)].concat());
    [number(1, 8), bytes(7, &graph), opset, ml_opset].concat()
}

fn node(operator: &str, domain: &str, attribute: &[u8]) -> Vec<u8> {
    let mut node =
        [bytes(1, b"x"), bytes(2, b"y"), bytes(4, operator.as_bytes()), bytes(7, domain.as_bytes())].concat();
    if !attribute.is_empty() {
        node.extend(bytes(5, attribute));
    }
    node
}

/// `TypeProto` of a tensor.
fn tensor(element: u64, dims: &[Dim]) -> Vec<u8> {
    let dim = |dim: &Dim| match dim {
        Dim::Size(size) => bytes(1, &number(1, *size)),
        Dim::Free(name) => bytes(1, &bytes(2, name.as_bytes())),
    };
    let shape = dims.iter().map(dim).collect::<Vec<_>>().concat();
    bytes(1, &[number(1, element), bytes(2, &shape)].concat())
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
