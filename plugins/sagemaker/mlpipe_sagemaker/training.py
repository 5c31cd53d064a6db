"""The verb ``train``: describe the job, run it on the target's backend, package the model."""

from pathlib import Path

from mlpipe import Stage, StageResult, Target
from mlpipe.errors import StageError
from mlpipe_sagemaker.config import TrainConfig
from mlpipe_sagemaker.contract import FinishedJob, Trainer, TrainingJob
from mlpipe_sagemaker.sources import collect


def run(config: TrainConfig, stage: Stage) -> StageResult:
    """Train; give the model, what else the script made, and the last metrics.

    Raises:
        StageError: The job failed, left no model, or the target has no backend.
    """
    trainer = _trainer(stage.target)
    job = _describe(config, stage)
    finished = trainer.train(job, stage.log_metrics)
    outputs = {"model": _model(job, finished, stage)}
    if any(finished.output_dir.iterdir()):
        outputs["output"] = _output(finished, stage)
    stage.emit("model", name=stage.name, framework="scriptmode", program=job.program)
    _mention_unseen(job, finished)
    return StageResult(outputs=outputs, metrics=finished.metrics, summary=_summary(finished))


def _trainer(target: Target) -> Trainer:
    if target.type == "local":
        from mlpipe_sagemaker.local import LocalTrainer

        return LocalTrainer()
    raise StageError(
        f'training cannot run on a target of type "{target.type}"',
        where=f"targets.{target.name}",
        fix="Run it with --target local: this version trains on this machine only.",
    )


def _describe(config: TrainConfig, stage: Stage) -> TrainingJob:
    program, sources = collect(config.script, stage.root, config.source_dir)
    return TrainingJob(
        name=stage.key,
        program=program,
        sources=sources,
        channels=stage.inputs,
        hyperparameters=config.hyperparameters,
        metrics=config.metrics,
        root=stage.root,
        scratch=stage.scratch,
        python=config.python,
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
    from mlpipe_scriptmode import pack_folder

    archive = stage.output("output", file="output.tar.gz")
    pack_folder(finished.output_dir, archive)
    return archive


def _mention_unseen(job: TrainingJob, finished: FinishedJob) -> None:
    for name in job.metrics.keys() - finished.metrics.keys():
        print(f'no line of the log had a number for the metric "{name}": {job.metrics[name]}')


def _summary(finished: FinishedJob) -> str:
    return " · ".join(f"{name} {value:.4g}" for name, value in finished.metrics.items())
