"""Runs and their stages: the record of what happened."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from mlpipe.store.database import Database


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    GATE_FAILED = "gate failed"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


class StageState(StrEnum):
    """How a stage of a run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    IN_PLACE = "in place"
    FAILED = "failed"
    GATE_FAILED = "gate failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"

    @property
    def succeeded(self) -> bool:
        """Whether stages that depend on it may run."""
        return self in (StageState.DONE, StageState.CACHED, StageState.IN_PLACE)


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as recorded. Times are Unix seconds."""

    id: str
    recipe: str
    path: str
    target: str
    params: Mapping[str, Any]
    command: str
    started: float
    finished: float | None
    state: RunState
    observers: Mapping[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What started a run, where that was another run's missed gate.

    Attributes:
        run: The other run.
        stage: Whose gate it was.
    """

    run: str
    stage: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage of a run as recorded. ``process`` is ``pid:start`` of a running attempt."""

    run: str
    name: str
    position: int
    uses: str
    state: StageState
    reason: str = ""
    attempt: int = 0
    started: float | None = None
    finished: float | None = None
    fingerprint: str | None = None
    key: str | None = None
    process: str | None = None
    summary: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


_STAGE = tuple(each.name for each in fields(StageRow))
_RUN = "id, recipe, path, target, params, command, started, finished, state, observers, error"


class Runs:
    """The tables of runs and stages.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def new_id(self) -> str:
        """Give an identifier that no run has: four hexadecimal digits, more when they run out."""
        for length in (4, 4, 4, 4, 6, 6, 8, 16):
            candidate = secrets.token_hex(length // 2)
            if self._database.row("SELECT 1 FROM runs WHERE id = ?", candidate) is None:
                return candidate
        return secrets.token_hex(16)

    def add(self, run: RunRow) -> None:
        """Record a run that begins."""
        self._database.write(
            f"INSERT INTO runs ({_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run.id,
            run.recipe,
            run.path,
            run.target,
            json.dumps(run.params),
            run.command,
            run.started,
            run.finished,
            run.state,
            json.dumps(run.observers),
            run.error,
        )

    def caused(self, run: str, cause: Cause) -> None:
        """Record what started a run."""
        self._database.write("INSERT INTO causes VALUES (?, ?, ?)", run, cause.run, cause.stage)

    def cause(self, run: str) -> Cause | None:
        """Give what started a run; nothing where a person or a schedule did."""
        if not self._database.has("causes"):
            return None
        row = self._database.row("SELECT cause, stage FROM causes WHERE run = ?", run)
        return Cause(str(row[0]), str(row[1])) if row else None

    def started_by(self, run: str) -> dict[str, str]:
        """Give the runs that a run's missed gates started, by stage."""
        if not self._database.has("causes"):
            return {}
        rows = self._database.rows("SELECT stage, run FROM causes WHERE cause = ?", run)
        return {str(stage): str(started) for stage, started in rows}

    def finish(self, run: str, state: RunState, finished: float, error: str = "") -> None:
        """Record how a run ended."""
        self._database.write(
            "UPDATE runs SET state = ?, finished = ?, error = ? WHERE id = ?",
            state,
            finished,
            error,
            run,
        )

    def put_stages(self, rows: Sequence[StageRow]) -> None:
        """Record the present state of stages."""
        self._database.write_many(
            "REPLACE INTO stages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_stage_values(row) for row in rows],
        )

    def set_process(self, run: str, stage: str, process: str) -> None:
        """Record which process a stage's attempt is."""
        self._database.write(
            "UPDATE stages SET process = ? WHERE run = ? AND name = ?", process, run, stage
        )

    def stages(self, run: str) -> list[StageRow]:
        """Give the stages of a run, in the plan's order."""
        rows = self._database.rows("SELECT * FROM stages WHERE run = ? ORDER BY position", run)
        return [_stage_row(row) for row in rows]

    def unfinished_key(self, fingerprint: str) -> str | None:
        """Give the key of the last attempt at this, if it was interrupted or its run killed."""
        row = self._database.row(
            "SELECT state, key FROM stages WHERE fingerprint = ? AND key IS NOT NULL"
            " ORDER BY started DESC LIMIT 1",
            fingerprint,
        )
        return str(row[1]) if row and row[0] == StageState.INTERRUPTED else None

    def get(self, run: str) -> RunRow | None:
        """Give a run by its identifier."""
        rows = self._database.rows(f"SELECT {_RUN} FROM runs WHERE id = ?", run)
        return _run_row(rows[0]) if rows else None

    def newest(self, limit: int = 1000, recipe: str | None = None) -> list[RunRow]:
        """Give runs, the newest first."""
        rows = self._database.rows(
            f"SELECT {_RUN} FROM runs WHERE recipe = coalesce(?, recipe)"
            " ORDER BY started DESC LIMIT ?",
            recipe,
            limit,
        )
        return [_run_row(row) for row in rows]

    def in_state(self, state: RunState) -> list[RunRow]:
        """Give the runs in a state, the oldest first."""
        rows = self._database.rows(
            f"SELECT {_RUN} FROM runs WHERE state = ? ORDER BY started", state
        )
        return [_run_row(row) for row in rows]


def _stage_values(row: StageRow) -> tuple[object, ...]:
    return (
        row.run,
        row.name,
        row.position,
        row.uses,
        row.state,
        row.reason,
        row.attempt,
        row.started,
        row.finished,
        row.fingerprint,
        row.key,
        row.process,
        row.summary,
        json.dumps(row.metrics) if row.metrics else None,
        json.dumps(row.error) if row.error else None,
    )


def _stage_row(row: tuple[Any, ...]) -> StageRow:
    values = dict(zip(_STAGE, row, strict=True))
    values["state"] = StageState(values["state"])
    values["metrics"] = json.loads(values["metrics"]) if values["metrics"] else {}
    values["error"] = json.loads(values["error"]) if values["error"] else None
    return StageRow(**values)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    values = dict(zip(_RUN.split(", "), row, strict=True))
    values["params"] = json.loads(values["params"])
    values["observers"] = json.loads(values["observers"])
    values["state"] = RunState(values["state"])
    return RunRow(**values)
