"""The log of an endpoint: JSON lines, of its server and of what its models print.

It needs the standard library only, as it runs in the interpreters of models, too.
"""

import io
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

#: The environment variable that tells a worker what its lines are of.
SOURCE = "MLPIPE_LOG_SOURCE"
#: Of lines that the server itself writes.
SERVER = "server"

_STDERR = 2


def note(level: str, message: str, error: BaseException | None = None, **more: Any) -> None:
    """Write a line.

    Args:
        level: ``info``, ``warning`` or ``error``.
        message: What happened.
        error: Whose traceback goes with it.
        more: JSON values.
    """
    if error is not None:
        more["exception"] = "".join(traceback.format_exception(error)).rstrip()
    _write(os.environ.get(SOURCE, SERVER), level, message, more)


def capture() -> None:
    """From now on, make a line of the log of each line that is printed here."""
    source = os.environ.get(SOURCE, SERVER)
    sys.stdout = _stream(source, "stdout")
    sys.stderr = _stream(source, "stderr")


def _stream(source: str, name: str) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_Printed(source, name))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="replace", line_buffering=True)


class _Printed(io.RawIOBase):
    """A stream that is written to as JSON lines."""

    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STDERR

    def write(self, data: Any) -> int:
        written = bytes(data)
        for line in written.decode(errors="replace").splitlines():
            _write(self._source, "info", line, {"stream": self._name})
        return len(written)


def _write(source: str, level: str, message: str, more: dict[str, Any]) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": now, "level": level, "source": source, "message": message, **more}
    # One write, so that lines of several processes do not mix.
    os.write(_STDERR, json.dumps(line).encode() + b"\n")


def entries(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read lines of a log; one that is no JSON, as of a library in C, is all message."""
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        yield found if isinstance(found, dict) else {"message": line.rstrip("\n")}


def shown(entry: dict[str, Any]) -> str:
    """Give a line of a log as people read it."""
    time = str(entry.get("time", "")).replace("T", " ").removesuffix("Z")
    head = [time, str(entry.get("level", "")), str(entry.get("source", ""))]
    first = "  ".join([*filter(None, head), str(entry.get("message", ""))])
    exception = entry.get("exception")
    return f"{first}\n{exception}" if exception else first
