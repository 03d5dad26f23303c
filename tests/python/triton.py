"""Talks to two deployed ONNX models with NVIDIA's client of the Open Inference Protocol, and checks what comes back.

    python triton.py HOST:PORT CA KEY

`/digits` is the API of `examples/digits`; `/words` gives back the strings it gets. The key is sent as a header. Nothing is
printed if all is well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gevent.ssl
import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def connect(address: str, ca: str, api: str) -> InferenceServerClient:
    def context() -> gevent.ssl.SSLContext:
        return gevent.ssl.create_default_context(cafile=ca)

    return InferenceServerClient(f"{address}/{api}", ssl=True, ssl_context_factory=context)


def sample() -> np.ndarray:
    return np.array(json.loads((DIGITS / "sample.json").read_text())["pixels"], dtype=np.float32)


def given(name: str, array: np.ndarray, datatype: str, binary: bool) -> InferInput:
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def refusal(call, *arguments, **named) -> InferenceServerException:
    try:
        call(*arguments, **named)
    except InferenceServerException as error:
        return error
    raise AssertionError("it is not refused")


def asks_about(client: InferenceServerClient, headers: dict[str, str]) -> None:
    assert client.is_server_live(headers={**headers})
    assert client.is_server_ready(headers={**headers})
    assert client.is_model_ready("digits", headers={**headers})
    assert not client.is_model_ready("other", headers={**headers})
    assert client.get_server_metadata(headers={**headers})["extensions"] == ["binary_tensor_data"]
    model = client.get_model_metadata("digits", headers={**headers})
    assert model["platform"] == "onnxruntime_onnx", model
    assert model["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}], model
    version = model["versions"][0]
    assert client.is_model_ready("digits", model_version=version, headers={**headers})


def predicts(client: InferenceServerClient, headers: dict[str, str]) -> None:
    image = sample()
    for into, out, compression in [(True, True, None), (False, False, None), (True, False, "gzip"), (False, True, "deflate")]:
        result = client.infer(
            "digits",
            [given("pixels", image, "FP32", into)],
            outputs=[InferRequestedOutput("scores", binary_data=out), InferRequestedOutput("label", binary_data=out)],
            request_id="one",
            request_compression_algorithm=compression,
            response_compression_algorithm=compression,
            headers={**headers},
        )
        assert result.get_response()["id"] == "one"
        assert [output["name"] for output in result.get_response()["outputs"]] == ["scores", "label"]
        assert result.as_numpy("label").tolist() == [8]
        scores = result.as_numpy("scores")
        assert scores.shape == (1, 10) and scores.argmax() == 8 and abs(scores.sum() - 1) < 1e-4, scores
    every = client.infer("digits", [given("pixels", np.repeat(image, 500, axis=0), "FP32", True)], headers={**headers})
    assert every.as_numpy("label").tolist() == [8] * 500

    wrong = refusal(client.infer, "digits", [given("pixels", image[:, :63], "FP32", True)], headers={**headers})
    assert (wrong.status(), wrong.message()) == ("400", "input `pixels` wants [batch, 64], got [1, 63]"), wrong
    wrong = refusal(client.infer, "digits", [given("pixels", image.astype(np.float64), "FP64", True)], headers={**headers})
    assert wrong.message() == "input `pixels` wants FP32, got FP64", wrong
    wrong = refusal(client.infer, "other", [given("pixels", image, "FP32", True)], headers={**headers})
    assert wrong.status() == "404" and "its name is that of the API, `digits`" in wrong.message(), wrong
    assert refusal(client.get_model_config, "digits", headers={**headers}).status() == "404"
    # What the gateway refuses.
    wrong = refusal(client.infer, "digits", [given("pixels", image, "FP32", True)], headers={"x-api-key": "wrong"})
    assert wrong.status() == "401" and "key" in wrong.message(), wrong


def echoes_words(client: InferenceServerClient, headers: dict[str, str]) -> None:
    words = np.array(["plain", "", "Übermut", "日本"], dtype=np.object_)
    for binary in [True, False]:
        outputs = [InferRequestedOutput("y", binary_data=binary)]
        result = client.infer("words", [given("x", words, "BYTES", binary)], outputs=outputs, headers={**headers})
        got = [word.decode() if isinstance(word, bytes) else word for word in result.as_numpy("y")]
        assert got == words.tolist(), got


def main() -> None:
    address, ca, key = sys.argv[1:]
    # Every call gets a copy: the client writes into what it is given.
    headers = {"x-api-key": key}
    digits = connect(address, ca, "digits")
    assert not digits.is_server_live(), "a caller without a key is told nothing"
    asks_about(digits, headers)
    predicts(digits, headers)
    echoes_words(connect(address, ca, "words"), headers)


if __name__ == "__main__":
    main()
