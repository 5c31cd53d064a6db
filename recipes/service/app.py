"""Score tumours by the model that the recipe has put beside this file."""

import json
import math
import tarfile
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


class Model(BaseModel):
    """A logistic regression: what it takes off, divides by, weighs with and adds."""

    mean: list[float]
    scale: list[float]
    weights: list[float]
    bias: float

    def probability(self, row: list[float]) -> float:
        """Give the probability that a tumour is malignant."""
        parts = zip(row, self.mean, self.scale, self.weights, strict=True)
        return 1 / (1 + math.exp(-self.bias - sum((x - m) / s * w for x, m, s, w in parts)))


class Rows(BaseModel):
    """Measurements, a list of numbers for each tumour."""

    instances: list[list[float]]


def load(path: Path) -> Model:
    """Read a model's archive."""
    with tarfile.open(path) as archive:
        file = archive.extractfile("model.json")
        assert file is not None
        return Model.model_validate(json.load(file))


def scored(model: Model, rows: Rows) -> list[float]:
    """Give each tumour's probability of being malignant."""
    if any(len(row) != len(model.weights) for row in rows.instances):
        raise HTTPException(422, f"a row has {len(model.weights)} numbers")
    return [round(model.probability(row), 6) for row in rows.instances]


def create(model: Model) -> FastAPI:
    """Make the application."""
    app = FastAPI(title="diagnosis")

    @app.get("/health")
    def health() -> dict[str, int]:
        return {"measurements": len(model.weights)}

    @app.post("/score")
    def score(rows: Rows) -> dict[str, list[float]]:
        return {"probabilities": scored(model, rows)}

    return app


def application() -> FastAPI:
    """Make the application with the model beside this file, as uvicorn asks for it."""
    return create(load(Path(__file__).with_name("model.tar.gz")))
