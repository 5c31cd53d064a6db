"""The verb ``train``: describe the job, run it on the target's backend, package the model."""

from pathlib import Path, PurePosixPath

from mlpipe import Input, Stage, StageError, StageResult, Target
from mlpipe_sagemaker.config import CODE, EARLIER, IMAGE, TrainConfig
from mlpipe_sagemaker.contract import FinishedJob, Trainer, TrainingJob
from mlpipe_sagemaker.packaging import REQUIREMENTS, digests_of, program_of, unpack_sources
from mlpipe_sagemaker.sources import collect


def run(config: TrainConfig, stage: Stage) -> StageResult:
    """Train; give the model, what else the script made, and the last metrics.

    Raises:
        StageError: The job failed, left no model, or the target has no backend.
    """
    trainer = _trainer(stage.target)
    job = describe(config, stage)
    finished = trainer.train(job, stage.log_metrics)
    mention_unseen(job, finished)
    return StageResult(
        outputs=outputs_of(job, finished, stage),
        metrics=finished.metrics,
        values=finished.values,
        summary=summary_of(finished),
    )


def _trainer(target: Target) -> Trainer:
    if target.type == "local":
        from mlpipe_sagemaker.local import LocalTrainer

        return LocalTrainer()
    import mlpipe_aws
    from mlpipe_sagemaker.aws import SagemakerTrainer

    return SagemakerTrainer(mlpipe_aws.settings(target))


def describe(config: TrainConfig, stage: Stage) -> TrainingJob:
    """Describe a stage's training.

    Raises:
        StageError: The script, the package or the image is not there.
    """
    program, sources, code = _code(config, stage)
    has_requirements = config.requirements and REQUIREMENTS in sources
    if config.requirements and not has_requirements:
        raise StageError(
            f"there is no {REQUIREMENTS} beside the script",
            where="with.requirements",
            fix="Write one, or leave requirements out.",
        )
    return TrainingJob(
        name=stage.key,
        program=program,
        sources=sources,
        channels={n: each for n, each in stage.inputs.items() if n not in (CODE, IMAGE, EARLIER)},
        hyperparameters=config.hyperparameters,
        metrics=config.metrics,
        root=stage.root,
        scratch=stage.scratch,
        target=stage.target,
        run=stage.run,
        stage=stage.name,
        state_dir=stage.state_dir / "sagemaker",
        code=code,
        image=_image(config, stage),
        framework=config.framework,
        algorithm=config.algorithm,
        environment=stage.env,
        python=config.python,
        requirements=REQUIREMENTS if has_requirements else None,
        container=config.container,
        distribution=config.distribution,
        compute=config.compute,
    )


def _code(config: TrainConfig, stage: Stage) -> tuple[str, dict[str, Path], str]:
    """Give the entry script, the sources, and where the target has them already."""
    given = stage.inputs.get(CODE)
    if given is None:
        if config.script is None:  # the image brings its own
            return "", {}, ""
        program, sources = collect(config.script, stage.root, config.source_dir)
        return program, sources, ""
    folder = stage.scratch / "package"
    sources = unpack_sources(_fetched(given, stage), folder)
    location = given.artifact.location
    code = location if location.startswith("s3://") else ""
    return program_of(folder, config.program), sources, code


def _fetched(package: Input, stage: Stage) -> Path:
    if not package.artifact.location.startswith("s3://"):
        return package.path()
    import mlpipe_aws

    store = mlpipe_aws.Store(mlpipe_aws.settings(stage.target))
    uri = package.artifact.location
    return store.get(uri, stage.scratch / PurePosixPath(uri).name, package.artifact.digest)


def _image(config: TrainConfig, stage: Stage) -> str:
    given = stage.inputs.get(IMAGE)
    if given is None:
        return config.image or ""
    place, slashes, reference = given.artifact.location.partition("://")
    if stage.target.type == "aws" and slashes and place != "docker":
        raise StageError(
            "the image is in an engine of this machine, where SageMaker does not find it",
            where="inputs.image",
            fix="Push it, and train in what is there: inputs: {image: <push>.image}",
        )
    return reference if slashes else given.artifact.location


def outputs_of(job: TrainingJob, finished: FinishedJob, stage: Stage) -> dict[str, Path]:
    """Package what a job left, and tell observers of the model.

    Raises:
        StageError: There is no model.
    """
    outputs = {"model": _model(job, finished, stage)}
    if any(finished.output_dir.iterdir()):
        outputs["output"] = _output(finished, stage)
    stage.emit("model", name=stage.name, framework="scriptmode", program=job.program)
    return outputs


def _model(job: TrainingJob, finished: FinishedJob, stage: Stage) -> Path:
    from mlpipe_scriptmode import pack, pack_folder

    if not any(finished.model_dir.iterdir()):
        raise StageError(
            "training left no model",
            where=job.program or job.image,
            fix='Save it in the folder that os.environ["SM_MODEL_DIR"] names: /opt/ml/model.',
        )
    archive = stage.output("model", file="model.tar.gz")
    if not job.program:  # there is no code to go with it
        pack_folder(finished.model_dir, archive)
        return archive
    data = digests_of(job.channels)
    pack(finished.model_dir, job.sources, job.program, archive, {"data": data} if data else None)
    return archive


def _output(finished: FinishedJob, stage: Stage) -> Path:
    from mlpipe_scriptmode import pack_folder

    archive = stage.output("output", file="output.tar.gz")
    pack_folder(finished.output_dir, archive)
    return archive


def mention_unseen(job: TrainingJob, finished: FinishedJob) -> None:
    """Say in the log which metrics no line had."""
    for name in job.metrics.keys() - finished.metrics.keys():
        print(f'no line of the log had a number for the metric "{name}": {job.metrics[name]}')


def summary_of(finished: FinishedJob) -> str:
    """Write the metrics in a few words."""
    return " · ".join(f"{name} {value:.4g}" for name, value in finished.metrics.items())
