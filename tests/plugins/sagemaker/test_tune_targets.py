"""What is true of a tuning wherever it runs: here, and at the emulated SageMaker."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlpipe import StageError, Target
from mlpipe_awstest import Aws
from tests.plugins.sagemaker.training_project import Project, aws_target

SCRIPT = """
    import argparse, json, os
    from pathlib import Path
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--C", default="")
    parser.add_argument("--flag", default="")
    parser.add_argument("--depth", type=int)
    args = parser.parse_args()
    print("C is", repr(args.C), "flag is", repr(args.flag))
    print(f"loss: {(args.x - 0.5) ** 2 + args.n / 100}")
    Path(os.environ["SM_MODEL_DIR"], "args.json").write_text(json.dumps(vars(args)))
"""
SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.001, "high": 1, "scale": "log"},
    "n": {"type": "int", "low": 1, "high": 4},
    "C": {"type": "categorical", "values": ["a b", "n/a", "007"]},
    "flag": {"type": "categorical", "values": [True, False]},
}


def model(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def test_the_best_model_is_the_output(project: Project, target: Target) -> None:
    tuning = project.tune(
        SCRIPT,
        space=SPACE,
        hyperparameters={"depth": 3},
        budget={"trials": 5, "parallel": 2},
        target=target,
    )
    result = tuning.result
    trials = json.loads(tuning.output("trials").read_text())
    assert [trial["number"] for trial in trials["trials"]] == [0, 1, 2, 3, 4]
    assert {trial["state"] for trial in trials["trials"]} == {"complete"}
    best = min(trials["trials"], key=lambda trial: trial["objective"])
    assert trials["best"] == best["number"]
    assert result.metrics == {"loss": best["objective"], "trials": 5.0}
    assert result.values["hyperparameters"] == {"depth": 3, **best["parameters"]}
    args = model(tuning.output("model"), "args.json")
    assert args["depth"] == 3
    assert (args["x"], args["n"]) == (best["parameters"]["x"], best["parameters"]["n"])
    assert args["C"] == best["parameters"]["C"]
    assert args["flag"] == json.dumps(best["parameters"]["flag"])
    assert type(best["parameters"]["flag"]) is bool
    assert model(tuning.output("model"), "mlpipe.json")["program"] == "train.py"
    told = tuning.probe.payloads("trial")
    assert sorted(trial["number"] for trial in told) == [0, 1, 2, 3, 4]
    page = tuning.output("plots").read_text()
    assert f"the best is number {best['number']} with" in page
    assert "5 trials" in result.summary


def test_trials_that_fail_do_not_end_it(project: Project, target: Target) -> None:
    script = SCRIPT.replace("    print(f", "    assert args.n > 1, 'too small'\n    print(f")
    tuning = project.tune(
        script,
        space={"x": SPACE["x"], "n": {"type": "categorical", "values": [1, 2, 3]}},
        budget={"trials": 8},
        strategy="random",
        target=target,
    )
    trials = json.loads(tuning.output("trials").read_text())["trials"]
    states = {trial["parameters"]["n"]: trial["state"] for trial in trials}
    assert states[1] == "failed"
    assert {states[n] for n in states if n > 1} == {"complete"}
    assert all(trial["error"] for trial in trials if trial["state"] == "failed")


def test_no_trial_ends_well(project: Project, target: Target) -> None:
    with pytest.raises(StageError) as caught:
        project.tune("raise SystemExit(4)", space=SPACE, budget={"trials": 3}, target=target)
    said = str(caught.value)
    assert "no trial ended well" in said or "All training jobs failed" in said
    assert "exit code 4" in said or "exit status 4" in said


def test_a_grid_tries_each_combination_once(project: Project, target: Target) -> None:
    values = {"type": "categorical", "values": [1, 2]}
    tuning = project.tune(
        SCRIPT,
        space={"n": values, "x": {"type": "categorical", "values": [0.5, 0.25]}},
        strategy="grid",
        budget={"trials": 4, "parallel": 2},
        target=target,
    )
    trials = json.loads(tuning.output("trials").read_text())["trials"]
    tried = sorted((trial["parameters"]["n"], trial["parameters"]["x"]) for trial in trials)
    assert tried == [(1, 0.25), (1, 0.5), (2, 0.25), (2, 0.5)]
    assert tuning.result.metrics["loss"] == pytest.approx(0.01)


@pytest.mark.parametrize("kind", ["identical", "transfer"])
def test_an_earlier_tuning_starts_a_later_one(project: Project, target: Target, kind: str) -> None:
    space = {"x": SPACE["x"]}
    first = project.tune(SCRIPT, space=space, budget={"trials": 3}, target=target, name="first")
    again = project.tune(
        SCRIPT,
        space=space,
        inputs={"earlier": first.output("trials")},
        warm_start=kind,
        budget={"trials": 3},
        target=target,
        name="again",
    )
    trials = json.loads(again.output("trials").read_text())["trials"]
    assert len(trials) == 3  # those of the earlier one are not this one's
    if kind == "transfer" and target.type == "local":
        before = json.loads(first.output("trials").read_text())["trials"]
        assert [t["parameters"] for t in trials] == [
            t["parameters"] for t in sorted(before, key=lambda each: each["objective"])
        ]


def test_an_earlier_tuning_of_another_space(project: Project, target: Target) -> None:
    first = project.tune(SCRIPT, space={"x": SPACE["x"]}, budget={"trials": 1}, name="first")
    with pytest.raises(StageError, match="another space"):
        project.tune(
            SCRIPT,
            space={"x": {"type": "float", "low": 0.1, "high": 1}},
            inputs={"earlier": first.output("trials")},
            warm_start="identical",
            target=target,
        )


# -- at SageMaker alone --------------------------------------------------------------------


def asked(cloud: Aws) -> Any:
    ((_, _, request),) = cloud.calls("CreateHyperParameterTuningJob")
    return request


def test_what_is_asked_of_sagemaker(project: Project, cloud: Aws) -> None:
    tuning = project.tune(
        SCRIPT,
        space=SPACE,
        hyperparameters={"depth": 3},
        budget={"trials": 3, "parallel": 2, "time": "1h"},
        early_stopping=True,
        target=aws_target(tags={"team": "fraud"}),
        compute={"instance": "ml.m5.xlarge", "max_runtime": "10m"},
        name="a-rather-long-name-of-a-stage-here",
    )
    request = asked(cloud)
    name = request["HyperParameterTuningJobName"]
    assert len(name) <= 32
    assert tuning.result.values["tuning_job"] == name
    config = request["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Bayesian"
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["RandomSeed"] == 7
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "loss"}
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 3,
        "MaxParallelTrainingJobs": 2,
        "MaxRuntimeInSeconds": 3600,
    }
    (x,) = config["ParameterRanges"]["ContinuousParameterRanges"]
    assert x == {"Name": "x", "MinValue": "0.001", "MaxValue": "1.0", "ScalingType": "Logarithmic"}
    definition = request["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"]["depth"] == "3"
    assert definition["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert "ContainerEntrypoint" not in definition["AlgorithmSpecification"]
    tags = {each["Key"]: each["Value"] for each in request["Tags"]}
    assert tags["team"] == "fraud"


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("CreateHyperParameterTuningJob", "lost-response"),
        ("ListTrainingJobsForHyperParameterTuningJob", "throttling"),
    ],
)
def test_passing_faults_are_overcome(
    project: Project, cloud: Aws, operation: str, kind: str
) -> None:
    cloud.fault(operation, kind)
    tuning = project.tune(
        SCRIPT, space={"x": SPACE["x"]}, budget={"trials": 2}, target=aws_target()
    )
    assert len(tuning.probe.payloads("trial")) == 2
    jobs = cloud.client("sagemaker").list_hyper_parameter_tuning_jobs()
    assert len(jobs["HyperParameterTuningJobSummaries"]) == 1


def test_a_budget_of_money_refuses(project: Project, cloud: Aws) -> None:
    with pytest.raises(StageError, match=r"the trials may cost 2\.30, more than 2"):
        project.tune(
            SCRIPT,
            space={"x": SPACE["x"]},
            budget={"trials": 10, "money": 2},
            compute={"instance": "ml.m5.xlarge", "max_runtime": "1h"},
            target=aws_target(),
        )
    assert cloud.calls("CreateHyperParameterTuningJob") == []
    assert cloud.calls("PutObject") == []


def test_an_earlier_tuning_here_cannot_start_one_at_sagemaker(project: Project, cloud: Aws) -> None:
    first = project.tune(SCRIPT, space={"x": SPACE["x"]}, budget={"trials": 1}, name="first")
    with pytest.raises(StageError, match="starts warm from its own tuning jobs only"):
        project.tune(
            SCRIPT,
            space={"x": SPACE["x"]},
            inputs={"earlier": first.output("trials")},
            warm_start="identical",
            target=aws_target(),
        )
