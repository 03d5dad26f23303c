import sys

import litserve
from predictor import PythonPredictor


class Api(litserve.LitAPI):
    def setup(self, device):
        self.predictor = PythonPredictor()

    def decode_request(self, request):
        return request

    def predict(self, payload):
        return self.predictor.predict(payload)

    def encode_response(self, answer):
        return answer


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="error")
