"""The verb ``train``: describe the job, run it on the target's backend, package the model."""

from pathlib import Path

from mlpipe import Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_sagemaker.config import TrainConfig
from mlpipe_sagemaker.contract import FinishedJob, Trainer, TrainingJob
from mlpipe_sagemaker.sources import collect


def run(config: TrainConfig, stage: Stage) -> StageResult:
    """Train; give the model, what else the script made, and the last metrics.

    Raises:
        StageError: The job failed, left no model, or the target has no backend.
    """
    program, sources = collect(config.script, stage.root)
    job = TrainingJob(
        name=stage.key,
        program=program,
        sources=sources,
        channels={name: given.path() for name, given in stage.inputs.items()},
        hyperparameters=config.hyperparameters,
        metrics=config.metrics,
        scratch=stage.scratch,
        python=config.python,
    )
    finished = _trainer(stage.target.type).train(job, stage.log_metrics)
    outputs = {"model": _model(job, finished, stage)}
    if any(finished.output_dir.iterdir()):
        outputs["output"] = _output(finished, stage)
    stage.emit("model", name=stage.name, program=program, flavor="scriptmode")
    return StageResult(outputs=outputs, metrics=finished.metrics, summary=_summary(finished))


def _trainer(target_type: str) -> Trainer:
    if target_type == "local":
        from mlpipe_sagemaker.local import LocalTrainer

        return LocalTrainer()
    raise StageError(
        f'sagemaker.train has no backend for targets of type "{target_type}" yet',
        fix="Run it with --target local.",
    )


def _model(job: TrainingJob, finished: FinishedJob, stage: Stage) -> Path:
    from mlpipe_scriptmode import pack

    if not any(finished.model_dir.iterdir()):
        raise StageError(
            "the script left no model",
            where=job.program,
            fix='Save it in the folder that os.environ["SM_MODEL_DIR"] names.',
        )
    archive = stage.output("model", file="model.tar.gz")
    pack(finished.model_dir, job.sources, job.program, archive)
    return archive


def _output(finished: FinishedJob, stage: Stage) -> Path:
    folder = stage.output("output")
    finished.output_dir.rename(folder)
    return folder


def _summary(finished: FinishedJob) -> str:
    return " · ".join(f"{name} {value:.4g}" for name, value in finished.metrics.items())
