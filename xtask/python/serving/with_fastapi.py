from fastapi import FastAPI, Request
from predictor import PythonPredictor

app = FastAPI()
predictor = PythonPredictor()


@app.post("/predict")
async def predict(request: Request):
    return predictor.predict(await request.json())
