"""What of a notebook makes a stage run again, and how that is named."""

from pathlib import Path
from typing import Any

import pytest

from mlpipe.notebooks.code import parse
from mlpipe.plan.modules import Facts
from mlpipe.plan.notebooks import read_notebook
from tests.framework.notebook_files import Cell, make_notebook, save_notebook, write_notebook

RECIPE = """
name: p
stages:
  clean:
    uses: python.prepare
    with: {notebook: notebooks/clean.ipynb, outputs: {out: data/out.txt}}
"""

CELLS: tuple[Cell, ...] = (
    ("out = 'out.txt'", "parameters"),
    "%load_ext autoreload\n# set up\nfrom helpers import double",
    "value = double(21)",
    "open(out, 'w').write(str(value))",
)
NOTEBOOK = "notebooks/clean.ipynb"


@pytest.fixture
def cleaned(project: Any) -> Any:
    """A project whose notebook has been executed, in a kernel as users have it."""
    project.write("p.yaml", RECIPE)
    project.write("helpers.py", "def double(x):\n    return 2 * x\n")
    write_notebook(project.root / NOTEBOOK, *CELLS)
    assert project.run() == {"clean": "done"}
    assert project.read("data/out.txt") == "42"
    return project


def why(project: Any) -> list[str]:
    lines: list[str] = project.mlpipe("why", "p", "clean").out.splitlines()
    return [line.strip() for line in lines]


def write_cells(project: Any, *cells: Cell) -> None:
    write_notebook(project.root / NOTEBOOK, *cells)


def test_what_is_no_code_is_no_change_and_code_is_named(cleaned: Any) -> None:
    notebook = make_notebook([*CELLS, "", "# later"], language_info={"name": "python"})
    notebook["cells"].insert(
        0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Cleaning"}
    )
    notebook["cells"][3]["source"] = "# the answer\nvalue  =  double( 21 )"
    notebook["cells"][3]["execution_count"] = 7
    notebook["cells"][3]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42"}]
    notebook["cells"][3]["metadata"] = {"scrolled": True, "tags": ["seen"]}
    save_notebook(cleaned.root / NOTEBOOK, notebook)
    assert why(cleaned)[1:] == [f"{NOTEBOOK} cell 5 is new"]
    del notebook["cells"][-1]
    save_notebook(cleaned.root / NOTEBOOK, notebook)
    assert cleaned.verdicts() == {"clean": "cached"}

    write_cells(cleaned, *CELLS[:2], "value = double(22)", CELLS[3])
    assert why(cleaned) == ["clean runs because", f"{NOTEBOOK} cell 3 changed"]
    write_cells(cleaned, CELLS[0], "import json", *CELLS[1:])
    assert why(cleaned)[1:] == [f"{NOTEBOOK} cell 2 is new"]
    write_cells(cleaned, *CELLS[:2], CELLS[3])
    assert why(cleaned)[1:] == [f"{NOTEBOOK} cell 3 is gone"]
    write_cells(cleaned, "out = 'out.txt'", *CELLS[1:])
    assert why(cleaned)[1:] == [f"{NOTEBOOK} cell 1 changed"]
    (cleaned.root / NOTEBOOK).write_text("{}")
    assert why(cleaned)[1:] == ["helpers.py is gone", f"{NOTEBOOK} changed"]

    write_cells(cleaned, *CELLS)
    cleaned.write("helpers.py", "def double(x):\n    return x + x\n")
    assert why(cleaned)[1:] == [f"{NOTEBOOK} → helpers.py:double() changed (line 1)"]
    cleaned.write("notebooks/helpers.py", "def double(x):\n    return 0\n")
    cleaned.write("helpers.py", "def double(x):\n    return 2 * x\n")
    assert cleaned.verdicts() == {"clean": "cached"}


def test_packages_that_cells_import_count(project: Any) -> None:
    project.write("p.yaml", RECIPE)
    write_cells(project, "%matplotlib inline\nimport pytest, json", "%%time\nimport pydantic")
    (stage,) = project.plan()
    assert stage["verdict"] == "run"
    path = project.root / NOTEBOOK
    assert {name for _, name in Facts.from_json(read_notebook(path)).imports} == {
        "json",
        "pydantic",
        "pytest",
    }


def test_scripts_that_cells_run_count(cleaned: Any) -> None:
    cleaned.write("scripts/extra.py", "x = 1\n")
    write_cells(cleaned, *CELLS, "%run -i ./scripts/extra.py 1")
    cleaned.run()
    cleaned.write("scripts/extra.py", "x = 2\n")
    assert why(cleaned)[1:] == [f"{NOTEBOOK} → scripts/extra.py changed (outside of functions)"]


def digest(*cells: Cell, folder: Path) -> str:
    path = write_notebook(folder / "n.ipynb", *cells)
    return Facts.from_json(read_notebook(path)).digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("!ls", "!ls -l"),
        ("%matplotlib inline", "%matplotlib agg"),
        ("%%bash\nls", "%%bash\nls -l"),
        ("%%time\nx = 1", "%%time\nx = 2"),
        ("x = !ls", "x = '!ls'"),
        ("x = !ls", "x = !pwd"),
        ("x = (1\n  % 3)\n%who", "x = (1\n  % 4)\n%who"),
        ("!pip install \\\n  a", "!pip install \\\n  b"),
        ("f?", "g?"),
        ("await f()", "await g()"),
        ("this is no code", "nor is this"),
    ],
)
def test_magics_count(before: str, after: str, tmp_path: Path) -> None:
    assert digest(before, folder=tmp_path) != digest(after, folder=tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "# why\nx  = 1"),
        ("!ls\nx = 1", "!ls\nx = 1  # why"),
        ("%%time\nx = 1", "%%time\n# why\nx = 1"),
        ("for i in (1, 2):\n    !echo {i}\n    y = (i\n      % 3)",
         "for i in (1, 2):\n    !echo {i}\n    y = (i % 3)"),
        ("await f()", "await f( )"),
    ],
)  # fmt: skip
def test_comments_and_layout_do_not_count(before: str, after: str, tmp_path: Path) -> None:
    assert digest(before, folder=tmp_path) == digest(after, folder=tmp_path)


def test_the_order_of_cells_counts(tmp_path: Path) -> None:
    assert digest("a = 1", "b = 2", folder=tmp_path) != digest("b = 2", "a = 1", folder=tmp_path)


@pytest.mark.parametrize("source", ["def f(:", "x = = 1", "\0", "(" * 5000])
def test_what_is_no_python_does_not_parse(source: str) -> None:
    assert parse(source) is None
