"""The records of invocations: one JSON line each, written before the reply is sent."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
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
    """

    id: str
    time: float
    variant: str
    content_type: str
    body: str
    answer_type: str
    answer: str


def is_drawn(identifier: str, share: float) -> bool:
    """Tell whether an invocation is one of a share of all: always the same answer for the same."""
    return share > 0 and int(identifier[:8], 16) < share * 2**32


class Recorder:
    """Appends records to a file.

    Each goes to the operating system whole before ``record`` returns, so none is lost or torn
    by the death of any process. Those of one turn of the event loop go by one write.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lines: list[bytes] = []
        self._written: asyncio.Future[None] | None = None

    async def record(self, invocation: Invocation | Capture) -> None:
        """Write one line.

        Raises:
            OSError: It could not be written, as on a full disk.
        """
        self._lines.append(orjson.dumps(invocation, option=orjson.OPT_APPEND_NEWLINE))
        if self._written is None:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_soon(self._write, self._written)
        await self._written

    def _write(self, written: asyncio.Future[None]) -> None:
        lines, self._lines, self._written = b"".join(self._lines), [], None
        try:
            self._append(lines)
        except OSError as error:
            if not written.done():
                written.set_exception(error)
        if not written.done():
            written.set_result(None)

    def _append(self, lines: bytes) -> None:
        count = os.write(self._file, lines)
        if count < len(lines):
            # Half a line would spoil the next one.
            os.ftruncate(self._file, os.fstat(self._file).st_size - count)
            raise OSError("the record of invocations is full")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
