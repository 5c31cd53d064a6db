"""The verb ``tune``: describe the training, run trials on the target's backend, keep the best."""

from dataclasses import asdict
from typing import Any

from mlpipe import Stage, StageResult, Target
from mlpipe_sagemaker import trials
from mlpipe_sagemaker.config import EARLIER, TuneConfig
from mlpipe_sagemaker.contract import Trial, Tuned, Tuner
from mlpipe_sagemaker.training import describe, outputs_of


def run(config: TuneConfig, stage: Stage) -> StageResult:
    """Tune; give the best model, all trials, and plots of them.

    Raises:
        StageError: No trial ended well, or the target cannot search this space.
    """
    job = describe(config, stage)
    earlier = stage.inputs.get(EARLIER)
    known = trials.read(earlier.path(), config) if earlier is not None else ()
    tuned = _tuner(stage.target).tune(job, config, known, _teller(config, stage))
    outputs = outputs_of(job, tuned.finished, stage)
    outputs["trials"] = stage.output("trials", file="trials.json")
    trials.write(tuned, config, outputs["trials"])
    outputs["plots"] = stage.output("plots", file="tuning.html")
    _plot(tuned, config, stage)
    return StageResult(
        outputs=outputs,
        metrics={**tuned.finished.metrics, "trials": float(len(tuned.trials))},
        values={
            **tuned.finished.values,
            **tuned.values,
            "hyperparameters": {**config.hyperparameters, **tuned.best.parameters},
        },
        summary=_summary(tuned, config),
    )


def _tuner(target: Target) -> Tuner:
    if target.type == "local":
        from mlpipe_sagemaker.localtuner import LocalTuner

        return LocalTuner()
    import mlpipe_aws
    from mlpipe_sagemaker.awstuner import SagemakerTuner

    return SagemakerTuner(mlpipe_aws.settings(target))


def _teller(config: TuneConfig, stage: Stage) -> Any:
    """Give what tells observers of a trial, and of the best one so far."""
    best: list[float] = []

    def tell(trial: Trial) -> None:
        stage.emit("trial", **asdict(trial))
        if trial.objective is not None:
            better = max if config.direction == "maximize" else min
            best[:] = [better([*best, trial.objective])]
            stage.log_metrics({config.objective: best[0]}, step=trial.number)

    return tell


def _plot(tuned: Tuned, config: TuneConfig, stage: Stage) -> None:
    from mlpipe_sagemaker.plots import page

    path = stage.scratch / "outputs" / "plots" / "tuning.html"
    path.write_text(page(tuned.trials, config, stage.name), "utf-8")
    stage.emit("artifact", output="plots")


def _summary(tuned: Tuned, config: TuneConfig) -> str:
    parts = [
        f"{len(tuned.trials)} trials",
        f"{config.objective} {tuned.best.objective:.4g}",
        *(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in tuned.best.parameters.items()
        ),
    ]
    return " · ".join(parts[:5])
