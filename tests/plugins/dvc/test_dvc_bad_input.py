"""Bad sources and bad functions: what is wrong, where, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from mlpipe.errors import StageError, UserError

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project


@pytest.fixture(autouse=True)
def nothing_is_left(bare_project: Project) -> Iterator[None]:
    yield
    assert not (bare_project.root / "data").exists()
    assert not (bare_project.root / ".dvc").exists()


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "rows.csv", "is empty"),
        (b"\n\n", "rows.csv", "is empty"),
        (b"a,b\n", "rows.csv", "has no rows"),
        (b"a,b\n1,2\n3,4,5\n6,7\n", "rows.csv:3", "has 3 fields, the first row has 2"),
        (b"a,b\n1,2\n3\n", "rows.csv:3", "has 1 fields, the first row has 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "rows.csv:2", "has 3 fields, the first row has 2; so have one"),
        (b'a,b\n"1\n1",2\n3\n', "rows.csv:4", "has 1 fields"),
        (b"a,b\n1,2\n\n3,4,5\n", "rows.csv:4", "has 3 fields"),
        (b"a,a\n1,2\n", "rows.csv:1", 'names "a" twice'),
        (b"a,\n1,2\n", "rows.csv:1", "has a column without a name"),
        (b"a\nx\nJos\xe9\n", "rows.csv:3", "is not utf-8"),
        (b'a\n"1\n2\n', "rows.csv", "is not a table"),
        (bytes(range(256)), "rows.csv:", "is not utf-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    bare_project: Project, content: bytes, where: str, what: str
) -> None:
    (bare_project.root / "rows.csv").write_bytes(content)
    with pytest.raises(StageError) as caught:
        bare_project.prepare()
    assert what in caught.value.what
    assert str(caught.value.where).startswith(where)


def test_a_missing_source_is_reported(bare_project: Project) -> None:
    with pytest.raises(StageError, match=r"raw/none\.csv: the source is not there"):
        bare_project.prepare(source="raw/none.csv")


def test_a_folder_as_source_is_reported(bare_project: Project) -> None:
    (bare_project.root / "raw").mkdir()
    with pytest.raises(StageError, match="raw: the source is a folder"):
        bare_project.prepare(source="raw")


BAD = """
    import pandas

    def nothing():
        pass

    def rows():
        return [{"a": 1}]

    def empty():
        return pandas.DataFrame({"a": []})

    def columnless():
        return pandas.DataFrame(index=[1, 2])

    def twins():
        return pandas.DataFrame([[1, 2]], columns=["a", "a"])

    def indexed():
        return pandas.DataFrame({"a": [1]}, index=pandas.Index([1], name="a"))

    def broken():
        return {}["column"]

    def refuses():
        from mlpipe import UserError
        raise UserError("the shop is closed")

    number = 3
"""


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("nothing", "returned NoneType, not a DataFrame"),
        ("rows", "gave dict, not a DataFrame"),
        ("empty", "has no rows"),
        ("columnless", "has no columns"),
        ("twins", "has columns that share a name"),
        ("indexed", "has an index that cannot become columns"),
        ("absent", "has no function absent"),
        ("number", "has no function number"),
        ("broken", "KeyError: 'column'"),
    ],
)
def test_a_function_that_gives_no_table_is_named(
    bare_project: Project, function: str, what: str
) -> None:
    module = bare_project.module(BAD)
    with pytest.raises(StageError) as caught:
        bare_project.prepare(source=f"{module}:{function}")
    assert what in str(caught.value)
    assert module in str(caught.value.where)


def test_an_error_in_a_function_names_its_line(bare_project: Project) -> None:
    module = bare_project.module(BAD)
    with pytest.raises(StageError) as caught:
        bare_project.prepare(source=f"{module}:broken")
    assert caught.value.where == f"{module}.py:23"
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_refusal_of_the_projects_own_is_passed_on(bare_project: Project) -> None:
    module = bare_project.module(BAD)
    with pytest.raises(UserError, match=r"^the shop is closed$"):
        bare_project.prepare(source=f"{module}:refuses")


def test_a_step_that_returns_nothing_is_named(bare_project: Project) -> None:
    module = bare_project.module("def step(frame):\n    frame.dropna()\n")
    with pytest.raises(StageError, match=f"{module}:step: returned NoneType, not a DataFrame"):
        bare_project.prepare(steps=[f"{module}:step"])


def test_checks_that_return_no_list_are_named(bare_project: Project) -> None:
    module = bare_project.module("def check(frame):\n    return True\n")
    with pytest.raises(StageError, match=f"{module}:check: returned bool, not a list of messages"):
        bare_project.prepare(checks=f"{module}:check")


def test_a_missing_module_is_told_from_a_missing_import(bare_project: Project) -> None:
    with pytest.raises(StageError, match='there is no module "nowhere"'):
        bare_project.prepare(source="nowhere.extract:extract")
    module = bare_project.module("import nowhere_else\n")
    with pytest.raises(StageError, match=rf"{module}\.py:1: ModuleNotFoundError: .*nowhere_else"):
        bare_project.prepare(source=f"{module}:extract")


def test_a_syntax_error_names_its_line(bare_project: Project) -> None:
    module = bare_project.module("x = 1\ndef extract(:\n")
    with pytest.raises(StageError, match=rf"{module}\.py:2: SyntaxError: "):
        bare_project.prepare(source=f"{module}:extract")


def test_a_step_that_drops_all_rows_is_named(bare_project: Project) -> None:
    module = bare_project.module("def step(frame):\n    return frame[frame['age'] > 1000]\n")
    for stream in (False, True):
        with pytest.raises(StageError, match=f"{module}:step: has no rows"):
            bare_project.prepare(steps=[f"{module}:step"], stream=stream)


@pytest.mark.parametrize(("kind", "stream"), [("csv", False), ("parquet", True)])
def test_a_full_disk_is_reported_and_nothing_is_tracked(
    bare_project: Project, kind: str, stream: bool
) -> None:
    """Write to a process's own limit of file sizes, which fails as a full disk does."""
    numbers = "".join(f"{(n * 7919) % 100_003},{n / 7}\n" for n in range(60_000))
    bare_project.write("rows.csv", "a,b\n" + numbers)
    code = f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        from pathlib import Path
        from mlpipe.errors import StageError
        from mlpipe.testing.stages import make_stage
        from mlpipe_dvc import PrepareConfig, prepare

        config = PrepareConfig(
            source="rows.csv", output="data", stream={stream}, format="{kind}", profile=False
        )
        try:
            prepare(config, make_stage(Path.cwd(), "prepare").stage)
        except StageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert ("rows cannot be kept" if stream else f"data.{kind}: cannot be written") in done.stdout
