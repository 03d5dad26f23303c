"""Trains the network of this example and writes every file that derives from it.

Run it from anywhere, in an environment with `requirements-train.txt` (Python 3.11 or newer):

    python -m venv /tmp/digits-train
    /tmp/digits-train/bin/pip install -r examples/digits/requirements-train.txt
    /tmp/digits-train/bin/python examples/digits/train.py

The images come with scikit-learn, so nothing is downloaded. The network sees the first half of them only; the second half
measures it. No hyperparameter was chosen by looking at that half: apart from the iteration limit and the seed, all are
scikit-learn's defaults.

The graph is built by hand from the learnt weights instead of by a converter, so that it holds the five steps one would
draw on paper and nothing else.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent
PYTHON_EXAMPLE = HERE.parent / "digits-python"

SEED = 0
HIDDEN_UNITS = 64
PIXEL_MAX = 16.0
OPSET = 17
# The IR version that was current when opset 17 was; every later ONNX Runtime reads it.
IR_VERSION = 8


def load_images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels as int64 [1797, 64] in 0..16, row by row from the top left; labels as int64 [1797]."""
    digits = load_digits()
    return digits.data.astype(np.int64), digits.target.astype(np.int64)


def train(pixels: np.ndarray, labels: np.ndarray) -> MLPClassifier:
    """Fits 64 -> hidden -> 10. One BLAS thread, because the order of additions must not depend on the machine's cores."""
    network = MLPClassifier(hidden_layer_sizes=(HIDDEN_UNITS,), max_iter=1000, random_state=SEED)
    with threadpool_limits(limits=1):
        return network.fit(pixels / PIXEL_MAX, labels)


def build_graph(network: MLPClassifier) -> onnx.ModelProto:
    """The trained network as an ONNX model that takes raw pixels."""
    (hidden_weight, output_weight), (hidden_bias, output_bias) = network.coefs_, network.intercepts_
    constants = {
        "pixel_max": np.float32(PIXEL_MAX),
        "hidden_weight": hidden_weight,
        "hidden_bias": hidden_bias,
        "output_weight": output_weight,
        "output_bias": output_bias,
    }
    nodes = [
        helper.make_node("Div", ["pixels", "pixel_max"], ["scaled"], doc_string="Raw 0..16 to 0..1."),
        helper.make_node("Gemm", ["scaled", "hidden_weight", "hidden_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "output_weight", "output_bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        inputs=[
            helper.make_tensor_value_info(
                "pixels", TensorProto.FLOAT, ["batch", 64], "8x8 images, row by row from the top left; 0 is paper, 16 is ink."
            )
        ],
        outputs=[
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"], "The digit with the highest score."),
            helper.make_tensor_value_info(
                "scores", TensorProto.FLOAT, ["batch", 10], "Probability of each digit 0 to 9; each row adds up to 1."
            ),
        ],
        initializer=[numpy_helper.from_array(np.asarray(v, dtype=np.float32), n) for n, v in constants.items()],
        doc_string="Handwritten digit classifier, a multi-layer perceptron trained on half of the UCI optdigits test set.",
    )
    model = helper.make_model(
        graph,
        producer_name="examples/digits/train.py",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write_files(model: onnx.ModelProto, pixels: np.ndarray, labels: np.ndarray, sample_row: int) -> None:
    """Writes the model, the images and a sample request, here and for the Python example."""
    onnx.save(model, HERE / "model.onnx")
    rows = np.column_stack([pixels, labels]).tolist()
    (HERE / "digits.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    sample = {"pixels": [pixels[sample_row].tolist()]}
    (HERE / "sample.json").write_text(json.dumps(sample) + "\n")
    for name in ("model.onnx", "sample.json"):
        shutil.copyfile(HERE / name, PYTHON_EXAMPLE / name)


def report(pixels: np.ndarray, labels: np.ndarray, seen: int) -> None:
    """Prints the accuracy of the model file as ONNX Runtime executes it."""
    session = onnxruntime.InferenceSession(HERE / "model.onnx")
    (answers,) = session.run(["label"], {"pixels": pixels.astype(np.float32)})
    right = answers == labels
    for title, part in (("trained on", right[:seen]), ("unseen", right[seen:]), ("all", right)):
        print(f"{title:>10}: {part.sum():4} of {part.size:4} right, {part.mean():.4f}")


def main() -> None:
    pixels, labels = load_images()
    seen = len(labels) // 2
    network = train(pixels[:seen], labels[:seen])
    # The first image that the network has not been trained on is the sample.
    write_files(build_graph(network), pixels, labels, sample_row=seen)
    report(pixels, labels, seen)


if __name__ == "__main__":
    main()
