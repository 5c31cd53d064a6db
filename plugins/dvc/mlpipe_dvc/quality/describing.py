"""Describing tables by DuckDB: what is larger than memory too, in few readings of the file.

The first reading finds the extent of numbers and the frequent values of texts; the second
counts values by range, or the frequent ones exactly. Wide tables are read some columns at a
time. DuckDB was chosen for it because it reads all three formats, keeps to a limit of memory,
and puts what is beyond that on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlpipe_dvc.quality.engine import connect, explained
from mlpipe_dvc.quality.questions import Asked, Question, question
from mlpipe_dvc.quality.relations import Relation, relation
from mlpipe_dvc.values import Column, Description, Format

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: How much is asked in one reading, by the weight of questions.
_AT_ONCE = 150
#: A wide table of fewer bytes is parsed once, and then read from the database.
_LOADED = 256_000_000


def describe(path: Path, format: Format, memory: str = "512MB") -> Description:  # noqa: A002 - as recipes say it
    """Describe a table.

    The number of different values is exact up to a thousand, and an estimate beyond. The least
    and greatest value, mean and deviation are of finite numbers; of texts, letters decide.

    Args:
        path: The file, as this plugin writes it: UTF-8, a CSV's first row its columns' names.
        format: How it is written.
        memory: What may be used, as ``512MB``; what does not fit goes to a temporary folder.

    Raises:
        StageError: It cannot be read as such a table.
    """
    with (
        TemporaryDirectory(prefix="mlpipe-describe-") as folder,
        connect(memory, Path(folder)) as database,
        explained("cannot be described", str(path)),
    ):
        table = relation(database, path, format, Path(folder))
        if len(table.names) > _AT_ONCE and path.stat().st_size < _LOADED:
            table = table.loaded(database)
        questions: dict[int, Question] = {
            index: question(Asked(name, kind, value, table.guesses if kind == "text" else ()))
            for index, (name, value, kind) in enumerate(
                zip(table.names, table.values, table.kinds, strict=True)
            )
        }
        rows, columns = _answered(database, table, questions)
        return Description(rows, tuple(columns[index] for index in sorted(columns)))


def _answered(
    database: DuckDBPyConnection, table: Relation, questions: Mapping[int, Question]
) -> tuple[int, dict[int, Column]]:
    rows, columns = 0, dict[int, Column]()
    while questions:
        further: dict[int, Question] = {}
        for some in _some(questions):
            rows, answers = _ask(database, table, some)
            for index, each in answers.items():
                if isinstance(each, Column):
                    columns[index] = each
                else:
                    further[index] = each
        questions = further
    return rows, columns


def _some(questions: Mapping[int, Question]) -> Iterator[dict[int, Question]]:
    some: dict[int, Question] = {}
    weight = 0
    for index, each in questions.items():
        if some and weight + each.weight > _AT_ONCE:
            yield some
            some, weight = {}, 0
        some[index] = each
        weight += each.weight
    if some:
        yield some


def _ask(
    database: DuckDBPyConnection, table: Relation, questions: Mapping[int, Question]
) -> tuple[int, dict[int, Question | Column]]:
    chosen = {index: each.sql() for index, each in questions.items()}
    expressions = ", ".join(sql for each in chosen.values() for sql in each)
    found = database.execute(f"SELECT count(*), {expressions} FROM {table.source}")  # noqa: S608 - names are c0, c1…
    rows, *answers = found.fetchall()[0]
    given = iter(answers)
    return rows, {
        index: each.next([next(given) for _ in chosen[index]]) for index, each in questions.items()
    }
