"""The record of invocations: one JSON line each, written before the reply is sent."""

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


class Recorder:
    """Appends invocations to a file.

    Each goes to the operating system whole before ``record`` returns, so none is lost or torn
    by the death of any process.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def record(self, invocation: Invocation) -> None:
        """Write one line.

        Raises:
            OSError: It could not be written, as on a full disk.
        """
        line = orjson.dumps(invocation, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._file, line) < len(line):
            raise OSError("the record of invocations is full")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
