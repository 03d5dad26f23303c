import sys
import threading

from predictor import PythonPredictor
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0})
class Scores:
    def __init__(self):
        self.predictor = PythonPredictor()

    async def __call__(self, request: Request):
        return self.predictor.predict(await request.json())


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Scores.bind(), route_prefix="/predict")
    threading.Event().wait()
