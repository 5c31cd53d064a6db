"""The environment of a model's own: made from the requirements that MLflow saved with it."""

import re
import sys
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_endpoint import mlflow_model

#: What a recipe says in an interpreter's place.
OF_MODEL = "model"
#: The file, in the folder of an unpacked model, that names its interpreter.
_MARK = ".mlpipe-python"
_VERSION = re.compile(r"^python:\s*['\"]?(\d+\.\d+)", re.MULTILINE)


def prepare(folder: Path, variant: str, environments: Path) -> None:
    """Make the environment of a model, unless it is there, and note its interpreter.

    Args:
        folder: The unpacked model.
        variant: Who wants it, for messages.
        environments: Where environments are.

    Raises:
        StageError: MLflow saved no requirements, or they cannot be installed.
    """
    from mlpipe_scriptmode import environments as making

    saved = mlflow_model.folder_of(folder)
    requirements = saved / "requirements.txt" if saved is not None else None
    if saved is None or requirements is None or not requirements.is_file():
        raise StageError(
            "its model says no requirements, as one that MLflow saved does",
            where=f"with.python.{variant}",
            fix="Name an interpreter in its place, or leave it out.",
        )
    python = _version(saved)
    also = {each.name: each for each in saved.iterdir() if each.is_file()}
    made = making.ensure(environments, python, python, requirements, also)
    (folder / _MARK).write_text(str(made))


def of(folder: Path) -> str:
    """Give the interpreter that ``prepare`` noted.

    Raises:
        OSError: None was.
    """
    return (folder / _MARK).read_text()


def _version(saved: Path) -> str:
    """Give the version of Python that the model was made with; ours where it does not say."""
    path = saved / "python_env.yaml"
    found = _VERSION.search(path.read_text()) if path.is_file() else None
    return found[1] if found else f"{sys.version_info.major}.{sys.version_info.minor}"
