"""The champion that MLflow's registry has: which it is now, and its files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import Stage, StageError
from mlpipe_mlflow import pyfunc
from mlpipe_mlflow.config import EvaluateConfig
from mlpipe_mlflow.connection import client
from mlpipe_mlflow.location import is_new, shown, tracking_uri
from mlpipe_mlflow.registry import DIGEST_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The model in service.

    Attributes:
        folder: Its files, as an unpacked archive has them.
        digest: Of the archive that it came from.
    """

    folder: Path
    digest: str


def identify(config: EvaluateConfig, stage: Stage) -> Mapping[str, str]:
    """Say which version is the champion, for the fingerprint.

    Raises:
        StageError: The registry does not answer.
    """
    version = _version(config, stage)
    return {"champion": _digest(version) if version else "none"}


def fetch(config: EvaluateConfig, stage: Stage) -> Incumbent | None:
    """Download the champion; ``None`` where nothing has the alias yet.

    Raises:
        StageError: The registry does not answer, or the model is of another kind.
    """
    version = _version(config, stage)
    if version is None:
        return None
    with _answering(stage) as uri:
        from mlflow.artifacts import download_artifacts
        from mlflow.models import Model

        place = _client(uri, stage).get_model_version_download_uri(version.name, version.version)
        into = stage.scratch / "registered"
        into.mkdir(parents=True)
        folder = Path(download_artifacts(place, dst_path=str(into), tracking_uri=uri))
        flavour = Model.load(str(folder)).flavors.get("python_function", {})
    if flavour.get("loader_module") != pyfunc.__name__:
        raise StageError(
            f'version {version.version} of the registered model "{version.name}" was not trained '
            "by mlpipe",
            where=f"stages.{stage.name}.with.champion",
            fix="Give a model as an input, and name that.",
        )
    return Incumbent(folder / str(flavour["data"]), _digest(version))


def _version(config: EvaluateConfig, stage: Stage) -> "ModelVersion | None":
    assert config.registered is not None  # or nobody would ask
    uri = tracking_uri(None, stage.root)
    if is_new(uri, stage.root):  # looking would make it
        return None
    with _answering(stage):
        from mlflow.exceptions import MlflowException

        try:
            return _client(uri, stage).get_model_version_by_alias(*config.registered)
        except MlflowException as error:
            if error.error_code in _NOT_THERE:
                return None
            raise


def _client(uri: str, stage: Stage) -> "MlflowClient":
    return client(uri, stage.root / ".mlpipe")


def _digest(version: "ModelVersion") -> str:
    return version.tags.get(DIGEST_TAG) or f"{version.name}/{version.version}"


@contextmanager
def _answering(stage: Stage) -> Iterator[str]:
    """Give the store's address; say of what goes wrong there where that was."""
    uri = tracking_uri(None, stage.root)
    try:
        yield uri
    except StageError:
        raise
    except Exception as error:  # MLflow's stores raise what their libraries do
        raise StageError(
            f"the registry cannot be read: {str(error).splitlines()[0]}", where=shown(uri)
        ) from error
