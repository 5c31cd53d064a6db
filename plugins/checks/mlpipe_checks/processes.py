"""Running a command for a while, with what it may write kept within bounds."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpipe_checks.values import Trouble

#: Bytes that a command may write to each of its two streams.
LIMIT = 64 * 1024 * 1024
_PAUSE = (0.005, 0.1)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended.

    Attributes:
        code: What it returned; negative where a signal ended it.
        out: What it wrote to its standard output.
        err: The same of its standard error.
    """

    code: int
    out: bytes
    err: bytes

    @property
    def said(self) -> str:
        """The last lines of what it wrote for people."""
        text = (self.err.strip() or self.out.strip()).decode(errors="replace")
        return "\n".join(text.splitlines()[-8:]) or "it wrote nothing"


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    limit: int = LIMIT,
) -> Done:
    """Run a command to its end.

    Args:
        command: The program and its arguments.
        folder: Its working folder.
        environment: All of its environment.
        seconds: How long it may take.
        limit: Bytes that each of its streams may have.

    Raises:
        Trouble: It cannot be started, takes too long or writes too much.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            # In the group of the stage's process, with which it is killed.
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        except OSError as error:
            raise Trouble(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            _wait(process, seconds, limit, (out.fileno(), err.fileno()))
        finally:
            _kill(process)
        return Done(process.returncode, *(_read(stream.fileno(), limit) for stream in (out, err)))


def _wait(
    process: subprocess.Popen[bytes], seconds: float, limit: int, streams: tuple[int, int]
) -> None:
    end = time.monotonic() + seconds
    pause, longest = _PAUSE
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
            break
        if time.monotonic() > end:
            raise Trouble(
                f"it took more than {seconds:g} s and was stopped",
                "Give it longer, as timeout: 20m, or less to look at.",
            )
        _check_size(streams, limit)
        pause = min(2 * pause, longest)
    _check_size(streams, limit)


def _check_size(streams: tuple[int, int], limit: int) -> None:
    if any(os.fstat(stream).st_size > limit for stream in streams):
        raise Trouble(
            f"it wrote more than {limit // 2**20} MB",
            "Give it less to look at, or have it say less.",
        )


def _read(stream: int, limit: int) -> bytes:
    return os.pread(stream, limit, 0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command that still runs, and what it has started."""
    if process.poll() is not None:
        return
    for pid in (*_descendants(process.pid), process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _descendants(pid: int) -> list[int]:
    """List the processes below a process, where the system says."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for listing in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, listing.read_text().split()):
                found += [*_descendants(child), child]
    return found
