"""Results of stages by fingerprint: what a cache hit gives, and what made it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mlpipe.store.database import Database
from mlpipe.types import Artifact


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a stage as recorded.

    Attributes:
        digest: Of its bytes.
        location: Where the bytes are: relative to the root, absolute, or a URI.
        place: The declared path in the project, or ``""``.
        stored: Whether the bytes are an object of the store (else a reference).
        status: What the location's status was when its digest was taken.
        place_status: The same of the declared path.
        size: In bytes, where known.
    """

    digest: str
    location: str
    place: str = ""
    stored: bool = True
    status: str = ""
    place_status: str = ""
    size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the output as JSON."""
        return {each: getattr(self, each) for each in _OUTPUT}

    def artifact(self, name: str) -> Artifact:
        """Give the output as the artifact that later stages see."""
        return Artifact(name, self.digest, self.location, self.size)


@dataclass(frozen=True, slots=True)
class Record:
    """The result of a stage.

    Attributes:
        fingerprint: Of all that went in.
        run: The run that made it.
        components: What went in, by name, as ``with.max_depth`` and ``module.train.py``.
        outputs: By name.
        metrics: Numbers by name.
        values: Other JSON values by name.
        summary: For people.
        created: Unix time in seconds.
    """

    fingerprint: str
    run: str
    components: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    created: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Give the record as JSON."""
        outputs = {name: output.to_json() for name, output in self.outputs.items()}
        return {**{each: getattr(self, each) for each in _RECORD}, "outputs": outputs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Record":
        """Read a record.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The data is no record.
        """
        outputs = {name: Output(**output) for name, output in data["outputs"].items()}
        metrics = {name: float(value) for name, value in data["metrics"].items()}
        return cls(**{**data, "outputs": outputs, "metrics": metrics})


_OUTPUT = tuple(each.name for each in fields(Output))
_RECORD = tuple(each.name for each in fields(Record))


class Results:
    """The table of results.

    Args:
        database: Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, fingerprint: str) -> Record | None:
        """Give the result of a fingerprint; a damaged row counts as none."""
        row = self._database.row("SELECT record FROM results WHERE fingerprint = ?", fingerprint)
        return _read(row)

    def latest(self, recipe: str, stage: str, target: str) -> Record | None:
        """Give the newest result of a stage."""
        row = self._database.row(
            "SELECT record FROM results WHERE recipe = ? AND stage = ? AND target = ?"
            " ORDER BY created DESC LIMIT 1",
            recipe,
            stage,
            target,
        )
        return _read(row)

    def put(self, record: Record, recipe: str, stage: str, target: str) -> None:
        """Keep a result; one with the same fingerprint is replaced."""
        self._database.write(
            "REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)",
            record.fingerprint,
            recipe,
            stage,
            target,
            record.run,
            record.created,
            json.dumps(record.to_json(), separators=(",", ":")),
        )

    def all(self) -> list[Record]:
        """Give every readable result."""
        rows = self._database.rows("SELECT record FROM results")
        return [record for row in rows if (record := _read(row)) is not None]

    def drop(self, fingerprints: list[str]) -> None:
        """Forget results."""
        self._database.write_many(
            "DELETE FROM results WHERE fingerprint = ?", [(each,) for each in fingerprints]
        )


def _read(row: tuple[object, ...] | None) -> Record | None:
    if row is None:
        return None
    try:
        return Record.from_json(json.loads(str(row[0])))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
