"""Rows of a database query, through SQLAlchemy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import SqlSource
from mlpipe_dvc.values import Frames

if TYPE_CHECKING:
    from pandas import DataFrame
    from sqlalchemy import URL, Engine

_BATCH = 100_000


def open_sql(source: SqlSource, stage: Stage) -> Frames:
    """Run a query; rows are fetched as they are taken.

    Raises:
        StageError: SQLAlchemy or the database's driver is not installed, or there is no such
            database. While rows are taken: the database refuses the connection or the query.
    """
    url = _url(source, stage)
    return Frames(_batches(_engine(url), source.sql), _origin(url))


def identify_sql(source: SqlSource, stage: Stage) -> dict[str, str]:
    """Give the digest of an SQLite file.

    Raises:
        StageError: It is any other database, or there is no such file.
    """
    url = _url(source, stage)
    path = _file(url)
    if path is None:
        raise StageError("what a query gives is known when it is run", where=_origin(url))
    digest = hashlib.sha256()
    for part in (path, path.with_name(f"{path.name}-wal")):  # changes wait in the second
        if part.exists():
            with part.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return {"source": f"sha256:{digest.hexdigest()}"}


def _url(source: SqlSource, stage: Stage) -> URL:
    """Give the URL with its password, an SQLite file's path starting at the project's folder."""
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise StageError(
            "a query needs SQLAlchemy", where="sql", fix="Install mlpipe-framework-dvc[sql]."
        ) from None
    try:
        url = make_url(source.database)
    except (ArgumentError, ValueError):
        raise StageError("is no URL of SQLAlchemy's", where="database") from None
    if source.password is not None:
        if source.password not in stage.secrets:
            raise StageError(
                f'"{source.password}" is no secret of this stage',
                where="password",
                fix=f"Add secrets: [{source.password}] to the stage.",
            )
        url = url.set(password=stage.secrets[source.password])
    if (path := _file(url)) is None:
        return url
    if not (stage.root / path).is_file():  # SQLite would make an empty one
        raise StageError("there is no such database", where=str(path))
    return url.set(database=str(stage.root / path))


def _file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return None if url.database.startswith(("file:", ":")) else Path(url.database)


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError

    try:
        return create_engine(url)
    except NoSuchModuleError:
        raise StageError(
            f'SQLAlchemy knows no database "{url.drivername}"',
            where=_origin(url),
            fix="See the URL's beginning; a dialect of its own is a package to install.",
        ) from None
    except ModuleNotFoundError as error:
        raise StageError(
            f'the driver "{error.name}" is not installed',
            where=_origin(url),
            fix=f"Install {error.name}, or name another driver, as {url.get_backend_name()}+NAME.",
        ) from None
    except Exception as error:
        raise _refused(error, url) from None


def _batches(engine: Engine, sql: str) -> Iterator[DataFrame]:
    import pandas
    from sqlalchemy import text

    try:
        with _explained(engine.url), engine.connect() as connection:
            rows = connection.execution_options(stream_results=True)
            yield from pandas.read_sql(text(sql), rows, chunksize=_BATCH)
    finally:
        engine.dispose()


@contextmanager
def _explained(url: URL) -> Iterator[None]:
    from pandas.errors import DatabaseError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except DatabaseError as error:
        raise _refused(error.__cause__ or error, url) from None
    except SQLAlchemyError as error:
        raise _refused(error, url) from None


def _refused(error: BaseException, url: URL) -> StageError:
    said = str(getattr(error, "orig", None) or error).partition("(Background on")[0].strip()
    if url.password:
        said = said.replace(str(url.password), "***")
    return StageError(f"the database refuses: {said}", where=_origin(url))


def _origin(url: URL) -> str:
    return url.set(password=None, query={}).render_as_string()
