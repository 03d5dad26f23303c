import bentoml
from predictor import PythonPredictor


@bentoml.service(workers=1, metrics={"enabled": False})
class Scores:
    def __init__(self):
        self.predictor = PythonPredictor()

    @bentoml.api(route="/predict")
    def predict(self, x: list) -> dict:
        return self.predictor.predict({"x": x})
