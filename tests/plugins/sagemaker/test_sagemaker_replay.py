"""``mlpipe replay``: a job of the emulated SageMaker's, run again here."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from mlpipe import StageError, UserError
from mlpipe_awstest import Aws
from mlpipe_sagemaker.replaying import find
from tests.plugins.sagemaker.training_project import Project, aws_target, saving, wheel

FAILS = """
    import argparse, os, pathlib
    import helper
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int)
    args = parser.parse_args()
    rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
    print("depth", args.depth, "rows", rows.strip(), helper.NAME, flush=True)
    assert os.path.exists("/nowhere"), "the same mistake"
"""


def replay(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mlpipe", "replay", *arguments],
        cwd=project.root,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_failed_job_fails_here_in_the_same_way(project: Project, cloud: Aws) -> None:
    project.write({"rows.csv": "1,2\n", "helper.py": "NAME = 'helped'\n"})
    with pytest.raises(StageError):
        project.train(
            FAILS,
            inputs={"train": project.root / "rows.csv"},
            hyperparameters={"depth": 4},
            target=aws_target(),
        )
    (project.root / "rows.csv").write_text("changed since")
    (project.root / "helper.py").unlink()
    done = replay(project, "test-run", "forest")
    assert done.returncode == 1
    assert "depth 4 rows 1,2 helped" in done.stdout
    assert "AssertionError: the same mistake" in done.stderr
    assert (project.root / "replay-test-forest" / "data" / "train" / "rows.csv").is_file()
    again = replay(project, "test", "forest")
    assert again.returncode == 2
    assert "replay-test-forest: is not empty" in again.stderr


def test_a_trial_of_a_tuning(project: Project, cloud: Aws) -> None:
    script = saving(
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=float)
        print("loss:", parser.parse_args().x)
        """
    )
    space: dict[str, Any] = {"x": {"type": "float", "low": 0.1, "high": 1}}
    tuning = project.tune(script, space=space, budget={"trials": 2}, target=aws_target())
    best = tuning.result.values["hyperparameters"]["x"]
    done = replay(project, "test-run", "search", "--into", "again")
    assert done.returncode == 0, done.stderr
    assert f"loss: {best}" in done.stdout
    assert (project.root / "again" / "ml" / "model" / "model.txt").read_text() == "model"
    trials = json.loads(tuning.output("trials").read_text())["trials"]
    worst = max(trials, key=lambda trial: trial["objective"])
    other = replay(project, "test-run", "search", "--into", "other", "--job", worst["job"])
    assert f"loss: {worst['parameters']['x']}" in other.stdout


def note(project: Project, name: str, **facts: Any) -> None:
    folder = project.root / ".mlpipe" / "sagemaker" / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    told = {"job": name, "kind": "training", "stage": "fit", "program": "train.py", "target": {}}
    (folder / f"{name}.json").write_text(json.dumps({**told, **facts}))


def test_the_beginning_of_a_name_must_be_enough(project: Project) -> None:
    note(project, "a", run="7f3a", time=1)
    note(project, "b", run="7f3b", time=2)
    note(project, "c", run="7f3b", time=3)  # the second attempt of the same stage
    (project.root / ".mlpipe" / "sagemaker" / "jobs" / "d.json").write_text("{")
    assert find(project.root, "7f3b", "fit")["job"] == "c"
    with pytest.raises(UserError, match="may be several runs: 7f3a, 7f3b"):
        find(project.root, "7f3", "fit")


def test_a_run_that_followed_a_job_may_name_it(project: Project) -> None:
    note(project, "a", run="9c01", followed=["7f3a"], time=1)
    assert find(project.root, "7f3a", "fit")["job"] == "a"
    assert find(project.root, "9", "fit")["job"] == "a"


def test_there_is_no_such_job(project: Project, cloud: Aws) -> None:
    done = replay(project, "7f3a", "forest")
    assert done.returncode == 2
    assert 'run "7f3a" made no job at SageMaker for a stage "forest"' in done.stderr


def test_requirements_are_installed_on_demand(project: Project, cloud: Aws) -> None:
    name = wheel(project.root / "job", "hello").name
    project.write({"job/requirements.txt": f"./{name}\n"})
    script = saving("import greeting, sys\nprint(greeting.WORDS, 'with', sys.prefix)")
    project.train(script, script="job/train.py", source_dir="job", target=aws_target())
    without = replay(project, "test-run", "forest")
    assert without.returncode == 1
    assert "not installed: its requirements.txt; --requirements does" in without.stderr
    done = replay(project, "test-run", "forest", "--into", "again", "--requirements")
    assert done.returncode == 0, done.stderr
    assert f"hello with {project.root}/again/state/environments/" in done.stdout


def test_there_are_no_requirements(project: Project, cloud: Aws) -> None:
    project.train(saving(""), target=aws_target())
    done = replay(project, "test-run", "forest", "--requirements")
    assert done.returncode == 2
    assert "has no requirements.txt" in done.stderr
