"""Starting, telling and asking the process behind a service's port."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Balancing:
    """A service's balancer.

    Attributes:
        folder: Of the service.
    """

    folder: Path

    @property
    def log(self) -> Path:
        """What the balancer says of itself."""
        return self.folder / "balancer.log"

    def serving(self) -> dict[str, Any] | None:
        """Give what it says that it does; ``None`` where it does not run."""
        facts = self._said()
        return facts if facts and self._runs(facts["pid"]) else None

    def switch(self, port: int, containers: list[int]) -> None:
        """Have requests given to some containers from now on; returns when it is so.

        Args:
            port: Where the service answers.
            containers: Their ports.

        Raises:
            StageError: The balancer does not start, as where the port is somebody else's.
        """
        now = self.serving()
        if now is not None and now["port"] != port:
            self.stop()
            now = None
        sequence = secrets.token_hex(8)
        facts = {"sequence": sequence, "port": port, "ports": containers}
        writing = self.folder / ".wanted"
        writing.write_text(json.dumps(facts))
        writing.replace(self.folder / "wanted.json")
        if now is not None:
            os.kill(now["pid"], signal.SIGHUP)
        else:
            self._start()
        wait_until(lambda: self._said().get("sequence") == sequence, _START_SECONDS)
        said = self._said()
        if said.get("sequence") != sequence or "error" in said:
            raise StageError(
                f"nothing listens on port {port}: {said.get('error') or self._last_said()}",
                where="with.port",
                fix="Another program may have it. Leave port: out for a free one.",
            )

    def drained(self, seconds: float) -> bool:
        """Wait until containers that get no requests have none left; says whether it came to it."""
        return wait_until(lambda: not (self.serving() or {"leaving": ()})["leaving"], seconds)

    def stop(self) -> None:
        """End it, if it runs."""
        facts = self.serving()
        if facts is not None:
            os.kill(facts["pid"], signal.SIGTERM)
            wait_until(lambda: not self._runs(facts["pid"]), 10)

    def _start(self) -> None:
        with self.log.open("ab") as log:
            subprocess.run(
                [sys.executable, "-P", "-m", "mlpipe_container.local.balancer", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
            )

    def _said(self) -> dict[str, Any]:
        return _read(self.folder / "serving.json") or {}

    def _runs(self, pid: int) -> bool:
        """Tell whether a process is this service's balancer, and not another with its number."""
        import psutil

        try:
            process = psutil.Process(pid)
            return (
                str(self.folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def _last_said(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it says nothing"]
        return lines[-1]


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; says whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
