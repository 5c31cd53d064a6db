"""Tuning at the emulated SageMaker: what is asked for, what goes wrong, what is found again."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import mlpipe_aws
from mlpipe import StageError
from mlpipe.testing import make_stage
from mlpipe_awstest import REGION, ROLE, Aws
from mlpipe_sagemaker.awstuner import SagemakerTuner
from mlpipe_sagemaker.awstunerequest import tuning_name
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import Trial, Tuned
from mlpipe_sagemaker.training import describe
from tests.plugins.emulated_aws import BUCKET
from tests.plugins.sagemaker.training_project import IMAGE, Project, aws_target, saving

_CREATE = "CreateHyperParameterTuningJob"
_LIST = "ListTrainingJobsForHyperParameterTuningJob"
SCRIPT = saving(
    """
    import argparse, json, os, sys
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("-C", "--C", type=int)
    parser.add_argument("--kind")
    parser.add_argument("--fast", choices=["true", "false"])
    args = parser.parse_args()
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "told.json"), "w") as file:
        json.dump({"argv": sys.argv[1:], "hps": json.loads(os.environ["SM_HPS"])}, file)
    print(f"loss: {args.rate + args.C}", flush=True)
    """
)
SPACE: dict[str, Any] = {
    "rate": {"type": "float", "low": 0.001, "high": 1, "scale": "log"},
    "C": {"type": "int", "low": 1, "high": 4},
    "kind": {"type": "categorical", "values": ["a", "1", 2]},
}


@dataclass
class Tuning:
    """A tuning of a project's script, and what was told of it."""

    project: Project
    script: str = SCRIPT
    name: str = "best"
    settings: Mapping[str, Any] = field(default_factory=dict)
    told: list[Trial] = field(default_factory=list)

    def config(self) -> TuneConfig:
        facts = {
            "script": "train.py",
            "image": IMAGE,
            "hyperparameters": {"fast": True},
            "metrics": {"loss": "loss: ([0-9.]+)"},
            "objective": "loss",
            "direction": "minimize",
            "space": SPACE,
            "budget": {"trials": 2, "parallel": 2},
            "strategy": "random",
            "seed": 7,
        }
        return TuneConfig.model_validate({**facts, **self.settings})

    def run(self, earlier: tuple[Trial, ...] = (), **target: Any) -> Tuned:
        self.project.write({"train.py": self.script})
        stage = make_stage(self.project.root, "tune", name=self.name, target=aws_target(**target))
        job = describe(self.config(), stage.stage)
        tuner = SagemakerTuner(mlpipe_aws.settings(stage.stage.target))
        return tuner.tune(job, self.config(), earlier, self.told.append)


def asked(cloud: Aws) -> Any:
    """Give the one request for a tuning job."""
    ((_, _, request),) = cloud.calls(_CREATE)
    return request


def test_the_best_trials_model_comes_back(project: Project, cloud: Aws) -> None:
    tuning = Tuning(project)
    tuned = tuning.run(tags={"team": "fraud"})
    assert [trial.number for trial in tuned.trials] == [0, 1]
    assert sorted(tuning.told, key=lambda trial: trial.number) == list(tuned.trials)
    assert tuned.best == min(tuned.trials, key=lambda trial: trial.objective or 0.0)
    for trial in tuned.trials:
        assert trial.state == "complete"
        assert trial.objective == trial.metrics["loss"]
        assert [type(trial.parameters[name]) for name in ("rate", "C")] == [float, int]
        assert trial.parameters["kind"] in ("a", "1", 2)
        assert trial.job.startswith("test-best-")
        assert trial.finished >= trial.started > 0
    request = asked(cloud)
    assert request["HyperParameterTuningJobName"] == tuned.values["tuning_job"] == "test-best"
    config = request["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Random"
    assert config["RandomSeed"] == 7
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2}
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert {each["Key"] for each in request["Tags"]} == {"team", "mlpipe:run", "mlpipe:stage"}
    assert "WarmStartConfig" not in request
    noted = json.loads((project.root / ".mlpipe/sagemaker/jobs/test-best.json").read_text())
    assert (noted["kind"], noted["job"]) == ("tuning", "test-best")
    assert_told_as_here(tuned)


def assert_told_as_here(tuned: Tuned) -> None:
    """See that the script was told what a script on this machine is told."""
    from mlpipe_sagemaker.environment import arguments

    told = json.loads((tuned.finished.model_dir / "told.json").read_text())
    values = {"fast": True, **tuned.best.parameters}
    assert told == {"argv": arguments(values), "hps": values}
    assert tuned.finished.values["job"] == tuned.best.job
    assert tuned.finished.values["model_uri"].endswith(f"{tuned.best.job}/output/model.tar.gz")


@pytest.mark.parametrize(("operation", "kind"), [(_LIST, "throttling"), (_CREATE, "lost-response")])
def test_passing_faults_while_tuning(
    project: Project, cloud: Aws, operation: str, kind: str
) -> None:
    cloud.fault(operation, kind, times=2 if operation == _LIST else 1)
    tuning = Tuning(project, settings={"budget": {"trials": 1}})
    assert len(tuning.run().trials) == 1
    jobs = cloud.client("sagemaker").list_hyper_parameter_tuning_jobs()
    assert len(jobs["HyperParameterTuningJobSummaries"]) == 1


