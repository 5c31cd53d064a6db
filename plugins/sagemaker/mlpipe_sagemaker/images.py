"""Images that SageMaker trains in."""

from typing import Any

from mlpipe import StageError
from mlpipe_aws import Settings
from mlpipe_aws.clients import missing
from mlpipe_sagemaker.contract import TrainingJob


def image_uri(job: TrainingJob, settings: Settings) -> str:
    """Give the image: as named, or SageMaker's own for a framework or algorithm.

    Raises:
        StageError: SageMaker has no such image.
    """
    if job.image:
        return job.image
    try:
        from sagemaker.core import image_uris
    except ImportError as error:
        raise missing("sagemaker") from error
    asked: dict[str, Any] = {"region": settings.region, "instance_type": job.compute.instance}
    if job.framework is not None:
        asked |= {"framework": job.framework.name, "version": job.framework.version}
        asked |= {"py_version": job.framework.python, "image_scope": "training"}
    else:
        name, _, version = str(job.algorithm).partition(":")
        asked |= {"framework": name, "version": version or None}
    try:
        return str(image_uris.retrieve(**asked))
    except (ValueError, KeyError) as error:
        raise StageError(
            f"SageMaker has no such image: {error}",
            where="with.framework" if job.framework else "with.algorithm",
        ) from error
