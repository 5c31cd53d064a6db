"""From predictions to bodies."""

import csv
import io
import json
from typing import Any

from mlpipe_scriptmode.errors import ModelFailure

#: Kinds of numpy's types: truth values, whole numbers with and without sign, floats.
_NUMBERS = ("b", "i", "u", "f")


def to_json(value: object) -> bytes:
    """Write JSON; arrays, also those within lists and mappings, become lists."""
    return _quickly(value) or _json(value).encode()


def to_json_lines(value: object) -> bytes:
    """Write a line a row."""
    return "".join(_json(row) + "\n" for row in _rows(value)).encode()


def to_csv(value: object) -> bytes:
    """Write a line a row, without a header."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in _rows(value):
        cells = _rows(row)
        if any(isinstance(cell, list | dict) for cell in cells):
            raise ModelFailure("the prediction is no table, and cannot be written as CSV")
        writer.writerow(cells)
    return stream.getvalue().encode()


def to_npy(value: object) -> bytes:
    """Write what ``numpy.load`` reads without unpickling."""
    import numpy as np

    stream = io.BytesIO()
    try:
        np.save(stream, np.asarray(value), allow_pickle=False)
    except ValueError as error:
        raise ModelFailure(f"the prediction cannot be written as NPY: {error}") from error
    return stream.getvalue()


def _quickly(value: Any) -> bytes | None:
    """Write an array of finite numbers as ``_json`` does, without the encoder that it makes."""
    if getattr(getattr(value, "dtype", None), "kind", "") in _NUMBERS:
        import numpy as np

        if isinstance(value, np.ndarray) and (
            value.dtype.kind != "f" or np.logical_and.reduce(np.isfinite(value), axis=None)
        ):
            return json.dumps(value.tolist()).encode()
    return None


def _json(value: object) -> str:
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFailure(f"the prediction cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    """Give arrays and numbers of numpy, and tables, as lists and numbers of Python."""
    for name in ("tolist", "to_numpy"):
        if callable(convert := getattr(value, name, None)):
            return convert()
    raise TypeError(f"it holds a {type(value).__name__}")


def _rows(value: Any) -> list[Any]:
    """Give the elements of an array or list; anything else is one."""
    for name in ("to_numpy", "tolist"):
        if callable(convert := getattr(value, name, None)):
            value = convert()
    if isinstance(value, tuple):
        value = list(value)
    return value if isinstance(value, list) else [value]
