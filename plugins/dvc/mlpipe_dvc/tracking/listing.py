"""DVC's ``.dir`` objects: a JSON list of a folder's files with their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii


def write(digests: Mapping[str, str]) -> bytes:
    """Write MD5 digests by relative name as DVC does, byte for byte."""
    entries = [
        f'{{"md5": "{digests[name]}", "relpath": {encode_basestring_ascii(name)}}}'
        for name in sorted(digests)
    ]
    return f"[{', '.join(entries)}]".encode()


def read(data: bytes) -> dict[str, str] | None:
    """Read what ``write`` or DVC wrote; ``None`` for anything else."""
    try:
        return {str(each["relpath"]): str(each["md5"]) for each in json.loads(data)}
    except (ValueError, TypeError, KeyError):
        return None


def name_of(data: bytes) -> str:
    """Give the name that DVC stores a listing under."""
    return f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}.dir"
