"""Descriptions of tables, held against what pandas says of the same rows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy
import pandas
import pytest
from pandas import DataFrame

from mlpipe.errors import StageError
from mlpipe_dvc.quality.describing import describe
from mlpipe_dvc.quality.questions import INFINITE, OTHERS
from mlpipe_dvc.quality.ranges import measure, ranges
from mlpipe_dvc.values import Column, Description, Format, Kind

FORMATS = ("csv", "parquet", "jsonl")


def write(table: DataFrame, folder: Path, written: str) -> Path:
    path = folder / f"table.{written}"
    if written == "csv":
        table.to_csv(path, index=False)
    elif written == "parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_json(path, orient="records", lines=True, date_format="iso", double_precision=15)
    return path


def described(table: DataFrame, folder: Path, written: str = "csv") -> dict[str, Column]:
    found = describe(write(table, folder, written), cast("Format", written))
    assert found.rows == len(table)
    assert [column.name for column in found.columns] == list(table.columns)
    json.dumps(found.to_json(), allow_nan=False)
    assert Description.from_json(json.loads(json.dumps(found.to_json()))) == found
    return {column.name: column for column in found.columns}


@pytest.fixture
def people() -> DataFrame:
    """A table of every kind, with gaps."""
    random = numpy.random.default_rng(7)
    rows = 400
    gaps = random.random(rows) < 0.1
    return DataFrame(
        {
            "id": numpy.arange(rows),
            "ID": random.choice(["x", "y"], rows, p=[0.7, 0.3]),
            "height": numpy.where(gaps, math.nan, random.normal(170, 9, rows)),
            "children": random.integers(0, 5, rows),
            "married": random.choice([True, False], rows),
            "town": pandas.Series(random.choice(["Ulm", "Łódź", 'A "b"'], rows)).mask(gaps),
            "born": pandas.date_range("1950-01-01", periods=rows, freq="D").strftime("%Y-%m-%d"),
            "seen": pandas.date_range("2024-01-01", periods=rows, freq="61min"),
            "zoned": pandas.date_range("2024-01-01", periods=rows, freq="h", tz="Europe/Paris"),
            "empty": [None] * rows,
            'a "b", c': ["it's"] * rows,
        }
    )


@pytest.mark.parametrize("written", FORMATS)
def test_columns_are_told_as_pandas_has_them(
    tmp_path: Path, people: DataFrame, written: str
) -> None:
    found = described(people, tmp_path, written)
    kinds: dict[str, Kind] = {
        "id": "integer",
        "ID": "text",
        "height": "number",
        "children": "integer",
        "married": "boolean",
        "town": "text",
        "born": "text" if written == "parquet" else "date",
        "seen": "timestamp",
        "zoned": "timestamp",
        "empty": "other",
        'a "b", c': "text",
    }
    assert {name: column.kind for name, column in found.items()} == kinds
    for name, column in found.items():
        assert column.missing == people[name].isna().sum()
        assert column.distinct == people[name].nunique()
        assert sum(count for _, count in column.histogram) == people[name].count()
    height = found["height"]
    for value, expected in (
        (height.minimum, people["height"].min()),
        (height.maximum, people["height"].max()),
        (height.mean, people["height"].mean()),
        (height.deviation, people["height"].std()),
    ):
        assert value == pytest.approx(expected)
    assert found["children"].histogram == tuple(
        (str(value), int((people["children"] == value).sum())) for value in range(5)
    )
    assert dict(found["ID"].histogram) == people["ID"].value_counts().to_dict()
    assert found["ID"].histogram[0][0] == "x"
    assert {label for label, _ in found["married"].histogram} == {"true", "false"}
    assert (found["born"].minimum, found["born"].maximum) == ("1950-01-01", "1951-02-04")
    assert found["seen"].minimum == "2024-01-01T00:00:00"
    assert found["zoned"].minimum == "2023-12-31T23:00:00"  # in UTC
    assert found["empty"] == Column("empty", "other", len(people), 0)


def test_numbers_are_counted_in_equal_ranges(tmp_path: Path) -> None:
    values = numpy.concatenate([numpy.linspace(0, 1, 1001), [math.inf, -math.inf, math.nan]])
    table = DataFrame({"n": values, "wide": numpy.arange(1004) * 1000})
    for written in ("csv", "parquet"):
        found = described(table, tmp_path, written)["n"]
        assert (found.kind, found.minimum, found.maximum) == ("number", 0, 1)
        assert found.mean == pytest.approx(0.5)
        assert found.histogram[-1] == (INFINITE, 2)
        assert [count for _, count in found.histogram[:-1]] == pytest.approx([50] * 20, abs=2)
        assert found.histogram[0][0] == "0 to 0.05"
        assert found.missing == 1


def test_the_most_frequent_values_come_first_and_others_are_summed(tmp_path: Path) -> None:
    values = [f"rare{n}" for n in range(3000)] + ["a"] * 500 + ["b"] * 300 + [""] * 10 + ["("] * 90
    column = described(DataFrame({"t": values, "n": 1}), tmp_path, "parquet")["t"]
    assert column.histogram[:3] == (("a", 500), ("b", 300), ("(", 90))
    assert column.histogram[-1][0] == OTHERS
    assert sum(count for _, count in column.histogram) == len(values)
    assert column.distinct == pytest.approx(3004, rel=0.1)


def test_odd_numbers_do_no_harm(tmp_path: Path) -> None:
    table = DataFrame(
        {
            "huge": [1.7e308, -1.7e308, 1.0],
            "infinite": [math.inf, -math.inf, math.inf],
            "near": [1.0, math.nextafter(1.0, 2), 1.0],
            "big": [2**63, 2**63 + 1, 2**64 - 1],
            "one": [5, 5, 5],
        }
    )
    for written in ("csv", "parquet"):
        found = described(table, tmp_path, written)
        assert (found["huge"].minimum, found["huge"].mean) == (-1.7e308, None)
        assert found["infinite"].histogram == ((INFINITE, 3),)
        assert found["infinite"].minimum is None
        assert [count for _, count in found["near"].histogram] == [2, 1] or found[
            "near"
        ].distinct == 2
        assert found["big"].maximum == 2**64 - 1
        assert found["one"].histogram == (("5", 3),)


def test_nested_and_binary_values_are_counted(tmp_path: Path) -> None:
    table = DataFrame(
        {
            "list": [[1, 2], [1, 2], None],
            "struct": [{"a": 1}, {"a": 2}, {"a": 1}],
            "bytes": [b"\x00", b"\xff", b"\x00"],
            "time": pandas.to_timedelta([1, 2, 1], unit="s"),
            "category": pandas.Categorical(["u", "v", "u"]),
        }
    )
    found = described(table, tmp_path, "parquet")
    assert [found[name].kind for name in ("list", "struct", "bytes")] == ["other"] * 3
    assert found["category"].kind == "text"
    assert found["list"].missing == 1
    assert [count for _, count in found["struct"].histogram] == [2, 1]
    rows = '{"a": {"b": [1]}, "c": "2024-01-01T10:00:00"}\n{"c": null, "d": 1}\n'
    (tmp_path / "odd.jsonl").write_text(rows)
    odd = describe(tmp_path / "odd.jsonl", "jsonl")
    assert [(each.name, each.kind) for each in odd.columns] == [
        ("a", "other"),
        ("c", "timestamp"),
        ("d", "integer"),
    ]


def test_texts_that_look_like_something_else_stay_what_pandas_makes_of_them(tmp_path: Path) -> None:
    table = DataFrame(
        {
            "answer": ["y", "n", "y"],
            "flag": ["True", None, "False"],
            "day first": ["13/10/2020", "01/02/2020", "02/02/2020"],
            "long": ["x" * 5000, "y" * 5000, "x" * 5000],
            "clock": ["10:00:00", "11:00:00", "12:00:00"],
        }
    )
    found = described(table, tmp_path)
    kinds = {name: column.kind for name, column in found.items()}
    assert kinds == {
        "answer": "text",
        "flag": "boolean",
        "day first": "text",
        "long": "text",
        "clock": "text",
    }
    assert all(len(label) <= 80 for label, _ in found["long"].histogram)
    assert len(str(found["long"].minimum)) == 80


def test_one_column_of_gaps_has_all_its_rows(tmp_path: Path) -> None:
    found = described(DataFrame({"n": [1, None, 3, None]}), tmp_path)
    assert (found["n"].missing, found["n"].distinct) == (2, 2)


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *"
    folder.mkdir()
    assert described(DataFrame({"n": [1, 2]}), folder)["n"].distinct == 2


def test_wide_tables_are_read_some_columns_at_a_time(tmp_path: Path) -> None:
    random = numpy.random.default_rng(7)
    table = DataFrame({f"x{n}": random.random(100) for n in range(400)})
    table["x5"] = "text"
    found = described(table, tmp_path)
    assert (found["x5"].kind, found["x399"].kind) == ("text", "number")
    assert found["x300"].mean == pytest.approx(table["x300"].mean())
    assert found["x300"].distinct == 100


def test_memory_stays_bounded(tmp_path: Path) -> None:
    block = "".join(
        f"{n},{n * 7919 % 1000003},word{n * 31 % 100003},{n / 7}\n" for n in range(100_000)
    )
    path = tmp_path / "large.csv"
    with path.open("w") as stream:
        stream.write("a,b,c,d\n")
        for _ in range(25):
            stream.write(block)
    # Not ru_maxrss: a process begins with that of the one that started it.
    program = (
        "import re, sys; from pathlib import Path;"
        "from mlpipe_dvc.quality.describing import describe;"
        "status = Path('/proc/self/status');"
        "most = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1]);"
        "import duckdb; before = most();"
        "found = describe(Path(sys.argv[1]), 'csv', memory='200MB');"
        "print(found.rows, (most() - before) // 1024)"
    )
    words = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 2_500_000
    assert grown < 300  # MB; the file has 100


@pytest.mark.parametrize(
    ("written", "content"),
    [("csv", b"a\n\xff\n"), ("parquet", b"no parquet"), ("jsonl", b"{"), ("csv", b"\xff,b\n1,2\n")],
)
def test_a_file_that_is_no_such_table_is_named(
    tmp_path: Path, written: Format, content: bytes
) -> None:
    path = tmp_path / f"table.{written}"
    path.write_bytes(content)
    with pytest.raises(StageError) as caught:
        describe(path, written)
    assert str(caught.value.where).startswith(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="is not there"):
        describe(tmp_path / "none.csv", "csv")


@pytest.mark.parametrize(
    ("kind", "least", "greatest", "count"),
    [
        ("integer", 0, 0, 1),
        ("integer", -3, 16, 20),
        ("integer", 0, 20, 11),
        ("integer", -(2**80), 2**80, 20),
        ("date", 0, 400, 20),
        ("number", 0.0, 1.0, 20),
        ("number", -1.7e308, 1.7e308, 20),
        ("number", 2.0, 2.0, 1),
        ("timestamp", 0, 10**16, 20),
    ],
)
def test_ranges_cover_all(kind: Kind, least: float, greatest: float, count: int) -> None:
    found = ranges(kind, least, greatest)
    assert len(found.ends) == count
    assert list(found.ends) == sorted(set(found.ends))
    assert found.start <= least
    assert found.ends[-1] >= greatest
    assert len(set(found.labels(kind))) == count or kind == "integer"


def test_extremes_are_the_numbers_of_ranges() -> None:
    cases: list[tuple[Kind, Any, float | None]] = [
        ("integer", 3, 3),
        ("date", "1970-01-02", 1),
        ("timestamp", "1970-01-01T00:00:01", 1_000_000),
        ("timestamp", "12345", None),
        ("text", "a", None),
    ]
    for kind, value, number in cases:
        assert measure(kind, value) == number
