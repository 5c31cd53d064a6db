"""The SQLite database: opening, schema, transactions."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpipe.errors import StoreError

_BUSY_SECONDS = 60

_FIRST = """
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
_CHANGES = """
CREATE TABLE changes (
    kind TEXT NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, origin TEXT NOT NULL,
    begun REAL NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""
_CAUSES = """
CREATE TABLE causes (
    run TEXT PRIMARY KEY, cause TEXT NOT NULL, stage TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX causes_by_cause ON causes (cause);
"""
#: What leads from each format to the next. Those that were shipped are never changed.
_STEPS = (_FIRST, _CHANGES, _CAUSES)
VERSION = len(_STEPS)


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
        self._connection = self._open(self._name(missing) if read_only else str(path))
        try:
            self._prepare(read_only and not missing)
        except StoreError:
            self.close()
            raise
        except sqlite3.Error as error:
            self.close()
            raise self.unusable(error) from error

    def _name(self, missing: bool) -> str:
        if missing:
            return ":memory:"
        if os.access(self.path.parent, os.W_OK):
            return str(self.path)
        # On a read-only disk nobody writes, and the files that readers share cannot be made.
        return f"{self.path.absolute().as_uri()}?immutable=1"

    def _open(self, name: str) -> sqlite3.Connection:
        uri = name.startswith("file:")
        try:
            return sqlite3.connect(name, isolation_level=None, timeout=_BUSY_SECONDS, uri=uri)
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    def unusable(self, error: sqlite3.Error) -> StoreError:
        """Say that the database cannot be read or written, and what to do about it."""
        fix = "Its folder has to be writable, its disk to have room."
        if type(error) is sqlite3.DatabaseError:
            fix = (
                "Restore it from a backup, or move it away: results are then found again"
                " through mlpipe.lock, or made anew."
            )
        return StoreError(
            f"cannot be used as mlpipe's state: {error}", where=str(self.path), fix=fix
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
        if query_only and version:
            execute("PRAGMA query_only=ON")
            return
        if query_only:  # whoever made the file was killed before it was a database
            self.close()
            self._connection = self._open(":memory:")
            execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        if version < VERSION:
            with self.transaction():
                (version,) = execute("PRAGMA user_version").fetchone()  # others may be quicker
                for step in _STEPS[version:]:
                    for statement in step.split(";\n"):
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
            if self._connection.in_transaction:  # SQLite itself rolls back on a full disk
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

    def has(self, table: str) -> bool:
        """Tell whether there is a table: an older format that is only read may lack it."""
        return self.row("SELECT 1 FROM sqlite_master WHERE name = ?", table) is not None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
