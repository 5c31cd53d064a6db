"""Tuning on this machine: what a kill leaves, when it ends, what it tries."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from mlpipe import StageError
from tests.plugins.sagemaker.training_project import Project

SQUARE = """
    import argparse, json, os
    from pathlib import Path
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--kind", default="")
    parser.add_argument("--depth", type=int)
    args = parser.parse_args()
    print(f"loss: {(args.x - 0.5) ** 2}")
    Path(os.environ["SM_MODEL_DIR"], "args.json").write_text(json.dumps(vars(args)))
"""
X: dict[str, Any] = {"type": "float", "low": 0, "high": 1}


def trials(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["trials"]
    return found


def test_the_same_seed_tries_the_same(project: Project) -> None:
    tried = []
    for name in ("one", "two"):
        tuning = project.tune(SQUARE, space={"x": X}, budget={"trials": 4}, name=name)
        tried.append([each["parameters"] for each in trials(tuning.output("trials"))])
    assert tried[0] == tried[1]


def test_bayesian_search_learns(project: Project) -> None:
    tuning = project.tune(SQUARE, space={"x": X}, budget={"trials": 20})
    found = [each["objective"] for each in trials(tuning.output("trials"))]
    assert mean(found[10:]) < mean(found[:10])  # the first ten are random


def test_parameters_under_a_condition(project: Project) -> None:
    space = {
        "x": X,
        "kind": {"type": "categorical", "values": ["tree", "line"]},
        "depth": {"type": "int", "low": 1, "high": 3, "when": {"kind": "tree"}},
    }
    tuning = project.tune(SQUARE, space=space, budget={"trials": 8}, strategy="random")
    found = [each["parameters"] for each in trials(tuning.output("trials"))]
    assert {each["kind"] for each in found} == {"tree", "line"}
    assert all(("depth" in each) == (each["kind"] == "tree") for each in found)


def test_hopeless_trials_are_ended_early(project: Project) -> None:
    script = """
        import argparse, os, time
        from pathlib import Path
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=int)
        x = parser.parse_args().x
        for step in range(6):
            print(f"loss: {x + 1 / (step + 1)}", flush=True)
            time.sleep(0.05 if x < 4 else 30 * (step > 2))
        Path(os.environ["SM_MODEL_DIR"], "m").write_text("m")
    """
    tuning = project.tune(
        script,
        space={"x": {"type": "int", "low": 0, "high": 4}},
        strategy="grid",
        budget={"trials": 5},
        early_stopping=True,
    )
    states = [each["state"] for each in trials(tuning.output("trials"))]
    assert states == ["complete", "complete", "complete", "pruned", "pruned"]


def test_the_budget_of_time_ends_it(project: Project) -> None:
    tuning = project.tune(SQUARE, space={"x": X}, budget={"trials": 700, "parallel": 2, "time": 3})
    assert 1 <= len(trials(tuning.output("trials"))) < 300


def test_when_the_first_all_fail_the_rest_is_left_alone(project: Project) -> None:
    with pytest.raises(StageError, match="no trial ended well") as caught:
        project.tune("raise KeyError('colour')", space={"x": X}, budget={"trials": 50})
    assert "KeyError: 'colour'" in str(caught.value)


def test_an_objective_that_is_never_printed(project: Project) -> None:
    with pytest.raises(StageError, match='no line of the log had a number for "loss"'):
        project.tune("print('nothing')", space={"x": X}, budget={"trials": 2})


def test_the_page_needs_nothing_from_elsewhere(project: Project) -> None:
    tuning = project.tune(SQUARE, space={"x": X}, budget={"trials": 4})
    page = tuning.output("plots").read_text()
    head = page.split("<script", 1)[0]
    assert "4 trials to minimize loss" in head
    assert 'src="http' not in page
    assert "<link" not in page


RECIPE = """
name: p
stages:
  best:
    uses: sagemaker.tune
    with:
      script: train.py
      metrics: {loss: "loss: ([0-9.e-]+)"}
      objective: loss
      direction: minimize
      space: {x: {type: float, low: 0, high: 1}}
      seed: 3
      budget: {trials: 8, parallel: 2}
"""
COUNTING = """
    import argparse, os, time
    from pathlib import Path
    parser = argparse.ArgumentParser()
    parser.add_argument("--x")
    x = parser.parse_args().x
    root = Path(os.environ["ROOT"])
    with open(root / "begun", "a") as stream:
        stream.write(x + "\\n")
    time.sleep(0.2)
    print("loss:", x)
    Path(os.environ["SM_MODEL_DIR"], "x").write_text(x)
"""


def run(project: Project) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mlpipe", "run", "p"],
        cwd=project.root,
        env={**os.environ, "ROOT": str(project.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(project: Project) -> set[int]:
    """Give the numbers of the trials that Optuna's database has as complete."""
    import sqlite3

    found: set[int] = set()
    for path in (project.root / ".mlpipe" / "sagemaker" / "studies").glob("*/study.db"):
        connection = sqlite3.connect(path)
        try:
            rows = connection.execute("SELECT number FROM trials WHERE state = 'COMPLETE'")
            found |= {int(number) for (number,) in rows}
        except sqlite3.OperationalError:
            pass
        finally:
            connection.close()
    return found


def test_a_killed_tuning_loses_no_finished_trial_and_repeats_none(project: Project) -> None:
    project.write({"p.yaml": RECIPE, "train.py": COUNTING})
    (project.root / ".mlpipe").mkdir(exist_ok=True)
    first = run(project)
    until = time.monotonic() + 60
    while len(told(project)) < 3:
        assert time.monotonic() < until
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    finished = told(project)
    second = run(project)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, out + err
    begun = (project.root / "begun").read_text().split()
    # What was under way may have run twice; of what had ended nothing did.
    assert len(begun) <= 8 + 2
    assert len(set(begun)) == 8
    assert len(told(project)) == 8
    assert finished < told(project)
    best = min(map(float, begun))
    assert f"loss {best:.4g}" in err + out
