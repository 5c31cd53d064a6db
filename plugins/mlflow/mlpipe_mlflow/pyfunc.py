"""Script-mode models as MLflow's generic flavour: ``mlflow.pyfunc.load_model`` loads them."""

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpipe_scriptmode import Model

_DISTRIBUTION = "mlpipe-framework-mlflow"


class ScriptModel:
    """What MLflow calls to predict.

    Args:
        model: The loaded model.
    """

    def __init__(self, model: "Model") -> None:
        self._model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Predict by the model's own script.

        Args:
            model_input: Rows. A table's values are passed on without its columns' names, as
                an endpoint passes rows.
            params: MLflow's; a script-mode model takes none.
        """
        rows = model_input.to_numpy() if hasattr(model_input, "to_numpy") else model_input
        return self._model.predict(rows)


def save(archive: Path, scratch: Path) -> Path:
    """Write a model's archive as MLflow model.

    Args:
        archive: A ``model.tar.gz``.
        scratch: An empty folder.

    Returns:
        The folder to upload, below ``scratch``.

    Raises:
        mlpipe_scriptmode.ModelFailure: It is no such archive.
    """
    import mlflow

    import mlpipe_scriptmode as scriptmode

    unpacked = scriptmode.unpack(archive, scratch / "unpacked")
    folder = scratch / "model"
    mlflow.pyfunc.save_model(
        path=folder,
        data_path=str(unpacked),
        loader_module=__name__,
        pip_requirements=_requirements(unpacked / "code" / "requirements.txt"),
    )
    return folder


def _requirements(own: Path) -> list[str]:
    """Give what the model needs: this package, and what the script's folder says."""
    mine = f"{_DISTRIBUTION}=={metadata.version(_DISTRIBUTION)}"
    lines = own.read_text("utf-8").splitlines() if own.is_file() else []
    return [mine, *(line.strip() for line in lines if line.strip() and line.strip()[0] not in "#-")]


def _load_pyfunc(path: str) -> ScriptModel:
    """Load what ``save`` wrote; MLflow calls it by this name."""
    import mlpipe_scriptmode as scriptmode

    return ScriptModel(scriptmode.load(Path(path)))
