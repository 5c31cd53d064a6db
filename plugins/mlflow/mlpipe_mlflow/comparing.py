"""Measuring models side by side: metrics, their bounds, and gains over the champion."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpipe_mlflow import measuring, weighted
from mlpipe_mlflow.config import EvaluateConfig
from mlpipe_mlflow.functions import CustomMetric
from mlpipe_mlflow.resampling import Draw, Remeasure, bounds, resample
from mlpipe_mlflow.values import Estimate, Measured, Predicted

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Draws = Mapping[str, Mapping[str, Array]]


def compare(
    truth: "Array",
    models: Mapping[str, Predicted],
    custom: Sequence[CustomMetric],
    config: EvaluateConfig,
    where: str,
) -> dict[str, Measured]:
    """Measure models on the same rows.

    Args:
        truth: Labels, of shape (rows,).
        models: What each predicts.
        custom: The project's own metrics.
        config: The stage's settings.
        where: The stage, for errors.

    Raises:
        StageError: The positive class is none, or a custom metric fails.
    """
    points: dict[str, dict[str, float]] = {}
    confusions: dict[str, measuring.Confusion | None] = {}
    for name, predicted in models.items():
        points[name], confusions[name] = _point(truth, predicted, config, where)
        points[name].update((each.name, each.measure(truth, predicted)) for each in custom)
    draws = _draws(truth, models, custom, config)
    return {
        name: Measured(
            {metric: _estimate(name, metric, points, draws, config) for metric in points[name]},
            _gains(name, points, draws, config),
            confusions[name],
        )
        for name in models
    }


def _point(
    truth: "Array", predicted: Predicted, config: EvaluateConfig, where: str
) -> tuple[dict[str, float], measuring.Confusion | None]:
    if config.task == "regression":
        return measuring.regression(truth, predicted.guesses), None
    return measuring.classification(
        truth, predicted.guesses, predicted.scores, config.positive, where
    )


def _draws(
    truth: "Array",
    models: Mapping[str, Predicted],
    custom: Sequence[CustomMetric],
    config: EvaluateConfig,
) -> "Draws":
    if config.bootstrap is None:
        return {name: {} for name in models}
    measures = {
        name: _remeasure(truth, predicted, custom, config) for name, predicted in models.items()
    }
    return resample(len(truth), config.bootstrap, measures)


def _remeasure(
    truth: "Array", predicted: Predicted, custom: Sequence[CustomMetric], config: EvaluateConfig
) -> Remeasure:
    standard = (
        weighted.regression(truth, predicted.guesses)
        if config.task == "regression"
        else weighted.classification(truth, predicted.guesses, predicted.scores, config.positive)
    )

    def remeasure(draw: Draw) -> dict[str, float]:
        own = {each.name: each.remeasure(draw.rows, truth, predicted) for each in custom}
        return {**standard(draw.weights), **own}

    return remeasure


def _estimate(
    name: str,
    metric: str,
    points: Mapping[str, Mapping[str, float]],
    draws: "Draws",
    config: EvaluateConfig,
) -> Estimate:
    values = draws[name].get(metric)
    return Estimate(points[name][metric], _bounds(values, config))


def _gains(
    name: str,
    points: Mapping[str, Mapping[str, float]],
    draws: "Draws",
    config: EvaluateConfig,
) -> dict[str, Estimate]:
    """Give by how much a model is better than the champion, by metric."""
    champion = config.reference
    if champion is None or champion == name or champion not in points:
        return {}
    found = {}
    for metric in points[name].keys() & points[champion].keys():
        sign = config.sign(metric)
        mine, other = draws[name].get(metric), draws[champion].get(metric)
        values = None if mine is None or other is None else sign * (mine - other)
        gain = sign * (points[name][metric] - points[champion][metric])
        found[metric] = Estimate(gain, _bounds(values, config))
    return {metric: found[metric] for metric in points[name] if metric in found}


def _bounds(values: "Array | None", config: EvaluateConfig) -> tuple[float, float] | None:
    return bounds(values, config.bootstrap.confidence) if config.bootstrap else None