def test_anothers_tuning_of_the_same_name_is_not_taken_for_ours(
    project: Project, cloud: Aws
) -> None:
    one = {"budget": {"trials": 1}}
    Tuning(project, settings=one).run()
    shutil.rmtree(project.root / ".mlpipe")  # another clone, another user of the account
    wider = {**one, "space": {**SPACE, "C": {"type": "int", "low": 1, "high": 5}}}
    for settings, script in ((wider, SCRIPT), (one, f"{SCRIPT}\n# changed\n")):
        with pytest.raises(StageError, match="another tuning job of this name"):
            Tuning(project, script, settings=settings).run()
    assert list((project.root / ".mlpipe" / "sagemaker" / "jobs").iterdir()) == []
    assert len(Tuning(project, settings=one).run().trials) == 1


RECIPE = f"""
name: p
targets: {{aws: {{region: {REGION}, bucket: {BUCKET}, role: "{ROLE}"}}}}
stages:
  best:
    uses: sagemaker.tune
    with:
      script: train.py
      image: image:1
      hyperparameters: {{fast: true}}
      metrics: {{loss: "loss: ([0-9.]+)"}}
      objective: loss
      direction: minimize
      space: {json.dumps(SPACE)}
      strategy: random
      budget: {{trials: 2, parallel: 1}}
"""


def waiting(go: Path) -> str:
    """Give a script whose second and later trials wait for a file."""
    first = go.with_name("first")
    return SCRIPT.replace(
        "import argparse,",
        f"""import pathlib, time
first, go = pathlib.Path({str(first)!r}), pathlib.Path({str(go)!r})
while first.exists() and not go.exists():
    time.sleep(0.05)
first.touch()
import argparse,""",
    )


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def mlpipe(project: Project) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mlpipe", "run", "p", "--target", "aws"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def cut_off(project: Project, cloud: Aws, go: Path, how: signal.Signals) -> None:
    """End a run while its second trial is under way."""
    project.write({"p.yaml": RECIPE, "train.py": waiting(go)})
    (project.root / ".mlpipe").mkdir()
    sagemaker = cloud.client("sagemaker")
    process = mlpipe(project)

    def second_runs() -> bool:
        assert process.poll() is None, process.communicate()[0]
        jobs = sagemaker.list_training_jobs()["TrainingJobSummaries"]
        done = [each for each in jobs if each["TrainingJobStatus"] == "Completed"]
        return len(jobs) == 2 and len(done) == 1

    try:
        wait_for(second_runs)
        process.send_signal(how)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()


def continued(project: Project) -> list[dict[str, Any]]:
    """Run again; give the trials."""
    process = mlpipe(project)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (path,) = project.root.glob(".mlpipe/artifacts/**/trials.json")
    found: list[dict[str, Any]] = json.loads(path.read_text())["trials"]
    return found


