"""Bodies of requests and answers: JSON, JSON lines, CSV and NPY, to and from arrays."""

from typing import TYPE_CHECKING, Any

from mlpipe_scriptmode import decoding, encoding
from mlpipe_scriptmode.errors import UnsupportedContentType
from mlpipe_scriptmode.media import CSV, JSON, JSON_LINES, NPY, media_type

if TYPE_CHECKING:
    import numpy as np

_DECODERS = {
    JSON: decoding.from_json,
    JSON_LINES: decoding.from_json_lines,
    CSV: decoding.from_csv,
    NPY: decoding.from_npy,
}
_ENCODERS = {
    JSON: encoding.to_json,
    JSON_LINES: encoding.to_json_lines,
    CSV: encoding.to_csv,
    NPY: encoding.to_npy,
}


def decode(body: bytes, content_type: str) -> "np.ndarray[Any, Any]":
    """Read a body as rows.

    JSON may be a list of rows, one row, or ``{"instances": rows}``. JSON lines hold a row
    each, a list or ``{"features": row}``. CSV has no header. The text types are UTF-8 unless
    the content type names another ``charset``.

    Returns:
        Numbers of two dimensions, (rows, columns).

    Raises:
        UnsupportedContentType: There is no reader for it.
        BadPayload: It cannot be read, or holds what is no finite number; says where.
    """
    kind = media_type(content_type)
    if kind not in _DECODERS:
        known = ", ".join(_DECODERS)
        raise UnsupportedContentType(f'content type "{kind}" is not supported; there are {known}')
    return _DECODERS[kind](body, content_type)


def encode(value: object, accept: str) -> tuple[bytes, str]:
    """Write a prediction.

    Args:
        value: An array, or what JSON can say, arrays within included.
        accept: An ``Accept`` header; its first type that is known counts, JSON for any.

    Returns:
        The body and its content type.

    Raises:
        UnsupportedContentType: None of the types is known.
        ModelFailure: The prediction cannot be written in that type.
    """
    for wanted in accept.split(","):
        kind = media_type(wanted)
        kind = JSON if kind in ("", "*/*", "application/*") else kind
        kind = CSV if kind == "text/*" else kind
        if kind in _ENCODERS:
            return _ENCODERS[kind](value), kind
    known = ", ".join(_ENCODERS)
    raise UnsupportedContentType(f'answers of type "{accept}" are not supported; there are {known}')
