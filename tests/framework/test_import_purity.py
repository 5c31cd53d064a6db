"""What --help, plan and plugins' entry modules must never import, seen in sys.modules at exit."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.framework.notebook_files import write_notebook

SDKS = frozenset(
    {
        "boto3",
        "botocore",
        "IPython",
        "dvc",
        "jupyter_client",
        "mlflow",
        "nbformat",
        "numpy",
        "pandas",
        "papermill",
        "pyarrow",
        "ray",
        "sagemaker",
        "scipy",
        "sklearn",
        "starlette",
        "uvicorn",
    }
)

#: Calls the command in this process and writes down what is imported when it ends.
COMMAND = """
import atexit, json, sys

def report(path=sys.argv.pop()):
    with open(path, "w") as file:
        json.dump(sorted(sys.modules), file)

atexit.register(report)
sys.argv[0] = "mlpipe"
from mlpipe.__main__ import main
sys.exit(main())
"""

RECIPE = """
name: small
stages:
  first:
    uses: shell.prepare
    with: {command: "echo 1 > {outputs.number}", outputs: {number: number.txt}}
  second:
    uses: python.evaluate
    inputs: {number: first.number}
    with: {function: "measure:measure"}
    gate: {value: ">= 1"}
  third:
    uses: python.check
    with: {notebook: look.ipynb}
"""

MEASURE = """
def measure(number):
    return {"value": float(number.read_text())}
"""


def imported_by(code: str, *arguments: str, cwd: Path) -> tuple[set[str], str]:
    """Run code in a fresh interpreter; give the top-level modules it had and what it wrote."""
    report = cwd / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, str(report)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(report.read_text())}, done.stdout


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "measure.py").write_text(MEASURE)
    write_notebook(tmp_path / "look.ipynb", "1 + 1")
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plugins", "list"]])
def test_commands_import_no_sdk(arguments: list[str], tmp_path: Path) -> None:
    modules, output = imported_by(COMMAND, *arguments, cwd=tmp_path)
    assert "mlpipe" in output or "dvc" in output
    assert not modules & SDKS


def test_help_imports_no_plugin(tmp_path: Path) -> None:
    modules, _ = imported_by(COMMAND, "--help", cwd=tmp_path)
    assert "mlpipe" in modules
    assert not {name for name in modules if name.startswith("mlpipe_")}


def test_plan_imports_no_sdk(small: Path) -> None:
    modules, output = imported_by(COMMAND, "plan", "small", cwd=small)
    assert "first" in output
    assert "second" in output
    assert not modules & SDKS


def test_plan_of_the_shipped_recipe_imports_no_sdk(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "recipes").symlink_to(repository / "recipes")
    modules, output = imported_by(COMMAND, "plan", "diagnosis", cwd=tmp_path)
    assert "mlflow.evaluate" in output or "quality" in output
    assert not modules & SDKS


def entry_modules() -> list[str]:
    return sorted(point.value for point in metadata.entry_points(group="mlpipe"))


def command_modules() -> list[str]:
    return sorted(point.module for point in metadata.entry_points(group="mlpipe.commands"))


@pytest.mark.parametrize("module", [*entry_modules(), *command_modules()])
def test_importing_a_plugin_imports_no_sdk(module: str, tmp_path: Path) -> None:
    code = f"""
import {module}, json, sys
open(sys.argv[1], "w").write(json.dumps(sorted(sys.modules)))
"""
    modules, _ = imported_by(code, cwd=tmp_path)
    assert module.split(".", maxsplit=1)[0] in modules
    assert not modules & SDKS


def test_every_first_party_plugin_is_looked_at(repository: Path) -> None:
    folders = {
        path.parent.name
        for path in repository.glob("plugins/*/pyproject.toml")
        if "[project.entry-points.mlpipe]" in path.read_text()
    }
    assert {module.removeprefix("mlpipe_") for module in entry_modules()} >= folders


def test_importing_mlpipe_reads_nothing(tmp_path: Path) -> None:
    code = """
import sys
before = set(sys.modules)
import mlpipe
import json
open(sys.argv[1], "w").write(json.dumps(sorted(set(sys.modules) - before)))
"""
    modules, _ = imported_by(code, cwd=tmp_path)
    assert "mlpipe" in modules
    assert not modules & (SDKS | {"pydantic", "pluggy", "typer", "rich", "yaml"})


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run"], ["plan", "absent"]])
def test_the_module_is_the_command(arguments: list[str], tmp_path: Path) -> None:
    command = str(Path(sys.executable).with_name("mlpipe"))
    answers = [
        subprocess.run(
            [*start, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        for start in ([command], [sys.executable, "-m", "mlpipe"])
    ]
    assert answers[0].stdout + answers[0].stderr
    assert (answers[0].returncode, answers[0].stdout, answers[0].stderr) == (
        answers[1].returncode,
        answers[1].stdout,
        answers[1].stderr,
    )
