"""A linear model of the progression, small enough to read."""

import json
from pathlib import Path

import pandas
from sklearn.linear_model import LinearRegression


def fit(train: Path, test: Path, coefficients: Path) -> dict[str, float]:
    """Fit on one part, score on the other.

    Args:
        train: CSV file to fit on.
        test: CSV file to score on.
        coefficients: Where the model's coefficients go, by measurement.

    Returns:
        The share of variance that the model explains on the test part.
    """
    seen, unseen = (_features(pandas.read_csv(path)) for path in (train, test))
    model = LinearRegression().fit(*seen)
    named = dict(zip(model.feature_names_in_, model.coef_.round(6), strict=True))
    coefficients.write_text(json.dumps(named, indent=2) + "\n")
    return {"r2": model.score(*unseen)}


def _features(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, "pandas.Series[float]"]:
    return frame.drop(columns="progression"), frame["progression"]
