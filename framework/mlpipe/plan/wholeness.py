"""Whether the bytes of a recorded result are still there, and still the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe.store.artifacts import ArtifactStore
from mlpipe.store.digests import digest_path, status
from mlpipe.store.files import FileIndex
from mlpipe.store.results import Output, Record


@dataclass(frozen=True, slots=True)
class Wholeness:
    """What is known of a result's outputs.

    Attributes:
        damaged: Outputs whose bytes are there and are others.
        missing: Outputs whose bytes are not on this machine.
        restore: Outputs that are whole but not at their declared path.
        edited: Outputs that are whole and whose declared path holds something else.
    """

    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


class Inspector:
    """Compares recorded outputs with what is on the disk.

    Args:
        root: The project's folder.
        artifacts: Where anonymous outputs are.
        files: What is known of files that were read before.
        verify: Read and digest every byte instead of trusting an unchanged file status.
    """

    def __init__(
        self, root: Path, artifacts: ArtifactStore, files: FileIndex, *, verify: bool = False
    ) -> None:
        self._root = root
        self._artifacts = artifacts
        self._files = files
        self._verify = verify

    def look(self, record: Record) -> Wholeness:
        """Look at all outputs of a result."""
        found: Mapping[str, list[str]] = {"damaged": [], "missing": [], "restore": [], "edited": []}
        for name, output in record.outputs.items():
            if (verdict := self._judge(output)) is not None:
                found[verdict].append(name)
        return Wholeness(**{key: tuple(names) for key, names in found.items()})

    def _judge(self, output: Output) -> str | None:
        if "://" in output.location:
            return None
        state = self._compare(output.location, output.digest, output.status)
        if not output.stored or not output.place:
            return state
        placed = self._compare(output.place, output.digest, output.place_status)
        if state is not None:
            return None if placed is None else state
        if placed == "damaged":
            return "restore" if self._is_stored(output.place) else "edited"
        return "restore" if placed else None

    def _is_stored(self, place: str) -> bool:
        """Tell whether what is at a path is another result of ours: replacing it loses nothing."""
        path = self._root / place
        try:
            return self._artifacts.location(digest_path(path), path.name).exists()
        except OSError:
            return False

    def _compare(self, location: str, digest: str, known: str) -> str | None:
        path = self._root / location
        now = status(path)
        if now is None:
            return "missing"
        if now == known and not self._verify:
            return None
        algorithm = digest.partition(":")[0]
        try:
            same = self._digest(location, algorithm) == digest
        except (OSError, ValueError):
            same = False
        return None if same else "damaged"

    def _digest(self, location: str, algorithm: str) -> object:
        if self._verify:
            return digest_path(self._root / location, algorithm)
        return self._files.facts(
            f"digest.{algorithm}", location, lambda path: digest_path(path, algorithm)
        )
