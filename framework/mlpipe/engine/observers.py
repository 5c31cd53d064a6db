"""The runner's side of the observers' process: starting it, waking it, hearing of its trouble."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: How long a run waits at its end for observers to be told everything, in seconds.
PATIENCE = 60.0


class ObserverProcess:
    """Tells observers what is in the journal, in a process of its own.

    Args:
        root: The project's folder.
        run: The run that is going on.
        observers: Settings by plugin name.
        log: Where the process's own output goes.
    """

    def __init__(
        self, root: Path, run: str, observers: Mapping[str, Mapping[str, Any]], log: Path
    ) -> None:
        self._reports = log.with_suffix(".jsonl")
        self._read = 0
        self._reports.touch()
        spec = {
            "root": str(root),
            "run": run,
            "observers": observers,
            "reports": str(self._reports),
        }
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlpipe.engine.observing"],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._write(json.dumps(spec).encode() + b"\n")

    def wake(self) -> None:
        """Say that the journal has grown."""
        self._write(b"\n")

    def reports(self) -> list[str]:
        """Give what observers reported since the last call, for the user."""
        with self._reports.open("rb") as stream:
            stream.seek(self._read)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        return [json.loads(line) for line in whole.splitlines()]

    def finish(self, patience: float = PATIENCE) -> list[str]:
        """Let the process tell the rest, and wait for it, but not forever.

        Returns:
            What it reported.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        deadline = time.monotonic() + patience
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        late = []
        if self._process.poll() is None:
            late = [f"observers are still at work after {patience:.0f} s; they go on by themselves"]
        elif self._process.returncode != 0:
            code = self._process.returncode
            late = [f"the observers' process ended with exit code {code}; see {self._log_name()}"]
        return [*self.reports(), *late]

    def _log_name(self) -> str:
        return os.path.relpath(self._reports.with_suffix(".log"))

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(data)
            self._process.stdin.flush()
