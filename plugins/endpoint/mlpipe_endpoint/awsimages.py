"""The images that containers of SageMaker's endpoints run in."""

from mlpipe.errors import StageError
from mlpipe_aws.clients import missing
from mlpipe_endpoint.hostingconfig import Hosting


def image_of(hosting: Hosting, region: str) -> str:
    """Give the URI of the recipe's own image, or of SageMaker's prebuilt one in a region.

    Raises:
        StageError: SageMaker has no such image, or its SDK, which lists them, is not installed.
    """
    if hosting.framework is None:
        return str(hosting.image)
    try:
        from sagemaker.core import image_uris
    except ImportError as error:
        raise missing("sagemaker") from error
    try:
        return str(
            image_uris.retrieve(
                framework=hosting.framework.name,
                version=hosting.framework.version,
                py_version=hosting.framework.python,
                region=region,
                instance_type=hosting.instance,
                image_scope="inference",
            )
        )
    except (ValueError, KeyError) as error:
        raise StageError(
            f"SageMaker has no such image: {error}", where="with.hosting.framework"
        ) from error
