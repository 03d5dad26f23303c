from fastapi import Request
from mlserver import MLModel
from mlserver.handlers import custom_handler
from predictor import PythonPredictor


class Scores(MLModel):
    async def load(self) -> bool:
        self.predictor = PythonPredictor()
        return True

    @custom_handler(rest_path="/predict")
    async def scores(self, request: Request) -> dict:
        return self.predictor.predict(await request.json())
