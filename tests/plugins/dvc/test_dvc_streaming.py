"""Tables larger than memory: the same rows and types, and memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlpipe.errors import GateMissed, StageError
from mlpipe_dvc.tables.shares import apportion, apportion_each

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

SPLITS: Mapping[str, dict[str, Any]] = {
    "random": {},
    "stratified": {"by": "label"},
    "group": {"by": "user"},
    "time": {"by": "day"},
}
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2, "seed": 7}


def table(rows: int = 2000) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "id": range(rows),
            "user": [f"user {n * n % 97}" for n in range(rows)],
            "label": [int(n % 10 == 0) for n in range(rows)],
            "day": [f"2024-{1 + n * 7 % 12:02}-{1 + n * 5 % 28:02}" for n in range(rows)],
            "sparse": [None if n % 3 else n / 7 for n in range(rows)],
        }
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read some hundred rows at a time, so that small tables come in several batches."""
    monkeypatch.setattr("mlpipe_dvc.tables.reading._BATCH_BYTES", 10_000)


@pytest.fixture
def rows(bare_project: Project) -> Project:
    table().to_csv("rows.csv", index=False)
    return bare_project


def parts() -> dict[str, pandas.DataFrame]:
    return {name: pandas.read_parquet(f"data/{name}.parquet") for name in list(SHARES)[:3]}


@pytest.mark.parametrize("method", SPLITS)
def test_the_parts_are_what_the_method_promises(rows: Project, method: str) -> None:
    split = {"method": method, **SPLITS[method], **SHARES}
    result = rows.prepare(stream=True, split=split, format="parquet", profile=False)
    streamed = parts()
    rows.prepare(split=split, format="parquet", profile=False)
    whole = parts()
    assert result.metrics["rows"] == 2000
    together = pandas.concat(streamed.values()).sort_values("id", ignore_index=True)
    assert_frame_equal(together, table())
    for name, part in streamed.items():
        assert part.dtypes.equals(whole[name].dtypes)
        assert method == "time" or part["id"].is_monotonic_increasing
        if method != "group":
            assert len(part) == len(whole[name]) == result.metrics[f"{name}.rows"]
    if method == "stratified":
        assert [part["label"].sum() for part in streamed.values()] == [120, 40, 40]
    if method == "group":
        users = [set(part["user"]) for part in streamed.values()]
        assert list(map(len, users)) == [len(set(part["user"])) for part in whole.values()]
        assert sum(map(len, users)) == len(set.union(*users))
    if method == "time":
        for name, part in streamed.items():
            assert_frame_equal(part, whole[name])
        for earlier, later in pairwise(streamed.values()):
            assert earlier["day"].max() <= later["day"].min()


@pytest.mark.parametrize("method", ["random", "stratified", "group"])
def test_the_seed_decides_and_nothing_else(rows: Project, method: str) -> None:
    split = {"method": method, **SPLITS[method], **SHARES}
    one = rows.prepare(stream=True, split=split, profile=False)
    other = rows.prepare(stream=True, split={**split, "seed": 8}, profile=False)
    again = rows.prepare(stream=True, split=split, profile=False, memory="1GB")
    assert one.outputs == again.outputs
    assert one.values["version"] != other.values["version"]


