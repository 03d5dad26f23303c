"""The predictor that every server runs: numbers in, scores of a tiny network out."""

import os

import numpy as np
import onnxruntime


class PythonPredictor:
    def __init__(self, config=None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        path = os.environ.get("MODEL", "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(self, payload):
        (scores,) = self.session.run(["scores"], {"x": np.asarray(payload["x"], dtype=np.float32)})
        return {"scores": scores.tolist()}
