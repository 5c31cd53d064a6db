"""Asking SageMaker for a training job: what is uploaded, and the request.

The SageMaker SDK writes the request, with its own drivers for scripts and for processes that
train together. It is not asked to make the job: it names each job anew, by the clock, and so a
run that was cut off would pay for a second one.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe import Input, StageError
from mlpipe_aws import Settings, Store, client
from mlpipe_aws.clients import missing
from mlpipe_sagemaker import awsspace
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.images import image_uri
from mlpipe_sagemaker.local import name_in_channel
from mlpipe_sagemaker.packaging import ARCHIVE, REQUIREMENTS, pack_sources

#: Bytes of hyperparameters' texts; the service's own limit.
_LONGEST = 2500


def training_request(job: TrainingJob, settings: Settings, store: Store) -> dict[str, Any]:
    """Upload what a job reads, and write the request that makes it.

    Args:
        job: The job.
        settings: The target's.
        store: The target's store.

    Returns:
        The parameters of CreateTrainingJob.

    Raises:
        StageError: The SDK is not installed, a setting is missing, or an upload failed.
    """
    _check(job, settings)
    channels = {name: channel_uri(name, given, store) for name, given in job.channels.items()}
    code = code_uri(job, store) if job.program else ""
    trainer = _trainer(job, settings, code, store)
    # The only way to the request: train() makes the job at once, under a name of its own.
    request: dict[str, Any] = trainer._create_training_job_args(  # noqa: SLF001
        input_data_config=_channels(channels, job), boto3=True
    )
    request["TrainingJobName"] = job.name
    request["Tags"] = tags(job, settings)
    return {name: value for name, value in request.items() if value is not None}


def _check(job: TrainingJob, settings: Settings) -> None:
    if settings.role is None:
        raise StageError(
            "is missing: the role that training jobs assume",
            where=f"targets.{job.target.name}.role",
            fix="As role: arn:aws:iam::111122223333:role/training",
        )
    if not (job.image or job.framework or job.algorithm):
        raise StageError(
            "SageMaker trains in an image, and none is named",
            where=f"stages.{job.stage}.with",
            fix='Say framework: {name: sklearn, version: "1.4-2"}, image: URI, or give the input '
            "image.",
        )
    for name in {"code", "sm_drivers"} & job.channels.keys():
        raise StageError(f'"{name}" cannot be a channel: SageMaker\'s SDK uses it', where="inputs")
    for name, value in job.hyperparameters.items():
        if len(str(value)) > _LONGEST:
            raise StageError(
                f"is longer than the {_LONGEST} characters that SageMaker takes",
                where=f"with.hyperparameters.{name}",
                fix="Give long texts as a file, through an input.",
            )
        if job.program:
            awsspace.check_name(name, f"with.hyperparameters.{name}")
            awsspace.check_value(value, f"with.hyperparameters.{name}")


def channel_uri(name: str, given: Input, store: Store) -> str:
    """Give where SageMaker finds a channel's data; it is uploaded unless it is there."""
    location = given.artifact.location
    if location.startswith("s3://"):
        return location
    path = given.path()
    if path.is_dir():
        return store.put(path, given.artifact.digest) + "/"
    return store.put(path, given.artifact.digest, name_in_channel(path, name))


def code_uri(job: TrainingJob, store: Store) -> str:
    """Give where SageMaker finds the code; it is packed and uploaded unless it is there."""
    if job.code:
        return job.code
    archive = job.scratch / ARCHIVE
    return store.put(archive, pack_sources(job.sources, (job.program,), archive))


def tags(job: TrainingJob, settings: Settings) -> list[dict[str, str]]:
    """Give the tags of a job: the target's, and whose it is."""
    own = {"mlpipe:run": job.run, "mlpipe:stage": job.stage}
    named = {**settings.tags, **{name: value for name, value in own.items() if value}}
    return [{"Key": name, "Value": value} for name, value in named.items()]


def _trainer_class(store: Store) -> Any:
    """Give the SDK's trainer, except that what it uploads goes to the store, by its content.

    It would upload its drivers anew for each job, under the time; and it would ask IAM and S3
    first whether it may, without regard to the target's ``endpoint_url``.
    """
    from sagemaker.train import ModelTrainer

    class StoringTrainer(ModelTrainer):  # type: ignore[misc]
        def create_input_data_channel(
            self, channel_name: str, data_source: Any, *args: Any, **more: Any
        ) -> Any:
            if isinstance(data_source, str) and not data_source.startswith("s3://"):
                data_source = _put_folder(Path(data_source), store)
            return super().create_input_data_channel(channel_name, data_source, *args, **more)

    return StoringTrainer


def _put_folder(folder: Path, store: Store) -> str:
    for compiled in list(folder.rglob("__pycache__")):  # not the same on any two machines
        shutil.rmtree(compiled)
    digest = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return store.put(folder, f"sha256:{digest.hexdigest()}") + "/"


