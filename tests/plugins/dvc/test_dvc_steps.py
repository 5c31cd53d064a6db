"""Steps that are functions, scripts and notebooks, in memory and streaming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import pytest

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

SCRIPT = """
import argparse

import pandas

parser = argparse.ArgumentParser()
parser.add_argument("--input")
parser.add_argument("--output")
parser.add_argument("--older-than", type=int, default=0)
arguments = parser.parse_args()
{read}
frame = frame[frame["age"] > arguments.older_than]
{write}
"""
READ = {
    "csv": "frame = pandas.read_csv(arguments.input)",
    "parquet": "frame = pandas.read_parquet(arguments.input)",
    "jsonl": "frame = pandas.read_json(arguments.input, lines=True)",
}
WRITE = {
    "csv": "frame.to_csv(arguments.output, index=False)",
    "parquet": "frame.to_parquet(arguments.output)",
    "jsonl": "frame.to_json(arguments.output, lines=True, orient='records')",
}


def script(project: Project, kind: str = "csv") -> str:
    """Write a script that keeps the rows of some."""
    project.write("scripts/clean.py", SCRIPT.format(read=READ[kind], write=WRITE[kind]))
    return "scripts/clean.py"


def failing(project: Project, code: str) -> str:
    """Write a script that does not do what it should."""
    project.write("scripts/bad.py", f"import sys\noutput = sys.argv[4]\n{code}\n")
    return "scripts/bad.py"


def notebook(project: Project, *cells: str) -> str:
    """Write a notebook; its first cell has the parameters."""
    tags = [["parameters"], *[[] for _ in cells[1:]]]
    content = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {"tags": tag},
                "outputs": [],
                "source": cell,
            }
            for number, (cell, tag) in enumerate(zip(cells, tags, strict=True))
        ],
        "metadata": {"kernelspec": {"display_name": "P", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    project.write("notebooks/clean.ipynb", json.dumps(content))
    return "notebooks/clean.ipynb"


PARAMETERS = "input = ''\noutput = ''\nolder_than = 0"
BODY = (
    "import pandas\n"
    "frame = pandas.read_csv(input)\n"
    "frame[frame['age'] > older_than].to_csv(output, index=False)"
)


@pytest.mark.parametrize(
    ("kind", "stream"), [("csv", False), ("parquet", False), ("jsonl", False), ("parquet", True)]
)
def test_a_script_reads_and_writes_the_recipes_format(
    bare_project: Project, kind: str, stream: bool
) -> None:
    step = {"script": script(bare_project, kind), "args": {"older-than": 65}}
    result = bare_project.prepare(steps=[step], format=kind, stream=stream, profile=False)
    assert result.metrics == {"rows": 4, "columns": 3}
    written = bare_project.prepare(source=f"data/data.{kind}", output="again", profile=False)
    assert written.metrics["rows"] == 4
    assert sorted(pandas.read_csv("again/data.csv")["age"]) == [66, 67, 68, 69]


def test_functions_and_scripts_take_turns(bare_project: Project) -> None:
    module = bare_project.module(
        """
        def add(frame, name, value=1):
            return frame.assign(**{name: value})

        def check(frame):
            return [] if list(frame.columns) == ["id", "age", "label", "one", "two"] else ["no"]
        """
    )
    bare_project.prepare(
        steps=[
            {"function": f"{module}:add", "args": {"name": "one"}},
            script(bare_project),
            {"function": f"{module}:add", "args": {"name": "two", "value": 2}},
        ],
        checks=f"{module}:check",
    )
    assert pandas.read_csv("data/data.csv")["two"].eq(2).all()


def test_a_script_imports_the_projects_modules(bare_project: Project) -> None:
    module = bare_project.module("LIMIT = 60\n")
    path = script(bare_project)
    code = (bare_project.root / path).read_text()
    bare_project.write(
        path, f"import {module}\n" + code.replace("default=0", f"default={module}.LIMIT")
    )
    assert bare_project.prepare(steps=[path]).metrics["rows"] == 9


def test_a_truth_value_reaches_a_script_in_lower_case(bare_project: Project) -> None:
    bare_project.write(
        "echo.py",
        "import sys; arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]));"
        "open(arguments['--output'], 'w').write('x\\n=' + arguments['--deep'] + '\\n')",
    )
    bare_project.prepare(steps=[{"script": "echo.py", "args": {"deep": True}}])
    assert (bare_project.root / "data/data.csv").read_text() == "x\n=true\n"


@pytest.mark.parametrize(
    ("write", "what"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("pass", "did not write its output"),
        ("open(output, 'w')", "wrote an empty file"),
        ("open(output, 'w').write('a,b\\n1\\n')", "has 1 fields, the first row has 2"),
        ("open(output, 'w').write('a,b\\n')", "has no rows"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_script_that_fails_is_named(
    bare_project: Project, write: str, what: str, stream: bool
) -> None:
    path = failing(bare_project, write)
    with pytest.raises(StageError) as caught:
        bare_project.prepare(steps=[path], stream=stream)
    assert what in caught.value.what
    assert str(caught.value.where).startswith(path)
    assert not (bare_project.root / "data").exists()


def test_the_end_of_what_a_script_said_is_repeated(
    bare_project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = "import sys\nfor n in range(100): print('line', n, file=sys.stderr)\nint('seven')"
    with pytest.raises(StageError) as caught:
        bare_project.prepare(steps=[failing(bare_project, lines)])
    assert "ValueError: invalid literal for int() with base 10: 'seven'" in caught.value.what
    assert "line 99" in caught.value.what
    assert "line 10\n" not in caught.value.what
    assert "line 10\n" in capfd.readouterr().err


def test_a_missing_script_is_reported(bare_project: Project) -> None:
    with pytest.raises(StageError, match=r"none\.py: the script is not there"):
        bare_project.prepare(steps=["none.py"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_notebook_reads_one_file_and_writes_another(bare_project: Project, stream: bool) -> None:
    step = {"notebook": notebook(bare_project, PARAMETERS, BODY), "parameters": {"older_than": 65}}
    assert bare_project.prepare(steps=[step], stream=stream).metrics["rows"] == 4
    (kept,) = kept_notebooks(bare_project)
    assert "clean" in kept.name
    assert "older_than = 65" in kept.read_text()


def test_a_notebook_that_fails_is_kept_as_it_was_executed(bare_project: Project) -> None:
    path = notebook(bare_project, PARAMETERS, "print('so far')", "int('seven')", BODY)
    with pytest.raises(StageError, match=r"clean\.ipynb.*[\s\S]*ValueError"):
        bare_project.prepare(steps=[path])
    (kept,) = kept_notebooks(bare_project)
    assert "so far" in kept.read_text()
    assert not (bare_project.root / "data").exists()


def test_a_notebook_that_writes_nothing_is_named(bare_project: Project) -> None:
    path = notebook(bare_project, PARAMETERS, "1 + 1")
    with pytest.raises(StageError, match=r"did not write its output\n.*parameter output"):
        bare_project.prepare(steps=[path])


def kept_notebooks(project: Project) -> list[Path]:
    return list((project.root / ".mlpipe/runs").rglob("*.ipynb"))
