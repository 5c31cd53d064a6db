"""Calling the project's checks of its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.functions import load

if TYPE_CHECKING:
    from pandas import DataFrame

_SHOWN = 50


def check(frame: DataFrame, reference: str, root: Path) -> None:
    """Call the checks; a copy of the table is all they can change.

    Args:
        frame: What is to be split and written.
        reference: ``module:function``.
        root: The project's folder.

    Raises:
        StageError: Something is wrong with the data; all failures are named.
    """
    failures = _failures(frame, reference, root)
    if not failures:
        print(f"{reference}: nothing wrong with {len(frame):,} rows")
        return
    count = "1 check" if len(failures) == 1 else f"{len(failures):,} checks"
    lines = [f"- {failure}" for failure in failures[:_SHOWN]]
    if len(failures) > _SHOWN:
        lines.append(f"- and {len(failures) - _SHOWN:,} more")
    raise StageError(
        "\n   ".join([f"{count} failed", *lines]),
        where=reference,
        fix="No file was written. Repair the source, or add a step that does.",
    )


def _failures(frame: DataFrame, reference: str, root: Path) -> list[str]:
    function = load(reference, root)
    try:
        found = function(frame.copy())
    except Exception as error:  # a check may say that something is wrong by raising anything
        return [f"{type(error).__name__}: {error}" if str(error) else type(error).__name__]
    if found is None:
        return []
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise StageError(
            f"returned {type(found).__name__}, not a list of messages",
            where=reference,
            fix="Return what is wrong, one text each; an empty list when nothing is.",
        )
    return list(found)
