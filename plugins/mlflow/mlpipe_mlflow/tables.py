"""Reading the table of test rows, and saying what is wrong with it."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe import Input
from mlpipe.errors import StageError

if TYPE_CHECKING:
    import pandas as pd


def read(given: Input, where: str) -> "pd.DataFrame":
    """Read a table by the ending of its file's name.

    Args:
        given: The input.
        where: What errors name.

    Raises:
        StageError: It cannot be read, or has no rows.
    """
    path = given.path()
    suffix = Path(given.artifact.location).suffix.lower() or path.suffix.lower()
    if suffix not in _readers():
        raise StageError(
            f"{given.artifact.location} is no table that can be read",
            where=where,
            fix=f"Its name must end in one of: {', '.join(_readers())}.",
        )
    try:
        frame: pd.DataFrame = _readers()[suffix](path)
    except (ValueError, OSError) as error:
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StageError(
            f"{given.artifact.location} cannot be read: {text}", where=where
        ) from error
    if frame.empty:
        raise StageError(
            f"{given.artifact.location} has no rows, so there is nothing to measure on",
            where=where,
            fix="Look at the split that makes it.",
        )
    return frame


def check_label(frame: "pd.DataFrame", label: str, where: str) -> None:
    """Look whether a table has a label in each row, and features beside it.

    Raises:
        StageError: It has not.
    """
    names = [str(name) for name in frame.columns]
    if label not in names:
        near = get_close_matches(label, names, 1)
        fix = f'Did you mean "{near[0]}"?' if near else f"Its columns: {_listed(names)}."
        raise StageError(f'the test set has no column "{label}"', where=where, fix=fix)
    missing = frame[label].isna()
    if missing.any():
        first = int(missing.to_numpy().argmax()) + 1
        raise StageError(
            f'{int(missing.sum())} of {len(frame)} rows have no "{label}", first row {first}',
            where=where,
            fix="Drop or label these rows when the data is prepared.",
        )
    if len(names) == 1:
        raise StageError(f'the test set has no column beside "{label}"', where=where)


def _readers() -> dict[str, Callable[[Path], Any]]:
    import pandas as pd

    return {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pq": pd.read_parquet}


def _listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