def test_the_division_itself_does_not_change_between_releases(bare_project: Project) -> None:
    table(10).to_csv("rows.csv", index=False)
    bare_project.prepare(stream=True, split=SHARES, profile=False)
    found = {name: pandas.read_csv(f"data/{name}.csv")["id"].tolist() for name in list(SHARES)[:3]}
    assert found == {
        "train": [0, 2, 5, 7, 8, 9],
        "validation": [1, 4],
        "test": [3, 6],
    }


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_without_a_split_the_bytes_are_those_of_a_table_in_memory(rows: Project, kind: str) -> None:
    streamed = rows.prepare(stream=True, format=kind, profile=False)
    assert streamed.outputs == rows.prepare(format=kind, profile=False).outputs


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    weights=st.lists(st.integers(1, 20), min_size=2, max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_shares_are_even_in_each_and_over_all(sizes: list[int], weights: list[int]) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    cells = apportion_each(sizes, fractions)
    assert [sum(column) for column in zip(*cells, strict=True)] == apportion(sum(sizes), fractions)
    for size, row in zip(sizes, cells, strict=True):
        assert sum(row) == size
        assert all(abs(n - size * part) <= 1 for n, part in zip(row, fractions, strict=True))


def test_functions_and_checks_see_batches(rows: Project) -> None:
    module = rows.module(
        """
        sizes, seen = [], []

        def even(frame):
            sizes.append(len(frame))
            assert list(frame.index) == list(range(len(frame)))
            return frame[frame["id"] % 2 == 0]

        def check(frame):
            seen.append(len(frame))
            return [f"row {n} is bad" for n in frame["id"] if n in (100, 1900)]
        """
    )
    with pytest.raises(GateMissed) as caught:
        rows.prepare(stream=True, steps=[f"{module}:even"], checks=f"{module}:check")
    assert "row 100 is bad" in caught.value.what
    assert "row 1900 is bad" in caught.value.what
    made = sys.modules[module]
    assert sum(made.sizes) == 2000
    assert sum(made.seen) == 1000
    assert len(made.sizes) > 5
    assert not (rows.root / "data").exists()


def test_a_step_that_makes_a_column_of_two_types_is_named(rows: Project) -> None:
    module = rows.module(
        "def mix(frame):\n    return frame.assign(new='x' if frame['id'].iloc[0] else 1)\n"
    )
    with pytest.raises(StageError, match=f"{module}:mix: .*several types: .*Field new"):
        rows.prepare(stream=True, steps=[f"{module}:mix"])


def test_columns_made_of_values_of_a_batch_are_refused(rows: Project) -> None:
    module = rows.module(
        """
        def one_hot(frame):
            return frame.assign(**{f"is {frame['id'].iloc[0]}": 1})
        """
    )
    with pytest.raises(
        StageError, match=f'{module}:one_hot: gives some rows other columns .*"is 0"'
    ):
        rows.prepare(stream=True, steps=[f"{module}:one_hot"])


def test_categories_become_their_values(rows: Project) -> None:
    module = rows.module(
        "def kind(frame):\n    return frame.assign(user=frame['user'].astype('category'))\n"
    )
    rows.prepare(stream=True, steps=[f"{module}:kind"], format="parquet", split=SHARES)
    assert parts()["train"]["user"].dtype == "str"


def test_tables_that_a_function_yields_may_differ_in_numbers(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandas

        def extract():
            yield pandas.DataFrame({"n": [1, 2], "name": [None, None]})
            yield pandas.DataFrame({"n": [2.5], "name": ["x"]})
        """
    )
    for stream in (False, True):
        bare_project.prepare(source=f"{module}:extract", stream=stream)
        assert Path("data/data.csv").read_text() == "n,name\n1.0,\n2.0,\n2.5,x\n"


@pytest.mark.parametrize(
    ("split", "what"),
    [
        ({"method": "group", "by": "usr"}, 'there is no column "usr"\n   Did you mean "user"'),
        ({"method": "stratified", "by": "id"}, "has 2,000 values; the rarest"),
        ({"method": "stratified", "by": "sparse"}, "is empty in 1,333 of 2,000 rows"),
        ({"method": "time", "by": "user"}, 'column "user" holds no times'),
        ({"method": "group", "by": "constant"}, "the 1 values of .* are too few for every part"),
    ],
)
def test_what_cannot_be_divided_is_refused_as_in_memory(
    rows: Project, split: dict[str, Any], what: str
) -> None:
    table().assign(constant=1).to_csv("rows.csv", index=False)
    for stream in (False, True):
        with pytest.raises(StageError, match=what):
            rows.prepare(stream=stream, split={**split, **SHARES})
    assert not (rows.root / "data").exists()


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "rows.csv", "is empty"),
        (b"a,b\n", "rows.csv", "has no rows"),
        (b"a,b\n1,2\n3,4,5\n", "rows.csv:3", "has 3 fields"),
        (b"a,a\n1,2\n", "rows.csv:1", 'names "a" twice'),
        (b"a\nx\nJos\xe9\n", "rows.csv:3", "is not utf-8"),
    ],
)
def test_bad_files_are_refused_as_in_memory(
    bare_project: Project, content: bytes, where: str, what: str
) -> None:
    (bare_project.root / "rows.csv").write_bytes(content)
    with pytest.raises(StageError) as caught:
        bare_project.prepare(stream=True)
    assert what in caught.value.what
    assert caught.value.where == where


MEASURED = """
import sys
from pathlib import Path
from mlpipe.testing.stages import make_stage
from mlpipe_dvc import PrepareConfig, prepare

config = PrepareConfig(
    source=sys.argv[1], output="data/" + sys.argv[1][:-4], stream=True, memory="256MB",
    split={"method": "group", "by": "user", "train": 0.8, "test": 0.2}, format="parquet",
)
prepare(config, make_stage(Path.cwd(), "prepare", name=sys.argv[1][:-4]).stage)
# Not ru_maxrss: a process begins with that of the one that started it.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def peak(source: str) -> int:
    """Prepare a file in a process of its own; give the megabytes that it took at most."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), source],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(bare_project: Project) -> None:
    lines = "".join(f"%d{n:04},user {n % 997},{n / 7},{n * n / 13}\n" for n in range(10_000))
    for name, megabytes in (("small", 50), ("large", 200)):
        with (bare_project.root / f"{name}.csv").open("w") as stream:
            stream.write("id,user,x,y\n")
            for block in range(1, megabytes * 1_000_000 // len(lines) + 1):
                stream.write(lines.replace("%d", str(block)))
    small, large = peak("small.csv"), peak("large.csv")
    assert large < 600
    assert large - small < 150  # what the file has grown by


def test_periods_are_written_as_without_streaming(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandas

        def months():
            return pandas.DataFrame({"month": pandas.period_range("2020-01", periods=3, freq="M")})
        """
    )
    texts = []
    for stream in (False, True):
        bare_project.prepare(source=f"{module}:months", output=f"data-{stream}", stream=stream)
        texts.append((bare_project.root / f"data-{stream}/data.csv").read_text())
    assert texts == ["month\n2020-01\n2020-02\n2020-03\n"] * 2
