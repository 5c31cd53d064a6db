"""The example with a notebook, copied, run, committed and cloned."""

import json
from pathlib import Path

import pytest

from tests.shipped import Shipped


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The example in a Git repository of its own, run and committed."""
    project = Shipped(tmp_path_factory.mktemp("example"))
    project.take("examples/versioned_data")
    project.git("init", "-q")
    project.succeed("nbstripout", "--install")
    assert project.run("progression") == {"data": "done", "model": "done"}
    project.git("add", "-A")
    project.git("commit", "-qm", "First version")
    return project


def test_a_clone_with_its_data_pulled_has_only_hits(example: Shipped, tmp_path: Path) -> None:
    clone = Shipped(tmp_path / "clone")
    example.git("clone", "-q", ".", str(clone.root))
    clone.succeed("dvc", "pull")
    assert clone.run("progression") == {"data": "cached", "model": "cached"}
    for name in ("train.csv", "test.csv"):
        assert (clone.root / "data" / name).read_bytes() == (
            example.root / "data" / name
        ).read_bytes()


def test_the_executed_notebook_is_kept_and_its_source_left_alone(example: Shipped) -> None:
    (executed,) = example.root.glob(".mlpipe/runs/*/data.1/step-1-clean.ipynb")
    cells = json.loads(executed.read_text())["cells"]
    texts = ["".join(each.get("text", "")) for cell in cells for each in cell.get("outputs", [])]
    assert "442 rows became 442\n" in texts
    assert example.git("status", "--short", "notebooks") == ""


def test_a_notebook_that_was_run_by_hand_is_no_change(example: Shipped, tmp_path: Path) -> None:
    clone = Shipped(tmp_path / "clone")
    example.git("clone", "-q", ".", str(clone.root))
    clone.succeed("nbstripout", "--install")
    clone.succeed("dvc", "pull")
    notebook = "notebooks/clean.ipynb"
    before = (clone.root / notebook).read_bytes()
    clone.succeed("papermill", notebook, notebook, "--kernel", "python3")
    assert (clone.root / notebook).read_bytes() != before
    plan = json.loads(clone.mlpipe("plan", "progression", "--json"))
    assert {each["stage"]: each["verdict"] for each in plan} == {
        "data": "cached",
        "model": "cached",
    }


def test_another_parameter_makes_another_version(example: Shipped, tmp_path: Path) -> None:
    clone = Shipped(tmp_path / "clone")
    example.git("clone", "-q", ".", str(clone.root))
    clone.succeed("dvc", "pull")
    changed = ("--set", "params.years_at_least=30")
    assert clone.run("progression", *changed) == {"data": "done", "model": "done"}
    difference = json.loads(clone.mlpipe("data", "diff", "train", "--json"))
    assert difference["before"]["rows"] > difference["after"]["rows"]
