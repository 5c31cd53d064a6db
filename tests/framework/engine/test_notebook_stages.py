"""Stages that are notebooks, in a real run."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.framework.notebook_files import outputs_of, write_notebook

RECIPE = """
name: p
stages:
  raw:
    uses: shell.prepare
    with: {command: "echo 20 > {outputs.number}", outputs: {number: data/raw.txt}}
  clean:
    uses: python.prepare
    inputs: {raw: raw.number}
    with:
      notebook: notebooks/clean.ipynb
      parameters: {more: 1}
      outputs: {out: data/out.txt}
    gate: {rows: ">= 3"}
"""

PARAMETERS = ("raw = out = results = None\nmore = 0", "parameters")
WORK = """
import json
from pathlib import Path
Path(out).write_text(str(int(Path(raw).read_text()) + more))
Path(results).write_text(json.dumps({"rows": 3, "note": "fine"}))
"""


def kept(project: Any) -> list[Path]:
    return sorted((project.root / ".mlpipe" / "runs").glob("*/clean.*/clean.ipynb"))


def test_a_notebook_is_a_stage_and_is_kept(project: Any) -> None:
    project.write("p.yaml", RECIPE)
    write_notebook(project.root / "notebooks/clean.ipynb", PARAMETERS, "print('hello')", WORK)
    assert project.run() == {"raw": "done", "clean": "done"}
    assert project.read("data/out.txt") == "21"
    (executed,) = kept(project)
    assert outputs_of(executed)[2] == ["hello\n"]
    run = executed.parent.parent.name
    assert "hello" in project.mlpipe("logs", run, "clean").out
    assert project.verdicts() == {"raw": "cached", "clean": "cached"}

    write_notebook(project.root / "notebooks/clean.ipynb", PARAMETERS, "print('hello')\n1 / 0")
    answer = project.mlpipe("run", "p")
    assert answer.code == 1
    assert "notebooks/clean.ipynb, cell 2  ZeroDivisionError: division by zero" in answer.err
    assert "The cell begins with: print('hello')" in answer.err
    (failed,) = set(kept(project)) - {executed}
    assert "ZeroDivisionError" in failed.read_text()


def test_a_notebook_that_is_interrupted_is_kept(project: Any) -> None:
    project.write("p.yaml", RECIPE)
    work = "open('begun', 'w')\nimport time\ntime.sleep(600)"
    write_notebook(project.root / "notebooks/clean.ipynb", PARAMETERS, "print('hello')", work)
    process = project.start("run", "p")
    deadline = time.monotonic() + 120
    while not (project.root / "begun").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 130
    (executed,) = kept(project)
    assert outputs_of(executed)[2] == ["hello\n"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("{}", 'exactly one of "function" and "notebook" says what the stage does'),
        (
            "{notebook: n.ipynb, function: m:f}",
            'exactly one of "function" and "notebook" says what the stage does',
        ),
        ("{notebook: n.ipynb, args: {a: 1}}", '"args" are for functions'),
        ("{function: m:f, parameters: {a: 1}}", '"parameters" are for notebooks'),
        ("{notebook: n.py}", "'n.py' is no notebook"),
        ("{notebook: m.ipynb}", 'there is no file "m.ipynb"'),
        ("{notebook: folder.ipynb}", '"folder.ipynb" is a folder, not a notebook'),
        ("{notebook: n.ipynb, outputs: {o: n.ipynb}}", '"n.ipynb" is a source of this recipe'),
        (
            "{notebook: n.ipynb, outputs: {o: o}, parameters: {o: 1}}",
            '"o" is given twice, as two of input, output and parameter; each becomes a parameter',
        ),
        ("{notebook: n.ipynb, outputs: {results: r.json}}", '"results" is where a notebook'),
    ],
)
def test_settings_that_cannot_be(settings: str, problem: str, project: Any) -> None:
    write_notebook(project.root / "n.ipynb", "1")
    (project.root / "folder.ipynb").mkdir()
    project.write("m.py", "def f():\n    pass\n")
    project.write(
        "p.yaml", f"name: p\nstages:\n  s:\n    uses: python.prepare\n    with: {settings}\n"
    )
    answer = project.mlpipe("plan", "p")
    assert answer.code == 2
    assert "p.yaml:5:" in answer.err
    assert problem in answer.err
