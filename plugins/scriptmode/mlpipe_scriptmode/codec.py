"""Bodies of requests and answers: JSON, JSON lines, CSV and NPY, to and from arrays."""

import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlpipe_scriptmode.errors import BadPayload, UnsupportedContentType

if TYPE_CHECKING:
    import numpy as np

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"


def media_type(header: str) -> str:
    """Give the media type of a ``Content-Type``, without its parameters."""
    return header.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str) -> "np.ndarray[Any, Any]":
    """Read a body as rows: an array of two dimensions (rows, columns).

    JSON may be a list of rows, one row, or ``{"instances": rows}``.

    Raises:
        UnsupportedContentType: There is no reader for it.
        BadPayload: It cannot be read, or holds what is no finite number.
    """
    kind = media_type(content_type)
    if kind not in _DECODERS:
        known = ", ".join(_DECODERS)
        raise UnsupportedContentType(f'content type "{kind}" is not supported; there are {known}')
    if not body.strip():
        raise BadPayload("the body is empty")
    return _checked(_DECODERS[kind](body))


def encode(value: object, accept: str) -> tuple[bytes, str]:
    """Write a prediction.

    Args:
        value: An array, or what JSON can say.
        accept: An ``Accept`` header; its first type that is known counts, JSON for any.

    Returns:
        The body and its content type.

    Raises:
        UnsupportedContentType: None of the types is known.
    """
    wanted = [media_type(each) for each in accept.split(",")] if accept.strip() else ["*/*"]
    for each in wanted:
        kind = JSON if each in ("*/*", "application/*") else each
        if kind in _ENCODERS:
            return _ENCODERS[kind](value), kind
    known = ", ".join(_ENCODERS)
    raise UnsupportedContentType(f'answers of type "{accept}" are not supported; there are {known}')


def _checked(values: Any) -> "np.ndarray[Any, Any]":
    import numpy as np

    try:
        array = np.asarray(values)
    except ValueError:
        raise BadPayload(_ragged(values)) from None
    if array.dtype == object or array.dtype.kind in "US":
        raise BadPayload(_not_a_number(values))
    if array.ndim == 1:
        array = array.reshape(1, -1)
    if array.ndim != 2 or not array.size:
        raise BadPayload(f"rows of numbers are wanted, and the body has shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row, column = (int(each) for each in np.argwhere(~np.isfinite(array))[0])
        raise BadPayload(f"row {row + 1}, column {column + 1} is no finite number")
    return array


def _ragged(rows: Any) -> str:
    lengths = [len(row) if isinstance(row, list) else 1 for row in rows]
    for number, length in enumerate(lengths, 1):
        if length != lengths[0]:
            return f"row {number} has {length} columns, row 1 has {lengths[0]}"
    return "the rows are not of one shape"


def _not_a_number(rows: Any) -> str:
    listed = rows.tolist() if hasattr(rows, "tolist") else rows
    for number, row in enumerate(listed if isinstance(listed, list) else [], 1):
        for column, value in enumerate(row if isinstance(row, list) else [row], 1):
            if not isinstance(value, int | float):
                return f"row {number}, column {column} is {value!r}, no number"
    return "the body holds what is no number"


def _from_json(body: bytes) -> Any:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"the body is no JSON: {error}") from None
    if isinstance(value, dict):
        if "instances" not in value:
            raise BadPayload('the JSON object has no "instances"')
        value = value["instances"]
    if not isinstance(value, list):
        raise BadPayload("the JSON is no list of rows")
    return value


def _from_json_lines(body: bytes) -> Any:
    rows = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise BadPayload(f"line {number} is no JSON: {error}") from None
    return [
        row.get("features", list(row.values())) if isinstance(row, dict) else row for row in rows
    ]


def _from_csv(body: bytes) -> Any:
    rows: list[list[float]] = []
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadPayload(f"the body is not UTF-8 (byte {error.start})") from None
    for line in text.splitlines():
        if line.strip():
            rows.append(
                [_number(cell, len(rows) + 1, i) for i, cell in enumerate(line.split(","), 1)]
            )
    return rows


def _number(cell: str, row: int, column: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise BadPayload(f"row {row}, column {column} is {cell.strip()!r}, no number") from None


def _from_npy(body: bytes) -> Any:
    import numpy as np

    try:
        return np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadPayload(f"the body is no NPY array: {error}") from None


def _listed(value: object) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _rows(value: object) -> list[Any]:
    listed = _listed(value)
    return listed if isinstance(listed, list) else [listed]


def _to_json(value: object) -> bytes:
    return json.dumps(_listed(value)).encode()


def _to_json_lines(value: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in _rows(value)).encode()


def _to_csv(value: object) -> bytes:
    lines = (",".join(map(str, row if isinstance(row, list) else [row])) for row in _rows(value))
    return "".join(line + "\n" for line in lines).encode()


def _to_npy(value: object) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.asarray(value), allow_pickle=False)
    return stream.getvalue()


_DECODERS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {JSON: _from_json, JSON_LINES: _from_json_lines, CSV: _from_csv, NPY: _from_npy}
)
_ENCODERS: Mapping[str, Callable[[object], bytes]] = MappingProxyType(
    {JSON: _to_json, JSON_LINES: _to_json_lines, CSV: _to_csv, NPY: _to_npy}
)
