"""Following a process: its lines as they come, and the metrics in them."""

import codecs
import math
import os
import re
import select
import subprocess
import threading
from collections.abc import Iterator, Mapping
from typing import Self

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


class Clock:
    """Ends a process that takes too long: SIGTERM, and SIGKILL after a while, as SageMaker does.

    Args:
        process: The process.
        seconds: How long it may take.
        grace: Seconds between the two signals.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, grace: float) -> None:
        self._process = process
        self._timers = [
            threading.Timer(seconds, self._strike),
            threading.Timer(seconds + grace, process.kill),
        ]
        self.has_struck = False

    def _strike(self) -> None:
        self.has_struck = self._process.poll() is None
        self._process.terminate()

    def __enter__(self) -> Self:
        for timer in self._timers:
            timer.daemon = True
            timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()


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
