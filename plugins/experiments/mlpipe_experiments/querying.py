"""Outcomes from a database, through SQLAlchemy."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe import UserError
from mlpipe_experiments.outcomequery import OutcomeQuery

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, TextClause

    Row = Mapping[str, Any]

#: Rows that are fetched at once.
_BATCH = 10_000

_SINCE = "since"

_REACHED = "See that the database runs there, and that the secret is its password."
_MENDED = "Mend  outcomes:  in the recipe, and give the endpoint another salt: it is the plan's."


def rows(query: OutcomeQuery, root: Path, since: float) -> "Iterator[Row]":
    """Run a query; rows are fetched as they are taken, not all at once.

    Args:
        query: What to ask, and whom.
        root: The project's folder, where an SQLite file's path starts.
        since: What ``:since`` stands for, as Unix time in seconds.

    Raises:
        UserError: SQLAlchemy or the driver is not installed, the secret is not set, there is no
            such database, or it refuses the connection or the query.
    """
    url = _url(query, root)
    engine = _engine(url)
    try:
        statement = _statement(query.sql, since, origin(url))
        with _explained(url, _REACHED):
            connection = engine.connect()
        with _explained(url, _MENDED), connection:
            streaming = connection.execution_options(yield_per=_BATCH)
            yield from _mappings(streaming.execute(statement), origin(url))
    finally:
        engine.dispose()


def origin(url: "URL") -> str:
    """Write a URL without what may be secret."""
    return url._replace(password=None).set(query={}).render_as_string()


def _mappings(result: Any, where: str) -> "Iterator[Row]":
    columns = list(result.keys())
    if "value" not in columns or not {"key", "id"} & set(columns):
        raise UserError(
            f"the query gives the columns {', '.join(columns)}; it takes key or id, and value",
            where=where,
            fix="Name them in the query: SELECT customer AS key, paid AS value FROM …",
        )
    yield from result.mappings()


def _url(query: OutcomeQuery, root: Path) -> "URL":
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise UserError(
            "outcomes from a database need SQLAlchemy",
            where="outcomes",
            fix="Install mlpipe-framework-experiments[sql].",
        ) from None
    try:
        url = make_url(query.database)
    except (ArgumentError, ValueError):
        raise UserError(
            "is no URL of SQLAlchemy's",
            where="outcomes.database",
            fix="Write it as dialect+driver://user@host/database.",
        ) from None
    if query.password is not None:
        url = url.set(password=_secret(query.password))
    return _rooted(url, root)


def _secret(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UserError(
            f"the secret {name} is not set",
            where="outcomes.password",
            fix=f"Set {name} in the environment to the database's password.",
        )
    return value


def _rooted(url: "URL", root: Path) -> "URL":
    """Let an SQLite file's path start at the project's folder."""
    path = url.database or ""
    if url.get_backend_name() != "sqlite" or not path or path.startswith(("file:", ":")):
        return url
    if not (root / path).is_file():  # SQLite would make an empty one
        raise UserError(
            "there is no such database",
            where=str(root / path),
            fix="Its path starts at the project's folder.",
        )
    return url.set(database=str(root / path))


def _engine(url: "URL") -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        return create_engine(url)
    except NoSuchModuleError:
        raise UserError(
            f'SQLAlchemy knows no database "{url.drivername}"',
            where=origin(url),
            fix="See the URL's beginning; a dialect of its own is a package to install.",
        ) from None
    except ModuleNotFoundError as error:
        raise UserError(
            f'the driver "{error.name}" is not installed',
            where=origin(url),
            fix=f"Install {error.name}, or name another driver, as {url.get_backend_name()}+NAME.",
        ) from None
    except ArgumentError as error:
        raise _refused(error, url, _MENDED) from None


def _statement(sql: str, since: float, where: str) -> "TextClause":
    from sqlalchemy import DateTime, bindparam, text

    statement = text(sql)
    asked = set(statement.compile().params)
    if strange := sorted(asked - {_SINCE}):
        raise UserError(
            f"the query asks for :{strange[0]}, which nothing stands for",
            where=where,
            fix=r"It may ask for :since, the experiment's beginning. Write \: for a colon.",
        )
    if not asked:
        return statement
    when = datetime.fromtimestamp(since, UTC)
    return statement.bindparams(bindparam(_SINCE, when, DateTime(timezone=True)))


@contextmanager
def _explained(url: "URL", fix: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise _refused(error, url, fix) from None


def _refused(error: Exception, url: "URL", fix: str) -> UserError:
    said = str(getattr(error, "orig", None) or error).partition("(Background on")[0].strip()
    if url.password:
        said = said.replace(str(url.password), "***")
    return UserError(f"the database refuses: {said}", where=origin(url), fix=fix)
