"""From bodies to arrays. What is wrong with a body is said with its row and column."""

import io
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlpipe_scriptmode.errors import BadPayload
from mlpipe_scriptmode.media import text_of

if TYPE_CHECKING:
    import numpy as np

#: Kinds of numpy's types: truth values, whole numbers with and without sign, floats.
_NUMBERS = "biuf"


def from_json(body: bytes, content_type: str) -> "np.ndarray[Any, Any]":
    """Read a list of rows, one row, or ``{"instances": rows}``."""
    value = _quickly(body, content_type)
    if value is None:
        text = text_of(body, content_type)
        _require_content(text)
        value = _parsed(text, "the body")
    if isinstance(value, dict):
        if "instances" not in value:
            raise BadPayload('the JSON object has no "instances"')
        value = value["instances"]
    if not isinstance(value, list):
        raise BadPayload(f"the JSON is {_shown(value)}, no list of rows")
    one = bool(value) and not any(isinstance(each, list) for each in value)
    return _array([value] if one else value)


def from_json_lines(body: bytes, content_type: str) -> "np.ndarray[Any, Any]":
    """Read a row a line: a list, a number, ``{"features": row}`` or an object of numbers."""
    text = text_of(body, content_type)
    _require_content(text)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _parsed(line, f"line {number}")
            if isinstance(row, dict):
                row = row.get("features", list(row.values()))
            rows.append(row if isinstance(row, list) else [row])
    return _array(rows)


def from_csv(body: bytes, content_type: str) -> "np.ndarray[Any, Any]":
    """Read rows of numbers with commas between. One row costs a split, and no table."""
    import numpy as np

    text = text_of(body, content_type)
    _require_content(text)
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [_numbers(line, number) for number, line in enumerate(lines, 1)]
    _require_equal(rows)
    return np.array(rows, dtype=float)


def from_npy(body: bytes, _content_type: str) -> "np.ndarray[Any, Any]":
    """Read what ``numpy.save`` wrote: numbers of one or two dimensions, nothing pickled."""
    import numpy as np

    if not body:
        raise BadPayload("the body is empty")
    if not body.startswith(np.lib.format.MAGIC_PREFIX):
        raise BadPayload("the body is no NPY array")
    try:
        array: np.ndarray[Any, Any] = np.load(io.BytesIO(body), allow_pickle=False)
    except Exception as error:  # a header that was made up fails in any way
        raise BadPayload(f"the body is no NPY array: {error}") from None
    if array.dtype.kind not in _NUMBERS:
        raise BadPayload(f"the array holds {array.dtype}, no numbers")
    if array.ndim == 1:
        array = array.reshape(1, -1)
    if array.ndim != 2 or not array.size:
        raise BadPayload(f"rows and columns are wanted, the array's shape is {array.shape}")
    if not _holds_finite_numbers(array):
        row, column = (int(each) + 1 for each in np.argwhere(~np.isfinite(array))[0])
        raise _unusable(array[row - 1, column - 1].item(), row, column)
    return array


def _quickly(body: bytes, content_type: str) -> Any:
    """Read plain JSON; ``None`` for what is left to ``json``, which says what is wrong with it.

    An interpreter that only a model runs in need not have orjson.
    """
    if ";" in content_type:
        return None
    try:
        import orjson

        return orjson.loads(body)
    except (ImportError, ValueError):
        return None


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"{what} is no JSON: {error}") from None


def _array(rows: list[Any]) -> "np.ndarray[Any, Any]":
    """Make rows of JSON values an array, if all are finite numbers and the rows equally long."""
    import numpy as np

    with suppress(ValueError):  # as when rows differ in length
        array = np.array(rows)
        if array.ndim == 2 and array.size and _holds_finite_numbers(array):
            return array
    _require_numbers(rows)
    _require_equal(rows)
    return np.array(rows, dtype=float)  # whole numbers beyond 64 bits


def _holds_finite_numbers(array: "np.ndarray[Any, Any]") -> bool:
    import numpy as np

    if array.dtype.kind != "f":
        return array.dtype.kind in _NUMBERS
    # What .all() does, without its way there, which takes as long as a row.
    return bool(np.logical_and.reduce(np.isfinite(array), axis=None))


def _require_numbers(rows: list[Any]) -> None:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list):
            raise BadPayload(f"row {number} is {_shown(row)}, no list")
        for column, value in enumerate(row, 1):
            if not isinstance(value, int | float) or not _is_finite(value):
                raise _unusable(value, number, column)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def _numbers(line: str, row: int) -> list[float]:
    cells = line.split(",")
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    # float() takes 1_000 for a number, which no writer of CSV means.
    if len(numbers) == len(cells) and all(map(math.isfinite, numbers)) and "_" not in line:
        return numbers
    for column, cell in enumerate(cells, 1):
        if not _is_number(cell):
            raise _unusable(cell.strip(), row, column)
    return numbers


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def _require_content(text: str) -> None:
    if not text.strip():
        raise BadPayload("the body is empty")


def _require_equal(rows: Sequence[Sequence[Any]]) -> None:
    width = len(rows[0]) if rows else 0
    if not width:
        raise BadPayload("row 1 has no columns" if rows else "the body has no rows")
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise BadPayload(f"row {number} has {len(row)} columns, row 1 has {width}")


def _unusable(value: object, row: int, column: int) -> BadPayload:
    return BadPayload(f"row {row}, column {column} is {_shown(value)}, no finite number")


def _shown(value: object) -> str:
    text = json.dumps(value) if isinstance(value, str | list | dict | None) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
