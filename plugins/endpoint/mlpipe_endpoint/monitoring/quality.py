"""How good predictions were, once labels are known."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_endpoint.config import MonitorConfig
from mlpipe_endpoint.monitoring.captures import Captured

if TYPE_CHECKING:
    import pandas as pd


def measure(config: MonitorConfig, root: Path, found: Captured) -> dict[str, float]:
    """Give how many captured rows have a label, and the accuracy or the mean absolute error.

    Args:
        config: Names the file of labels; without one, nothing is measured.
        root: The project's folder.
        found: What was captured. A request of several rows has no label of its own.

    Raises:
        StageError: The file cannot be read, or has no columns id and label.
    """
    if config.labels is None:
        return {}
    import pandas as pd

    labels = _read(root / config.labels).drop_duplicates("id", keep="last")
    rows = pd.DataFrame({"id": found.ids, "prediction": found.predictions})
    single = rows[~rows["id"].duplicated(keep=False)]
    joined = single.merge(labels, on="id")
    name = "accuracy" if config.task == "classification" else "mae"
    if joined.empty:
        return {"labelled": 0.0, name: float("nan")}
    if config.task == "classification":
        value = float((joined["prediction"].astype(str) == joined["label"].astype(str)).mean())
    else:
        value = float((joined["prediction"].astype(float) - joined["label"]).abs().mean())
    return {"labelled": float(len(joined)), name: value}


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": pd.read_csv,
        ".jsonl": lambda file: pd.read_json(file, lines=True),
        ".parquet": pd.read_parquet,
    }
    if path.suffix not in readers:
        raise StageError(
            f'"{path.suffix}" is no kind of file that labels come in',
            where=str(path),
            fix=f"Kinds: {', '.join(readers)}.",
        )
    try:
        table = readers[path.suffix](path)
    except (OSError, ValueError) as error:
        raise StageError(f"the labels cannot be read: {error}", where=str(path)) from error
    if not {"id", "label"} <= set(table.columns):
        raise StageError(
            "the labels have no columns id and label",
            where=str(path),
            fix="id is the invocation's: x-amzn-RequestId of its answer.",
        )
    return table
