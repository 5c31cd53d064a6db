"""Rows of a database query: a real SQLite file, and databases that are not there."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pandas
import pytest
from pydantic import TypeAdapter

from mlpipe.errors import StageError
from mlpipe.testing.stages import make_stage
from mlpipe_dvc.sourceconfig import Source
from mlpipe_dvc.sources import identify, open_source
from mlpipe_dvc.values import Frames

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.dvc.conftest import Project

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)


@pytest.fixture
def shop(bare_project: Project) -> Path:
    """A database of the project."""
    path = bare_project.root / "raw" / "shop.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table orders (id integer, city text, paid real)")
        rows = ((n, f"city {n % 3}", n / 4) for n in range(250_000))
        database.executemany("insert into orders values (?, ?, ?)", rows)
    return path


def query(project: Project, sql: str, **given: Any) -> Frames:
    source = {"sql": sql, "database": "sqlite:///raw/shop.db", **given}
    found = open_source(SOURCE.validate_python(source), project.stage().stage)
    assert isinstance(found, Frames)
    return found


def identity(project: Project, **given: Any) -> dict[str, str]:
    source = {"sql": "select * from orders", "database": "sqlite:///raw/shop.db", **given}
    return identify(SOURCE.validate_python(source), project.stage().stage)


def test_rows_come_in_batches(bare_project: Project, shop: Path) -> None:
    found = query(bare_project, "select * from orders where id >= 10 order by id")
    assert found.origin == f"sqlite:///{shop}"
    batches = list(found.batches)
    assert [len(each) for each in batches] == [100_000, 100_000, 49_990]
    table = pandas.concat(batches)
    assert list(table.columns) == ["id", "city", "paid"]
    assert table["id"].tolist() == list(range(10, 250_000))
    assert table["paid"].sum() == sum(n / 4 for n in range(10, 250_000))


def test_a_query_without_rows_has_its_columns(bare_project: Project, shop: Path) -> None:
    (batch,) = query(bare_project, "select * from orders where id < 0").batches
    assert (len(batch), list(batch.columns)) == (0, ["id", "city", "paid"])


def test_text_is_no_pattern_of_parameters(bare_project: Project, shop: Path) -> None:
    (batch,) = query(bare_project, r"select '%d' as a, '12\:30' as b").batches
    assert batch.to_dict("records") == [{"a": "%d", "b": "12:30"}]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("select * from order_s", "no such table: order_s"),
        ("selec 1", 'near "selec": syntax error'),
        ("delete from orders", "does not return rows"),
        ("select * from orders where id = :id", "id"),
    ],
)
def test_a_query_that_is_refused_is_reported(
    bare_project: Project, shop: Path, sql: str, what: str
) -> None:
    found = query(bare_project, sql)
    with pytest.raises(StageError, match=r"shop\.db: the database refuses: ") as caught:
        list(found.batches)
    assert what in caught.value.what


def test_a_file_that_is_no_database_is_reported(bare_project: Project) -> None:
    bare_project.write("raw/shop.db", "x,y\n" * 1000)
    with pytest.raises(StageError, match="refuses: file is not a database"):
        list(query(bare_project, "select * from orders").batches)


def test_a_missing_database_is_reported_and_not_made(bare_project: Project) -> None:
    for ask in (query, identity):
        with pytest.raises(StageError, match=r"raw/shop\.db: there is no such database"):
            ask(bare_project, sql="select 1")
    assert not (bare_project.root / "raw").exists()


def test_an_sqlite_file_is_known_by_its_bytes(bare_project: Project, shop: Path) -> None:
    first = identity(bare_project)
    assert identity(bare_project) == first
    with closing(sqlite3.connect(shop)) as database:
        database.execute("pragma journal_mode = wal")
        wal = identity(bare_project)
        with database:
            database.execute("delete from orders where id = 1")
        # The change is in shop.db-wal as long as someone has the database open.
        assert identity(bare_project) != wal


@pytest.mark.parametrize("database", ["postgresql://shop.example.org/shop", "sqlite://"])
def test_any_other_database_has_no_identity(bare_project: Project, database: str) -> None:
    with pytest.raises(StageError, match="what a query gives is known when it is run"):
        identity(bare_project, database=database)


def test_a_missing_driver_is_named(bare_project: Project) -> None:
    database = "mysql+mysqldb://me@shop.example.org/shop"
    with pytest.raises(StageError, match=r'the driver "MySQLdb" is not installed\n.*mysql\+NAME'):
        query(bare_project, "select 1", database=database)


def test_an_unknown_database_is_named(bare_project: Project) -> None:
    with pytest.raises(StageError, match='SQLAlchemy knows no database "oracel"'):
        query(bare_project, "select 1", database="oracel://shop.example.org/shop")
    with pytest.raises(StageError, match="database: is no URL of SQLAlchemy's"):
        query(bare_project, "select 1", database="mysql://host:port/shop")


def test_missing_sqlalchemy_names_what_to_install(
    bare_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(StageError, match=r"Install mlpipe-framework-dvc\[sql\]"):
        query(bare_project, "select 1")


def test_a_password_comes_from_a_secret_and_is_not_told(bare_project: Project) -> None:
    source = SOURCE.validate_python(
        {
            "sql": "select 1",
            "database": "mysql+mysqldb://me@shop.example.org/shop",
            "password": "SHOP_PASSWORD",
        }
    )
    with pytest.raises(StageError, match='"SHOP_PASSWORD" is no secret of this stage'):
        open_source(source, bare_project.stage().stage)
    stage = make_stage(bare_project.root, "prepare", secrets={"SHOP_PASSWORD": "p@ss/w:rd"}).stage
    with pytest.raises(StageError) as caught:
        open_source(source, stage)
    assert caught.value.where == "mysql+mysqldb://me:***@shop.example.org/shop"
    assert "p@ss/w:rd" not in str(caught.value)
