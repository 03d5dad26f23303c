"""What ONNX Runtime answers in Python for every image of `examples/digits`: the yardstick of the end-to-end test.

    python expected_scores.py [DIRECTORY]

DIRECTORY holds `model.onnx` and `digits.csv`; without it, that is `examples/digits` of this repository. Standard output
is one JSON object, rows in the order of `digits.csv`:

    {"accuracy": 0.9705, "labels": [0, 1, ...], "scores": [[p0, ..., p9], ...]}

`accuracy` is the share of rows whose `labels` entry equals the label in `digits.csv`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

DEFAULT_DIRECTORY = Path(__file__).resolve().parents[2] / "examples" / "digits"


def expected(directory: Path) -> dict[str, object]:
    """Runs the model once over all images."""
    rows = np.loadtxt(directory / "digits.csv", delimiter=",", dtype=np.int64)
    pixels, truth = rows[:, :-1].astype(np.float32), rows[:, -1]
    session = onnxruntime.InferenceSession(directory / "model.onnx", providers=["CPUExecutionProvider"])
    labels, scores = session.run(["label", "scores"], {"pixels": pixels})
    return {"accuracy": float(np.mean(labels == truth)), "labels": labels.tolist(), "scores": scores.tolist()}


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DIRECTORY
    json.dump(expected(directory), sys.stdout)


if __name__ == "__main__":
    main()
