"""``mlflow.evaluate``: load models, predict the test rows, measure, report."""

import json
import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlpipe import Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_mlflow import functions, incumbent, predictions, printing, tables, unseen
from mlpipe_mlflow.comparing import compare
from mlpipe_mlflow.config import CHAMPION, TEST, EvaluateConfig, models_of, prefix
from mlpipe_mlflow.values import Measured, Predicted, Rows


def run(config: EvaluateConfig, stage: Stage) -> StageResult:
    """Measure every input model on the input ``test``.

    Raises:
        StageError: Rows or labels cannot be used, or a model has seen or cannot predict them.
    """
    where = f"stages.{stage.name}"
    models = models_of(stage.inputs)
    champion = incumbent.fetch(config, stage) if config.registered else None
    custom = [
        functions.load(name, reference, stage.root, f"{where}.with.custom.{name}")
        for name, reference in config.custom.items()
    ]
    rows = _read(config, stage)
    predicted = {name: _predict(name, rows, config, stage) for name in models}
    if champion is not None:
        folder = champion.folder
        predicted[CHAMPION] = _predict_with(
            lambda: folder, CHAMPION, "with.champion", rows, config, stage
        )
    measured = compare(rows.truth, predicted, custom, config, where)
    for name, result in measured.items():
        print(printing.text(name, result), flush=True)
    named = config.measured(models)
    metrics = {
        prefix(name, named) + metric: value
        for name, result in measured.items()
        for metric, value in result.named().items()
    }
    if config.registered and champion is None:
        print(f"nothing is {config.champion} yet: any gain is infinite", flush=True)
        metrics |= _without_champion(config, models)
    return StageResult(
        outputs={
            "report": _report(config, stage, rows, measured, champion),
            "plots": _plots(config, stage, rows, predicted, measured),
        },
        metrics=metrics,
        summary=_summary(config, named, metrics),
    )


def _without_champion(config: EvaluateConfig, models: tuple[str, ...]) -> dict[str, float]:
    """Give the gains over nothing, which any bound allows."""
    return {
        f"{model}.{metric}": math.inf
        for model in models
        for metric in config.names(model)
        if "gain" in metric.split(".")[1:]
    }


def _read(config: EvaluateConfig, stage: Stage) -> Rows:
    import numpy as np

    where = f"stages.{stage.name}"
    frame = tables.read(stage.inputs[TEST], f"{where}.inputs.{TEST}")
    tables.check_label(frame, config.label, f"{where}.with.label")
    stage.log_dataset(
        TEST,
        stage.inputs[TEST].artifact,
        rows=len(frame),
        columns=len(frame.columns),
        context="evaluation",
    )
    truth = np.asarray(frame[config.label].tolist())  # numbers as numbers, whatever pandas' type
    predictions.check_truth(truth, config.task, f"{where}.with")
    return Rows(frame.drop(columns=config.label).to_numpy(), truth)


def _predict(name: str, rows: Rows, config: EvaluateConfig, stage: Stage) -> Predicted:
    import mlpipe_scriptmode as scriptmode

    def unpacked() -> Path:
        return scriptmode.unpack(stage.inputs[name].path(), stage.scratch / "models" / name)

    return _predict_with(unpacked, name, f"inputs.{name}", rows, config, stage)


def _predict_with(
    unpacked: Callable[[], Path],
    name: str,
    place: str,
    rows: Rows,
    config: EvaluateConfig,
    stage: Stage,
) -> Predicted:
    """Predict the rows with a model whose folder ``unpacked`` gives."""
    where = f"stages.{stage.name}.{place}"
    try:
        import mlpipe_scriptmode as scriptmode

        folder = unpacked()
        unseen.check(name, scriptmode.facts_of(folder), stage.inputs[TEST], where)
        model = scriptmode.load(folder)
        predicted = model.predict(rows.features)
    except StageError:
        raise
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        traceback.print_exc()
        raise StageError(
            f'model "{name}" cannot predict the test rows: {error}',
            where=where,
            fix=f"See the traceback in the log of stage {stage.name}.",
        ) from error
    guesses = predictions.checked(predicted, rows.truth, config.task, f'model "{name}"', where)
    if config.task == "regression":
        return Predicted(guesses)
    return Predicted(guesses, predictions.scores_of(model, rows.features, guesses))


def _report(
    config: EvaluateConfig,
    stage: Stage,
    rows: Rows,
    measured: Mapping[str, Measured],
    champion: incumbent.Incumbent | None,
) -> Path:
    digests = {name: given.artifact.digest for name, given in stage.inputs.items()}
    if champion is not None:
        digests[CHAMPION] = champion.digest
    facts: dict[str, Any] = {
        "task": config.task,
        "label": config.label,
        "test": stage.inputs[TEST].artifact.digest,
        "rows": len(rows.truth),
        "bootstrap": config.bootstrap.model_dump() if config.bootstrap else None,
        "champion": config.champion,
        "models": {
            name: {"digest": digests[name], **result.to_json()} for name, result in measured.items()
        },
    }
    path = stage.output("report", file="report.json")
    path.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    stage.emit("artifact", output="report")
    return path


def _plots(
    config: EvaluateConfig,
    stage: Stage,
    rows: Rows,
    predicted: Mapping[str, Predicted],
    measured: Mapping[str, Measured],
) -> Path:
    from mlpipe_mlflow import pages

    path = stage.output("plots", file="report.html")
    path.write_text(pages.report(stage.name, config, rows, predicted, measured), "utf-8")
    stage.keep(path)  # a missed gate is when it is looked at
    return path


def _summary(config: EvaluateConfig, models: tuple[str, ...], metrics: dict[str, float]) -> str:
    first = "accuracy" if config.task == "classification" else "rmse"
    return " · ".join(
        f"{prefix(name, models)}{first} {metrics[prefix(name, models) + first]:.4g}"
        for name in models
        if prefix(name, models) + first in metrics
    )
