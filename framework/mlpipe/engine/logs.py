"""Logs of attempts: masked, written as they come, their last line kept for the terminal."""

from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from mlpipe.engine.masking import LogMasker, Masker

_BLOCK = 1 << 16


@dataclass(slots=True)
class _Log:
    stream: TextIOWrapper
    masker: LogMasker
    line: str = ""


class Logs:
    """Writes logs. A log exists once there is something to write.

    Args:
        masker: Knows the secrets of the run.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._open: dict[Path, _Log] = {}

    def write(self, path: Path, text: str) -> str:
        """Add text to a log; give its last whole line so far."""
        log = self._open.get(path)
        if log is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            log = self._open[path] = _Log(path.open("a", encoding="utf-8"), LogMasker(self._masker))
        self._append(log, log.masker.feed(text))
        return log.line

    def end(self, path: Path) -> None:
        """Write what was held back, and close a log."""
        log = self._open.pop(path, None)
        if log is not None:
            self._append(log, log.masker.end())
            log.stream.close()

    @staticmethod
    def _append(log: _Log, text: str) -> None:
        if text:
            log.stream.write(text)
            log.stream.flush()
            lines = [line for line in text.splitlines() if line.strip()]
            log.line = lines[-1].strip() if lines else log.line


def tail(path: Path, lines: int) -> list[str]:
    """Give the last lines of a log, reading no more of it than they need."""
    try:
        with path.open("rb") as stream:
            start = stream.seek(0, 2)
            parts: list[bytes] = []
            found = 0
            while start and found <= lines:
                size = min(_BLOCK, start)
                start = stream.seek(start - size)
                parts.append(stream.read(size))
                found += parts[-1].count(b"\n")
        return b"".join(reversed(parts)).decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []
