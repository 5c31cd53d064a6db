"""Outcomes from a database: a real SQLite file, and databases that cannot be asked."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlpipe import UserError
from mlpipe_experiments import ExperimentPlan, keeping
from mlpipe_experiments.assignment import fingerprint
from mlpipe_experiments.keeping import Experiment, Outcome
from mlpipe_experiments.outcomequery import OutcomeQuery
from mlpipe_experiments.querying import rows
from mlpipe_experiments.reading import record_file, record_query
from mlpipe_experiments.showing import plan_lines
from tests.plugins.experiments.experiments_plans import plan

SQL = "SELECT customer AS key, bought AS value FROM visits WHERE seen >= :since"
SHOP = {"sql": SQL, "database": "sqlite:///shop.db"}
SECRET = "hunter2-and-more"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of the project."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE visits (customer TEXT, bought INTEGER, seen TEXT)")
        yield database


def begun(root: Path, **more: Any) -> Experiment:
    """Begin an experiment where a project keeps its own."""
    made = plan(**{"outcomes": SHOP, **more})
    return keeping.begin(root / ".mlpipe", "churn", "salt", made, Path("invocations.jsonl"), "")


def visit(shop: sqlite3.Connection, customer: str, bought: Any, when: float) -> None:
    seen = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    shop.execute("INSERT INTO visits VALUES (?, ?, ?)", (customer, bought, seen))


def test_rows_since_the_beginning_are_outcomes(tmp_path: Path, shop: sqlite3.Connection) -> None:
    experiment = begun(tmp_path)
    visit(shop, "ann", 1, experiment.since + 1)
    visit(shop, "bob", 1, experiment.since - 1)
    assert record_query(experiment) == 1
    ann = Outcome(fingerprint("ann", "salt"), 1.0)
    assert list(experiment.outcomes()) == [ann]
    visit(shop, "cem", 0, experiment.since + 2)
    for _ in range(2):  # what was read before is not counted twice
        assert record_query(experiment) == 2
        assert list(experiment.outcomes()) == [ann, Outcome(fingerprint("cem", "salt"), 0.0)]


def test_ratios_and_ids(tmp_path: Path, shop: sqlite3.Connection) -> None:
    sql = "SELECT 'r1' AS id, 2.5 AS value, 4 AS 'of'"
    metric = {"name": "clicks", "kind": "ratio", "baseline": 0.5, "deviation": 1}
    experiment = begun(tmp_path, outcomes={**SHOP, "sql": sql}, metric=metric, effect=1)
    assert record_query(experiment) == 1
    assert list(experiment.outcomes()) == [Outcome("r1", 2.5, 4.0)]


def test_rows_are_fetched_as_they_are_taken(tmp_path: Path, shop: sqlite3.Connection) -> None:
    """The last of them cannot be had at all."""
    last = 25_000
    sql = f"""
        WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < {last})
        SELECT i AS key, CASE i WHEN {last} THEN abs(-9223372036854775807 - 1) ELSE 1 END AS value
        FROM n
    """
    query = OutcomeQuery.model_validate({**SHOP, "sql": sql})
    found = rows(query, tmp_path, 0.0)
    assert [next(found)["key"] for _ in range(10_000)] == list(range(1, 10_001))
    with pytest.raises(UserError, match="the database refuses: integer overflow"):
        list(found)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT customer AS key FROM visits", r"gives the columns key; it takes key or id"),
        ("SELECT bought AS value FROM visits", r"gives the columns value; it takes"),
        ("SELECT 'ann' AS key, 'x' AS value", r"row 1.*value is 'x', which is no number"),
        ("SELECT 'ann' AS key, NULL AS value", "value is None, which is no number"),
        ("SELECT 'ann' AS key, 2 AS value", '"conversion" is 0 or 1'),
        ("SELECT NULL AS key, 1 AS value", "either a key or an id"),
        ("SELECT 'a' AS key, 1 AS value UNION SELECT 'b', 'no'", "row 2.*value is 'no'"),
        ("SELECT key, value FROM orders", "the database refuses: no such table: orders"),
        ("SELEC 1", "the database refuses: near"),
        ("DELETE FROM visits", "the database refuses|gives the columns"),
        (f"{SQL} AND seen < :until", "asks for :until, which nothing stands for"),
    ],
)
def test_queries_that_are_wrong_change_nothing(
    tmp_path: Path, shop: sqlite3.Connection, sql: str, problem: str
) -> None:
    experiment = begun(tmp_path, outcomes={**SHOP, "sql": sql})
    experiment.put([Outcome("before", 1.0)])
    with pytest.raises(UserError, match=problem) as caught:
        record_query(experiment)
    assert caught.value.where
    assert list(experiment.outcomes()) == [Outcome("before", 1.0)]
    assert {path.name for path in experiment.folder.iterdir()} == {"plan.json", "queried.jsonl"}


@pytest.mark.parametrize(
    ("database", "problem", "fix"),
    [
        ("sqlite:///gone.db", "no such database", "project's folder"),
        ("nosuch://db/shop", 'knows no database "nosuch"', "dialect"),
        ("oracle+oracledb://db/shop", 'driver "oracledb" is not installed', "Install oracledb"),
        ("sqlite://///", "no such database", "project's folder"),
    ],
)
def test_databases_that_cannot_be_asked(
    tmp_path: Path, database: str, problem: str, fix: str
) -> None:
    experiment = begun(tmp_path, outcomes={"sql": "SELECT 1", "database": database})
    with pytest.raises(UserError, match=problem) as caught:
        record_query(experiment)
    assert caught.value.where
    assert fix in str(caught.value.fix)
    assert list(experiment.outcomes()) == []


@pytest.mark.parametrize(
    "database",
    [f"postgresql://me:{SECRET}@db/shop", f"mysql://db/shop?password={SECRET}", "shop.db"],
)
def test_a_url_holds_no_password(database: str) -> None:
    with pytest.raises(ValidationError, match=r"must not hold a password|write a URL"):
        plan(outcomes={"sql": "SELECT 1", "database": database})


def test_the_password_is_a_secret_and_kept_nowhere(
    tmp_path: Path, shop: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = {**SHOP, "sql": "SELECT * FROM nothing", "password": "SHOP_PASSWORD"}
    experiment = begun(tmp_path, outcomes=query)
    assert SECRET not in repr(experiment)
    with pytest.raises(UserError, match="the secret SHOP_PASSWORD is not set") as caught:
        record_query(experiment)
    assert "Set SHOP_PASSWORD" in str(caught.value.fix)
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    with pytest.raises(UserError, match="refuses") as caught:
        record_query(experiment)
    assert SECRET not in str(caught.value)
    kept = "".join(path.read_text() for path in experiment.folder.iterdir())
    assert SECRET not in kept
    assert json.loads(kept)["plan"]["outcomes"]["password"] == "SHOP_PASSWORD"
    assert SECRET not in "\n".join(plan_lines(experiment.plan))


def test_the_query_is_a_part_of_the_plan(tmp_path: Path, shop: sqlite3.Connection) -> None:
    experiment = begun(tmp_path)
    assert plan_lines(experiment.plan)[-1] == f"outcomes from sqlite:///shop.db: {SQL}"
    for change in ({"sql": f"{SQL} AND bought"}, {"database": "sqlite:///other.db"}):
        with pytest.raises(UserError, match="runs with another plan"):
            begun(tmp_path, outcomes={**SHOP, **change})
    with pytest.raises(UserError, match="runs with another plan"):
        begun(tmp_path, outcomes=None)
    file = tmp_path / "more.csv"
    file.write_text("key,value\nann,1\n")
    with pytest.raises(UserError, match="come from its query") as caught:
        record_file(experiment, file)
    assert "mlpipe ab record churn" in str(caught.value.fix)


def test_without_a_query_there_must_be_a_file(begin: Callable[..., Experiment]) -> None:
    with pytest.raises(UserError, match="names no query") as caught:
        record_query(begin())
    assert "--file" in str(caught.value.fix)


def test_plans_without_a_query_are_the_ones_they_were() -> None:
    """Experiments that run were begun with this digest."""
    known = "sha256:d6bee0c447bc35c21176b35ab025c1df7abf67b698d49c228356d958698c748a"
    assert plan().digest() == known
    assert ExperimentPlan.model_validate(plan().model_dump()).digest() == known
