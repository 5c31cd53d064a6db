"""The records of invocations: one JSON line each, written before the reply is sent."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson


# Not frozen, as made for each request: that would take longer than to write it.
@dataclass(slots=True)
class Invocation:
    """A request that reached a variant.

    Attributes:
        id: Given out with the answer, as ``x-amzn-RequestId``.
        time: Unix time of the request's arrival, in seconds.
        variant: Which one answered.
        model: The digest of its model.
        targeted: Whether the caller chose the variant. Such requests were not assigned at
            random, so they are no part of an experiment.
        key: A hash of the key that it was assigned by, or ``None`` where it had none.
        inference: The caller's own id, from ``X-Amzn-SageMaker-Inference-Id``, or ``None``.
        status: The HTTP status answered.
        latency: Seconds from arrival to answer.
        shadow: Whether the variant was asked beside the one whose answer was given. The other's
            record has the same id.
    """

    id: str
    time: float
    variant: str
    model: str
    targeted: bool
    key: str | None
    inference: str | None
    status: int
    latency: float
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """What was asked and answered, of an invocation that was drawn for it.

    Attributes:
        id: The invocation's.
        time: Unix time of its arrival, in seconds.
        variant: Which one answered.
        content_type: What the body is.
        body: In base64.
        answer_type: What the answer is.
        answer: In base64.
        shadow: Whether that was given to nobody; see ``Invocation``.
    """

    id: str
    time: float
    variant: str
    content_type: str
    body: str
    answer_type: str
    answer: str
    shadow: bool = False


def is_drawn(identifier: str, share: float) -> bool:
    """Tell whether an invocation is one of a share of all: always the same answer for the same."""
    return share > 0 and int(identifier[:8], 16) < share * 2**32


#: Called with why something could not be written, or with nothing.
Then = Callable[[OSError | None], object]


class Recorder:
    """Appends records to a file.

    Each has gone to the operating system whole when its caller hears of it, so none that was
    answered is lost or torn by the death of any process. Those of one turn of the event loop go
    by one write.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lines: list[bytes] = []
        self._waiting: list[Then] = []

    def record(self, entry: Invocation | Capture, then: Then) -> None:
        """Write one line.

        Args:
            entry: What it says.
            then: Called when it is written, or could not be, as on a full disk.
        """
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        self._waiting.append(then)

    def _write(self) -> None:
        lines, waiting = b"".join(self._lines), self._waiting
        self._lines, self._waiting = [], []
        failed = None
        try:
            self._append(lines)
        except OSError as error:
            failed = error
        for then in waiting:
            then(failed)

    def _append(self, lines: bytes) -> None:
        count = os.write(self._file, lines)
        if count < len(lines):
            # Half a line would spoil the next one.
            os.ftruncate(self._file, os.fstat(self._file).st_size - count)
            raise OSError("the record of invocations is full")

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self._lines:
            self._write()
        os.close(self._file)
