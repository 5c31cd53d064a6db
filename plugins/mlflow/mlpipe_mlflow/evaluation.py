"""``mlflow.evaluate``: load models, predict the test rows, measure, report."""

import json
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe import Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_mlflow import measuring, predictions, tables
from mlpipe_mlflow.config import TEST, EvaluateConfig, models_of, prefix

if TYPE_CHECKING:
    import numpy as np

    from mlpipe_scriptmode import Model


@dataclass(frozen=True, slots=True)
class Test:
    """The rows to predict.

    Attributes:
        rows: Features, one row each.
        truth: Labels, as many.
    """

    rows: "np.ndarray[Any, Any]"
    truth: "np.ndarray[Any, Any]"


def run(config: EvaluateConfig, stage: Stage) -> StageResult:
    """Measure every input model on the input ``test``.

    Raises:
        StageError: Rows or labels cannot be used, or a model cannot predict them.
    """
    models = models_of(stage.inputs)
    test = _read(config, stage)
    measured = {name: _measure(name, test, config, stage) for name in models}
    for name in models:
        print(measuring.text(name, measured[name]), flush=True)
    metrics = {
        prefix(name, models) + metric: value
        for name, result in measured.items()
        for metric, value in result.metrics.items()
    }
    report = stage.output("report", file="report.json")
    report.write_text(json.dumps(_report(config, stage, test, measured), indent=2) + "\n")
    stage.emit("artifact", output="report")
    return StageResult(
        outputs={"report": report}, metrics=metrics, summary=_summary(config, models, metrics)
    )


def _read(config: EvaluateConfig, stage: Stage) -> Test:
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
    return Test(frame.drop(columns=config.label).to_numpy(), truth)


def _measure(name: str, test: Test, config: EvaluateConfig, stage: Stage) -> measuring.Measured:
    where = f"stages.{stage.name}.inputs.{name}"
    try:
        model = _load(name, stage)
        predicted = model.predict(test.rows)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        traceback.print_exc()
        raise StageError(
            f'model "{name}" cannot predict the test rows: {error}',
            where=where,
            fix=f"See the traceback in the log of stage {stage.name}.",
        ) from error
    guesses = predictions.checked(predicted, test.truth, config.task, f'model "{name}"', where)
    if config.task == "regression":
        return measuring.regression(test.truth, guesses)
    scores = predictions.scores_of(model, test.rows, guesses)
    return measuring.classification(test.truth, guesses, scores, config.positive, where)


def _load(name: str, stage: Stage) -> "Model":
    import mlpipe_scriptmode as scriptmode

    folder = stage.scratch / "models" / name
    return scriptmode.load(scriptmode.unpack(stage.inputs[name].path(), folder))


def _report(
    config: EvaluateConfig, stage: Stage, test: Test, measured: dict[str, measuring.Measured]
) -> dict[str, Any]:
    return {
        "task": config.task,
        "label": config.label,
        "test": stage.inputs[TEST].artifact.digest,
        "rows": len(test.truth),
        "models": {
            name: {"digest": stage.inputs[name].artifact.digest, **result.to_json()}
            for name, result in measured.items()
        },
    }


def _summary(config: EvaluateConfig, models: tuple[str, ...], metrics: dict[str, float]) -> str:
    first = "accuracy" if config.task == "classification" else "rmse"
    return " · ".join(
        f"{prefix(name, models)}{first} {metrics[prefix(name, models) + first]:.4g}"
        for name in models
    )
