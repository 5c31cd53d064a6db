"""DuckDB, kept within bounds: of memory, of threads, and to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def explained(what: str, where: str) -> Iterator[None]:
    """Turn an error of DuckDB's into one for people.

    Args:
        what: What cannot be done.
        where: The file or setting concerned.

    Raises:
        StageError: The block raised an error of DuckDB's.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        full = isinstance(error, duckdb.OutOfMemoryException) or "No space left" in reason
        fix = "Give it more memory, or more room in the folder that TMPDIR names." if full else None
        raise StageError(f"{what}: {reason}", where=where, fix=fix) from error


@contextmanager
def connect(
    memory: str, folder: Path, database: Path | None = None
) -> Iterator[DuckDBPyConnection]:
    """Open a database for as long as the block lasts.

    Args:
        memory: What it may use, as ``512MB``.
        folder: Where it puts what does not fit; the caller removes it.
        database: Its file; in memory when left out.

    Raises:
        StageError: It cannot be opened, as on a full disk.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(folder),
        "threads": 2,
        "preserve_insertion_order": False,
        # Nothing is fetched from the network, whatever a file asks for.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with explained("the database cannot be opened", str(folder)):
        connection = duckdb.connect(str(database or ":memory:"), config=settings)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()
