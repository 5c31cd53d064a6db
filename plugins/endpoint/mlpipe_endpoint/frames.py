"""How router and worker talk: a header in JSON and a body in bytes, each length first."""

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("!II")

#: A header, and the bytes that belong to it.
Frame = tuple[dict[str, Any], bytes]


def encode(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Give the bytes of a frame."""
    head = json.dumps(header).encode()
    return _LENGTHS.pack(len(head), len(body)) + head + body


def read(stream: BinaryIO) -> Frame | None:
    """Read a frame, blocking; ``None`` at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack(lengths)
    data = stream.read(head + body)
    return (json.loads(data[:head]), data[head:]) if len(data) == head + body else None


async def receive(stream: asyncio.StreamReader) -> Frame | None:
    """Read a frame; ``None`` at the end of the stream."""
    try:
        head, body = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
        data = await stream.readexactly(head + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return json.loads(data[:head]), data[head:]
