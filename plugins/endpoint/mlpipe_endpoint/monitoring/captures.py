"""Reading what an endpoint captured, as a table of features and the predictions for them."""

import base64
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Captured:
    """Captured requests, a row each.

    Attributes:
        features: Of the baseline's columns.
        predictions: One a row.
        ids: The invocation's of each row.
        unreadable: How many captures are not of such rows.
    """

    features: "pd.DataFrame"
    predictions: "pd.Series[Any]"
    ids: Sequence[str]
    unreadable: int


def read(path: Path, columns: Sequence[str], rows: int) -> Captured:
    """Read the newest captures.

    Args:
        path: The file; one that does not exist has none.
        columns: The features' names, in the order in which requests have them.
        rows: How many rows at most.
    """
    return of_lines(_lines(path, rows), columns, rows)


def of_lines(lines: Iterable[str], columns: Sequence[str], rows: int) -> Captured:
    """Read captures, one a line, the newest last; see ``read``."""
    import pandas as pd

    found: deque[tuple[list[Any], Any, str]] = deque(maxlen=rows)
    unreadable = 0
    for line in lines:
        capture = json.loads(line)
        if capture.get("shadow"):
            continue  # the same request as that of the variant that answered
        entries = _rows(capture, len(columns))
        unreadable += entries is None
        found.extend(entries or ())
    table = pd.DataFrame([row for row, _, _ in found], columns=list(columns))
    predictions = pd.Series([prediction for _, prediction, _ in found], dtype=object)
    return Captured(table, predictions.infer_objects(), [each for _, _, each in found], unreadable)


def _lines(path: Path, most: int) -> Iterable[str]:
    """Give the newest lines: each is of one row or more."""
    if not path.exists():
        return ()
    with path.open() as file:  # a line without an end is being written
        return deque((line for line in file if line.endswith("\n")), maxlen=most)


def _rows(capture: Any, width: int) -> list[tuple[list[Any], Any, str]] | None:
    """Give a capture's rows, each with its prediction; nothing where it is none of such."""
    import mlpipe_scriptmode as scriptmode

    if not capture["answer_type"]:
        return None
    try:
        asked = scriptmode.decode(base64.b64decode(capture["body"]), capture["content_type"])
        answered = predictions_in(base64.b64decode(capture["answer"]), capture["answer_type"])
    except (scriptmode.BadPayload, scriptmode.UnsupportedContentType, ValueError):
        return None
    if asked.shape[1] != width or len(asked) != len(answered):
        return None
    return [
        (row, prediction, capture["id"])
        for row, prediction in zip(asked.tolist(), answered, strict=True)
    ]


def predictions_in(body: bytes, content_type: str) -> list[Any]:
    """Give an answer's predictions, one a row; of several numbers a row the first.

    Raises:
        ValueError: It holds none.
    """
    if content_type.startswith("application/json"):
        found = json.loads(body)
        found = found.get("predictions") if isinstance(found, dict) else found
    elif content_type.startswith("text/csv"):
        found = [line.split(",") for line in body.decode().splitlines()]
    else:
        raise ValueError(f"{content_type} cannot be read")
    if not isinstance(found, list):
        raise ValueError("the answer is no list")  # noqa: TRY004 - of the answer
    return [each[0] if isinstance(each, list) else each for each in found]
