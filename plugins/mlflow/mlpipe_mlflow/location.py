"""Where MLflow keeps what is tracked, told without importing it."""

import json
import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlpipe import UserError

if TYPE_CHECKING:
    from mlpipe_mlflow.config import TrackingConfig

#: Tags by which an MLflow run is found again. The project's is there because run identifiers
#: are unique within a project only, and a tracking server serves many.
PROJECT_TAG = "mlpipe.project"
RUN_TAG = "mlpipe.run"
STAGE_TAG = "mlpipe.stage"

_URI_VARIABLE = "MLFLOW_TRACKING_URI"
_BARE = ("databricks", "databricks-uc", "uc")


def tracking_uri(configured: str | None, root: Path) -> str:
    """Say where a project is tracked.

    Args:
        configured: What the recipe says, if it does; else ``MLFLOW_TRACKING_URI`` counts, else
            a SQLite database in the project.
        root: The project's folder.

    Raises:
        UserError: It is a folder of files, which MLflow no longer keeps.
    """
    uri = configured or os.environ.get(_URI_VARIABLE) or f"sqlite:///{root / 'mlflow.db'}"
    if reason := refused(uri):
        raise UserError(
            reason, where=_URI_VARIABLE, fix="Unset it to track in the project's own mlflow.db."
        )
    return uri


def refused(uri: str) -> str | None:
    """Say why a URI cannot be tracked to, or give ``None``."""
    if uri in _BARE or urlsplit(uri).scheme not in ("", "file"):
        return None
    return f'"{uri}" is a folder; name a database (sqlite:///mlflow.db) or a server (https://…)'


def artifact_root(root: Path) -> Path:
    """Give the folder of artifacts of a project that is tracked in a database."""
    return root / "mlartifacts"


def is_new(uri: str, root: Path) -> bool:
    """Tell whether a URI is a SQLite database that is not there yet."""
    path = uri.removeprefix("sqlite:///")
    return path != uri and not (root / path).is_file()


def shown(uri: str) -> str:
    """Give a URI without its user and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def project_id(state_dir: Path) -> str:
    """Give what tells this project's runs from those of others; made once, then kept.

    Args:
        state_dir: The project's ``.mlpipe``.
    """
    path = state_dir / "mlflow" / "project"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(uuid.uuid4().hex)
            file.flush()
            with suppress(FileExistsError):  # another process was first; its identifier counts
                os.link(file.name, path)
    return path.read_text()


def environment(
    config: "TrackingConfig", recipe: str, run: str, stage: str, root: Path
) -> dict[str, str]:
    """Give the variables with which a stage's own MLflow calls find experiment and run.

    While planning, when ``run`` is empty, there is no run to be found.
    """
    found = {
        _URI_VARIABLE: tracking_uri(config.tracking_uri, root),
        "MLFLOW_EXPERIMENT_NAME": config.experiment or recipe,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if not run:
        return found
    tags = {PROJECT_TAG: project_id(root / ".mlpipe"), RUN_TAG: run, STAGE_TAG: stage}
    return {**found, "MLFLOW_RUN_CONTEXT": json.dumps(tags)}
