"""The journal: what happened, in order, for observers; and how far each has read."""

import json
import time
from collections.abc import Mapping
from typing import Any

from mlpipe.store.database import Database
from mlpipe.types import Event


class Journal:
    """The tables of events and of observers' positions.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, run: str, kind: str, stage: str = "", /, **data: Any) -> None:
        """Add an event. ``kind`` is the name of a lifecycle hook."""
        self._database.write(
            "INSERT INTO journal (run, time, kind, stage, data) VALUES (?, ?, ?, ?, ?)",
            run,
            time.time(),
            kind,
            stage,
            json.dumps(data),
        )

    def unread(self, observer: str, run: str, limit: int = 500) -> list[Event]:
        """Give the events of a run that an observer has not been told, oldest first."""
        rows = self._database.rows(
            "SELECT sequence, run, time, kind, stage, data FROM journal WHERE run = ?"
            " AND sequence > coalesce("
            "  (SELECT sequence FROM cursors WHERE observer = ? AND run = ?), 0)"
            " ORDER BY sequence LIMIT ?",
            run,
            observer,
            run,
            limit,
        )
        return [_event(row) for row in rows]

    def read(self, observer: str, event: Event) -> None:
        """Remember that an observer has been told an event and all before it."""
        self._database.write(
            "REPLACE INTO cursors VALUES (?, ?, ?)", observer, event.run, event.sequence
        )

    def runs_unread(self, observer: str) -> list[str]:
        """Give the runs that have begun and of which an observer has not been told all."""
        rows = self._database.rows(
            "SELECT j.run FROM (SELECT run, min(sequence) AS first, max(sequence) AS last"
            " FROM journal GROUP BY run) j LEFT JOIN cursors c ON c.run = j.run AND c.observer = ?"
            " WHERE j.last > coalesce(c.sequence, 0) ORDER BY j.first",
            observer,
        )
        return [str(run) for (run,) in rows]

    def of(self, run: str) -> list[Event]:
        """Give all events of a run."""
        rows = self._database.rows(
            "SELECT sequence, run, time, kind, stage, data FROM journal"
            " WHERE run = ? ORDER BY sequence",
            run,
        )
        return [_event(row) for row in rows]


def _event(row: tuple[Any, ...]) -> Event:
    sequence, run, when, kind, stage, data = row
    facts: Mapping[str, Any] = json.loads(data)
    return Event(sequence, run, when, kind, stage, facts)