def test_a_tuning_that_was_killed_is_found_again(
    project: Project, cloud: Aws, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cut_off(project, cloud, go, signal.SIGKILL)
    go.touch()
    trials = continued(project)
    assert len(cloud.calls(_CREATE)) == 1
    assert [(trial["number"], trial["state"]) for trial in trials] == [
        (0, "complete"),
        (1, "complete"),
    ]


def test_a_tuning_that_was_stopped_is_continued(
    project: Project, cloud: Aws, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cut_off(project, cloud, go, signal.SIGINT)
    sagemaker = cloud.client("sagemaker")

    def stopped() -> bool:
        found = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
        return [each["HyperParameterTuningJobStatus"] for each in found] == ["Stopped"]

    wait_for(stopped)
    go.touch()
    trials = continued(project)
    assert [(trial["number"], trial["state"]) for trial in trials] == [
        (0, "complete"),
        (1, "stopped"),
        (2, "complete"),
    ]
    (_, _, first), (_, _, second) = cloud.calls(_CREATE)
    limits = second["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == 1
    parent = first["HyperParameterTuningJobName"]
    assert second["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }


def test_tuning_starts_warm(project: Project, cloud: Aws) -> None:
    budget = {"trials": 1}
    first = Tuning(project, settings={"budget": budget}).run()
    again = {"budget": budget, "warm_start": "transfer"}
    Tuning(project, name="again", settings=again).run(first.trials)
    _, (_, _, request) = cloud.calls(_CREATE)
    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": first.values["tuning_job"]}
        ],
        "WarmStartType": "TransferLearning",
    }


def test_trials_of_this_machine_are_no_warm_start(project: Project, cloud: Aws) -> None:
    settings = {"warm_start": "identical"}
    for job in ("", "nobody-knows-this"):
        earlier = (Trial(0, "complete", {"rate": 0.1, "C": 1, "kind": "a"}, 1.1, job=job),)
        with pytest.raises(StageError, match="was not made by SageMaker") as caught:
            Tuning(project, settings=settings).run(earlier)
        assert caught.value.where == "inputs.earlier"
    assert cloud.calls(_CREATE) == []


def test_a_failed_trial_does_not_end_the_tuning(project: Project, cloud: Aws) -> None:
    cloud.doom("capacity")
    tuning = Tuning(project)
    tuned = tuning.run()
    assert sorted(trial.state for trial in tuned.trials) == ["complete", "failed"]
    (failed,) = (trial for trial in tuned.trials if trial.state == "failed")
    assert "CapacityError" in failed.error
    assert failed.objective is None


def test_when_no_trial_ends_well_the_first_ones_words_are_said(
    project: Project, cloud: Aws
) -> None:
    script = "import sys\nprint('the data is empty')\nsys.exit(3)"
    with pytest.raises(StageError, match="no trial ended well") as caught:
        Tuning(project, script, settings={"budget": {"trials": 1}}).run()
    assert "the data is empty" in str(caught.value)
    silent = saving("print('nothing to see')")
    with pytest.raises(StageError, match='no line of the log had a number for "loss"'):
        Tuning(project, silent, name="silent", settings={"budget": {"trials": 1}}).run()


@pytest.mark.parametrize(
    ("settings", "target", "where", "said"),
    [
        (
            {"budget": {"trials": 100, "money": 1}, "compute": {"instance": "ml.m5.xlarge"}},
            {},
            "with.budget.money",
            r"may cost \d+\.\d\d, more than 1",
        ),
        (
            {"budget": {"money": 1}, "compute": {"instance": "ml.x9.huge"}},
            {},
            "with.budget.money",
            "does not know",
        ),
        ({"budget": {"time": "1m"}}, {}, "with.budget.time", "between 2 minutes"),
        ({"hyperparameters": {"note": "it's"}}, {}, "with.hyperparameters.note", "single quotes"),
        ({"hyperparameters": {"note": "1e3"}}, {}, "with.hyperparameters.note", r"as 1000\.0"),
        ({"strategy": "hyperband"}, {}, "with.hyperparameters", "how many epochs"),
        (
            {"space": {"x": {"type": "float", "low": 0, "high": 1, "step": 0.5}}},
            {},
            "with.space.x.step",
            "without steps",
        ),
        ({}, {"role": None}, "targets.aws.role", "is missing"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(
    project: Project,
    cloud: Aws,
    settings: dict[str, Any],
    target: dict[str, Any],
    where: str,
    said: str,
) -> None:
    with pytest.raises(StageError, match=said) as caught:
        Tuning(project, settings=settings).run(**target)
    assert caught.value.where == where
    assert cloud.calls("PutObject") == cloud.calls(_CREATE) == []


def test_the_money_allowed_is_enough(project: Project, cloud: Aws) -> None:
    budget = {"trials": 1, "time": "10m", "money": 1}
    settings = {"budget": budget, "early_stopping": True, "compute": {"max_runtime": "20m"}}
    assert len(Tuning(project, settings=settings).run().trials) == 1
    config = asked(cloud)["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"]["MaxRuntimeInSeconds"] == 600
    assert config["TrainingJobEarlyStoppingType"] == "Auto"


def test_a_grid_is_asked_for_as_categories(project: Project, cloud: Aws) -> None:
    space = {"C": {"type": "int", "low": 1, "high": 2}}
    script = SCRIPT.replace("args.rate + ", "")
    tuned = Tuning(project, script, settings={"space": space, "strategy": "grid"}).run()
    assert sorted(trial.parameters["C"] for trial in tuned.trials) == [1, 2]
    assert tuned.best.parameters == {"C": 1}
    assert asked(cloud)["HyperParameterTuningJobConfig"]["ParameterRanges"] == {
        "CategoricalParameterRanges": [{"Name": "C", "Values": ["1", "2"]}]
    }


def test_names_of_tuning_jobs_are_short() -> None:
    assert tuning_name("churn-best-r1") == "churn-best-r1"
    long = "a-recipe-with-a-long-name-and-stage-ab12"
    names = {tuning_name(long), tuning_name(long, 1), tuning_name(f"{long[:-1]}3")}
    assert len(names) == 3
    assert all(len(name) <= 32 for name in names)
    assert tuning_name(long) == tuning_name(long)


def test_an_algorithm_is_asked_for_in_its_own_terms(project: Project, cloud: Aws) -> None:
    settings = {
        "script": None,
        "image": None,
        "algorithm": "xgboost:1.7-1",
        "metrics": {},
        "objective": "validation:rmse",
        "hyperparameters": {"objective": "reg:squarederror", "num_round": 9},
        "space": {"booster": {"type": "categorical", "values": ["gbtree", "dart"]}},
        "budget": {"trials": 1},
    }
    # The emulated image has no algorithm in it.
    with pytest.raises(StageError, match="no trial ended well"):
        Tuning(project, settings=settings).run()
    request = asked(cloud)
    definition = request["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"] == {
        "objective": "reg:squarederror",
        "num_round": "9",
    }
    assert definition["AlgorithmSpecification"]["TrainingImage"].endswith("xgboost:1.7-1")
    ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert ranges["CategoricalParameterRanges"][0]["Values"] == ["gbtree", "dart"]
