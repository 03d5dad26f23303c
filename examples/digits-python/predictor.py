"""Which digit is it? The model of `examples/digits`, behind a Python predictor."""

import numpy as np
import onnxruntime


class PythonPredictor:
    def __init__(self, config):
        # The project directory is the working directory, so a relative path means a file next to this one.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # The model is too small to share out.
        self.session = onnxruntime.InferenceSession(config["model"], options, providers=["CPUExecutionProvider"])

    def predict(self, payload):
        pixels = np.asarray(payload["pixels"], dtype=np.float32)
        label, scores = self.session.run(["label", "scores"], {"pixels": pixels})
        return {"label": label.tolist(), "scores": scores.tolist()}
