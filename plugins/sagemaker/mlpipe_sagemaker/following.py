"""Following a process: its lines as they come, and the metrics in them."""

import codecs
import math
import os
import re
import select
import subprocess
from collections.abc import Iterator, Mapping

_POLL_SECONDS = 0.1
_CHUNK = 1 << 16


def lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yield what a process prints, line by line, until it has ended.

    A process that it started and left behind may hold the pipe open; that is not waited for.

    Args:
        process: Its ``stdout`` is a pipe.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for chunk in _chunks(process):
        # A progress bar goes back to the line's beginning; each of its states is a line.
        *whole, rest = (rest + decoder.decode(chunk)).replace("\r", "\n").split("\n")
        yield from whole
    if rest:
        yield rest


def _chunks(process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    while True:
        ended = process.poll() is not None
        ready, _, _ = select.select([pipe], [], [], 0 if ended else _POLL_SECONDS)
        if ready:
            chunk = os.read(pipe, _CHUNK)
            if not chunk:
                process.wait()
                return
            yield chunk
        elif ended:
            return


class MetricReader:
    """Reads metrics out of a log.

    Args:
        patterns: Regular expressions with one group, by metric name.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}
        self.last: dict[str, float] = {}

    def read(self, line: str) -> Mapping[str, float]:
        """Give the metrics of a line. What was caught and is no number counts as not there."""
        found = {}
        for name, pattern in self._patterns.items():
            match = pattern.search(line)
            number = _number(match.group(1)) if match else None
            if number is not None:
                found[name] = number
        self.last.update(found)
        return found


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
