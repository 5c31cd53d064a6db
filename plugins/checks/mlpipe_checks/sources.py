"""The sources that are checked: a copy of what another stage made, or the project's own."""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_checks.config import SOURCE, CheckConfig


@contextmanager
def opened(config: CheckConfig, stage: Stage) -> Iterator[Path]:
    """Give the folder to check.

    Tools write into the folder that they run in. What another stage made is not theirs to
    change: they get a copy, outside of the project, whose settings are not the sources'.

    Raises:
        StageError: There is no such folder, or its settings cannot be read.
    """
    if config.folder is not None:
        yield _checked(stage.root / config.folder, config.folder)
        return
    made = _checked(stage.inputs[SOURCE].path(), f"inputs.{SOURCE}")
    with tempfile.TemporaryDirectory(prefix="mlpipe-checks-") as folder:
        copy = Path(folder) / SOURCE
        shutil.copytree(made, copy, symlinks=True)
        yield copy


def _checked(folder: Path, where: str) -> Path:
    if not folder.is_dir():
        raise StageError("this is no folder", where=where, fix="Give the folder with the sources.")
    settings = folder / "pyproject.toml"
    try:
        if settings.is_file():
            tomllib.loads(settings.read_text("utf-8"))
    except ValueError as error:
        raise StageError(
            f"pyproject.toml cannot be read: {error}",
            where=where,
            fix="Repair it: most tools read their settings there.",
        ) from None
    return folder