def _trainer(job: TrainingJob, settings: Settings, code: str, store: Store) -> Any:
    # The SDK would ask IAM, which whoever trains need not be allowed to.
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    try:
        from sagemaker.core.training import configs

        trainer_class = _trainer_class(store)
    except ImportError as error:
        raise missing("sagemaker") from error
    compute = job.compute
    given: dict[str, Any] = {
        "sagemaker_session": _session(settings),
        "role": settings.role,
        "base_job_name": job.name,
        "training_image": image_uri(job, settings),
        "training_input_mode": compute.input_mode,
        # For scripts as JSON, so that a text that looks like a number stays a text.
        "hyperparameters": {
            name: awsspace.encode(value, scripted=bool(job.program))
            for name, value in job.hyperparameters.items()
        },
        "environment": dict(job.environment) or None,
        "compute": configs.Compute(**_compute(job)),
        "networking": _networking(configs, settings),
        "stopping_condition": configs.StoppingCondition(**stopping(job)),
        "output_data_config": configs.OutputDataConfig(
            s3_output_path=output_path(settings), kms_key_id=settings.kms_key
        ),
        "checkpoint_config": configs.CheckpointConfig(s3_uri=checkpoints(job, settings))
        if compute.spot is not None
        else None,
    }
    if code:
        given["source_code"] = configs.SourceCode(
            source_dir=code,
            entry_script=job.program,
            requirements=REQUIREMENTS if REQUIREMENTS in job.sources else None,
        )
        given["distributed"] = _distributed(job)
    trainer = trainer_class(**{name: value for name, value in given.items() if value is not None})
    return _with_rest(trainer, job)


def _session(settings: Settings) -> Any:
    """Give the SDK's session; without a bucket it would look up the account."""
    import boto3
    from sagemaker.core.helper.session_helper import Session

    return Session(
        boto_session=boto3.Session(profile_name=settings.profile, region_name=settings.region),
        sagemaker_client=client(settings, "sagemaker"),
        default_bucket=settings.bucket,
        default_bucket_prefix=f"{settings.prefix}/jobs",
    )


def _with_rest(trainer: Any, job: TrainingJob) -> Any:
    from sagemaker.core.training.configs import MetricDefinition, RetryStrategy

    if job.metrics and job.algorithm is None:
        trainer = trainer.with_metric_definitions(
            [MetricDefinition(name=name, regex=regex) for name, regex in job.metrics.items()]
        )
    if job.compute.retries:
        retries = RetryStrategy(maximum_retry_attempts=job.compute.retries)
        trainer = trainer.with_retry_strategy(retries)
    return trainer


def _compute(job: TrainingJob) -> dict[str, Any]:
    compute, settings = job.compute, job.target.settings
    found: dict[str, Any] = {
        "instance_type": compute.instance,
        "instance_count": compute.instances,
        "volume_size_in_gb": compute.volume,
        "enable_managed_spot_training": compute.spot is not None or None,
        "keep_alive_period_in_seconds": int(compute.keep_alive) if compute.keep_alive else None,
        "volume_kms_key_id": settings.get("kms_key"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _networking(configs: Any, settings: Settings) -> Any:
    found: dict[str, Any] = {
        "subnets": list(settings.subnets) or None,
        "security_group_ids": list(settings.security_groups) or None,
        "enable_network_isolation": settings.network_isolation or None,
        "enable_inter_container_traffic_encryption": settings.encrypt_traffic or None,
    }
    given = {name: value for name, value in found.items() if value is not None}
    return configs.Networking(**given) if given else None


def _distributed(job: TrainingJob) -> Any:
    if job.distribution is None:
        return None
    from sagemaker.train.distributed import MPI, Torchrun

    kind = Torchrun if job.distribution.type == "torchrun" else MPI
    return kind(process_count_per_node=job.distribution.processes)


def stopping(job: TrainingJob) -> dict[str, int]:
    """Give how long a job may take, in seconds."""
    limits = {"max_runtime_in_seconds": int(job.compute.max_runtime)}
    if job.compute.spot is not None:
        wait = max(job.compute.spot.max_wait, job.compute.max_runtime)
        limits["max_wait_time_in_seconds"] = int(wait)
    return limits


def output_path(settings: Settings) -> str:
    """Give where jobs write; SageMaker adds each job's name."""
    return f"s3://{settings.bucket}/{settings.prefix}/jobs"


def checkpoints(job: TrainingJob, settings: Settings) -> str:
    """Give where a job keeps its checkpoints."""
    return f"s3://{settings.bucket}/{settings.prefix}/checkpoints/{job.name}"


def _channels(uris: Mapping[str, str], job: TrainingJob) -> list[Any]:
    from sagemaker.core.shapes import Channel, DataSource, S3DataSource
    from sagemaker.core.training.configs import InputData

    if job.algorithm is None:
        return [InputData(channel_name=name, data_source=uri) for name, uri in uris.items()]
    return [
        Channel(
            channel_name=name,
            content_type=_content_type(uri),
            data_source=DataSource(
                s3_data_source=S3DataSource(
                    s3_data_type="S3Prefix",
                    s3_uri=uri,
                    s3_data_distribution_type="FullyReplicated",
                )
            ),
        )
        for name, uri in uris.items()
    ]


def _content_type(uri: str) -> str:
    """Say what an algorithm's data is; those that SageMaker has built in ask."""
    kinds = {
        ".csv": "text/csv",
        ".parquet": "application/x-parquet",
        ".jsonl": "application/jsonlines",
    }
    return next((kind for end, kind in kinds.items() if uri.endswith(end)), "text/csv")
