"""The SQLite database: opening, schema, transactions."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpipe.errors import StoreError

VERSION = 1
_BUSY_SECONDS = 60

_SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, recipe TEXT NOT NULL, path TEXT NOT NULL, target TEXT NOT NULL,
    params TEXT NOT NULL, command TEXT NOT NULL, started REAL NOT NULL, finished REAL,
    state TEXT NOT NULL, observers TEXT NOT NULL, error TEXT NOT NULL DEFAULT '');
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE stages (
    run TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, uses TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, attempt INTEGER NOT NULL,
    started REAL, finished REAL, fingerprint TEXT, key TEXT, process TEXT, summary TEXT,
    metrics TEXT, error TEXT, PRIMARY KEY (run, name)) WITHOUT ROWID;
CREATE INDEX stages_by_fingerprint ON stages (fingerprint, started);
CREATE TABLE results (
    fingerprint TEXT PRIMARY KEY, recipe TEXT NOT NULL, stage TEXT NOT NULL,
    target TEXT NOT NULL, run TEXT NOT NULL, created REAL NOT NULL, record TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX results_by_stage ON results (recipe, stage, target, created);
CREATE TABLE files (
    path TEXT PRIMARY KEY, stat TEXT NOT NULL, seen INTEGER NOT NULL, facts TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE modules (digest TEXT PRIMARY KEY, definitions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, time REAL NOT NULL,
    kind TEXT NOT NULL, stage TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX journal_by_run ON journal (run, sequence);
CREATE TABLE cursors (
    observer TEXT NOT NULL, run TEXT NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (observer, run)) WITHOUT ROWID;
CREATE TABLE releases (
    kind TEXT NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, plugin TEXT NOT NULL,
    target TEXT NOT NULL, run TEXT NOT NULL, created REAL NOT NULL, payload TEXT NOT NULL,
    secrets TEXT NOT NULL, PRIMARY KEY (kind, name, label)) WITHOUT ROWID;
CREATE TABLE deployments (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL,
    label TEXT NOT NULL, created REAL NOT NULL, run TEXT NOT NULL, origin TEXT NOT NULL);
CREATE INDEX deployments_by_name ON deployments (kind, name, sequence);
"""


class Database:
    """One connection to ``.mlpipe/state.db``.

    Args:
        path: The database file; made when it does not exist, unless ``read_only``.
        read_only: Refuse every write. A missing file is then read as an empty database.

    Raises:
        StoreError: The file is no database of ours, or of a newer mlpipe.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._durable = False
        missing = not path.exists()
        name = ":memory:" if read_only and missing else str(path)
        self._connection = self._open(name)
        try:
            self._prepare(read_only and not missing)
        except StoreError:
            self.close()
            raise
        except sqlite3.Error as error:
            self.close()
            raise self._unusable(error) from error

    def _open(self, name: str) -> sqlite3.Connection:
        try:
            return sqlite3.connect(name, isolation_level=None, timeout=_BUSY_SECONDS)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"cannot be opened as mlpipe's state: {error}",
            where=str(self.path),
            fix="Restore it from a backup, or move it away: results are then found again"
            " through mlpipe.lock, or made anew.",
        )

    def _prepare(self, query_only: bool) -> None:
        execute = self._connection.execute
        (version,) = execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"was written by a newer mlpipe (format {version}, this one knows {VERSION})",
                where=str(self.path),
                fix="Update mlpipe-framework.",
            )
        if query_only:
            execute("PRAGMA query_only=ON")
            return
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        if version < VERSION:
            with self.transaction():
                if execute("PRAGMA user_version").fetchone() == (0,):
                    for statement in _SCHEMA.split(";\n"):
                        execute(statement)
                    execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Commit what is written inside, or none of it. Nested ones join the outermost.

        Args:
            durable: Return only when the disk has it. Within another transaction, that one
                does so: ``synchronous`` cannot be changed inside, so the log is synced after.
        """
        self._durable |= durable
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        else:
            self._connection.execute("COMMIT")
            if self._durable:
                self._sync()
        finally:
            self._durable = False

    def _sync(self) -> None:
        """Wait until the disk has the write-ahead log, where commits are."""
        with Path(f"{self.path}-wal").open("rb") as log:
            os.fsync(log.fileno())

    def write(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Execute one statement that writes, in a transaction of its own where none is open."""
        if self._connection.in_transaction:  # the usual case, without a context manager's cost
            return self._connection.execute(statement, values)
        with self.transaction():
            return self._connection.execute(statement, values)

    def write_many(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        """Execute one statement for each row."""
        with self.transaction():
            self._connection.executemany(statement, rows)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Give all rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> tuple[object, ...] | None:
        """Give the first row of a query, or ``None``."""
        found: tuple[object, ...] | None = self._connection.execute(query, values).fetchone()
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
