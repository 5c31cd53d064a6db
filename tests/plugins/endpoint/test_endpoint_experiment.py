"""An experiment between an endpoint's variants, from its plan to the verdict."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlpipe import Target, UserError
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_experiments import keeping
from mlpipe_experiments.assignment import ranked
from tests.plugins.endpoint.endpoint_project import Project, request

TRAFFIC = {"champion": 50, "challenger": 50}
EXPERIMENT: dict[str, Any] = {
    "metric": {"name": "conversion", "baseline": 0.2},
    "effect": 0.2,
    "control": "champion",
    "guardrails": [{"metric": "error_rate", "margin": 0.05}],
    "units_a_day": 100,
}
USERS = [f"user {number}" for number in range(440)]


def mlpipe(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )


def said(project: Project, *arguments: str) -> str:
    done = mlpipe(project, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_the_plan_to_the_verdict(project: Project, pair: dict[str, Path]) -> None:
    request_settings = {"traffic": TRAFFIC, "experiment": EXPERIMENT}
    assert project.plan(pair, **request_settings)[-1] == "begin experiment on churn"
    project.deploy(pair, **request_settings)
    assert project.plan(pair, **request_settings) == []
    lines = said(project, "ab", "plan", "churn").splitlines()
    assert lines[0] == "conversion (binary, increase is better): 0.2 now, 0.2 would matter"
    assert "champion 50 % · challenger 50 %" in lines[1]
    assert lines[2].startswith("ends after ")
    assert "no requests yet" in said(project, "ab", "status", "churn")

    with ThreadPoolExecutor(8) as pool:
        headers = [{"X-Mlpipe-Key": user} for user in USERS]
        list(pool.map(lambda each: request(project.port(), headers=each), headers))
    now = project.backend.describe("churn")
    assert now is not None
    own = {user: ranked(user, TRAFFIC, now.deployment.salt)[0] for user in USERS}
    bought = [
        user
        for number, user in enumerate(USERS)
        if number % 10 < (6 if own[user] == "challenger" else 2)
    ]
    rows = "".join(f"{user},1\n" for user in bought)
    (project.root / "bought.csv").write_text(f"key,value\n{rows}")
    recorded = said(project, "ab", "record", "churn", "--file", "bought.csv")
    assert recorded == f"{len(bought)} outcomes recorded\n"

    page = said(project, "ab", "status", "churn")
    assert "day 1 · 440 of at most" in page
    assert "verdict: promote  challenger: conversion +0.4" in page
    facts = json.loads(said(project, "ab", "status", "churn", "--json"))
    assert facts["units"] == {name: list(own.values()).count(name) for name in TRAFFIC}
    assert facts["verdict"]["winner"] == "challenger"
    assert facts["verdict"]["guardrails"]["challenger"][0]["state"] in ("ok", "unknown")
    assert said(project, "ab", "list") == "churn\n"
    report = Path(said(project, "ab", "report", "churn").strip())
    assert "So far: promote." in report.read_text()
    ended = said(project, "ab", "decide", "churn").splitlines()
    assert ended[-2].startswith("ended: promote  challenger: conversion +0.4")
    assert ended[-1] == "  mlpipe endpoint promote churn"
    assert said(project, "ab", "decide", "churn").splitlines() == ended[-2:]
    twice = mlpipe(project, "ab", "record", "churn", "--file", "bought.csv")
    assert twice.returncode != 0
    assert "were recorded before" in twice.stderr


def test_other_models_begin_another_experiment(project: Project, pair: dict[str, Path]) -> None:
    settings = {"traffic": TRAFFIC, "experiment": EXPERIMENT}
    project.deploy(pair, **settings)
    pair["challenger"] = project.model("green")
    assert project.plan(pair, **settings) == [
        "update variant challenger",
        "update salt of churn",
        "begin experiment on churn",
    ]
    project.deploy(pair, **settings)
    assert len(list((project.root / ".mlpipe" / "experiments" / "churn").iterdir())) == 2
    begun = keeping.newest(project.root / ".mlpipe", "churn")
    assert (begun.run, begun.stage) == ("test-run", "endpoint")  # whose observers are told of it
    recorded = EndpointConfig(endpoint="churn").recorded(Target(), project.root)
    assert recorded == (begun.records, begun.salt)  # where a plan for later is tried


def test_an_experiment_waits_for_a_champion(project: Project, pair: dict[str, Path]) -> None:
    """The first deploy has nothing to compare the challenger with."""
    settings = {"traffic": TRAFFIC, "experiment": EXPERIMENT}
    only = {"challenger": pair["champion"]}
    assert project.plan(only, **settings) == ["create endpoint churn", "create variant challenger"]
    project.deploy(only, **settings)
    assert said(project, "ab", "list") == ""
    project.deploy({"challenger": pair["challenger"]}, **settings)
    assert said(project, "ab", "list") == "churn\n"


def test_a_plan_is_not_changed_while_it_runs(project: Project, pair: dict[str, Path]) -> None:
    project.deploy(pair, traffic=TRAFFIC, experiment=EXPERIMENT)
    other = {**EXPERIMENT, "effect": 0.1}
    for act in (project.deploy, project.preview):
        with pytest.raises(UserError, match="runs with another plan"):
            act(pair, traffic=TRAFFIC, experiment=other)
    query = {"sql": "SELECT id, 1 AS value FROM sales", "database": "sqlite:///shop.db"}
    with pytest.raises(UserError, match="runs with another plan"):  # so is where outcomes are from
        project.deploy(pair, traffic=TRAFFIC, experiment={**EXPERIMENT, "outcomes": query})
    with pytest.raises(UserError, match="runs with another plan"):  # shares are a part of it
        project.deploy(pair, traffic={"champion": 60, "challenger": 40}, experiment=EXPERIMENT)
    project.deploy(pair, traffic=TRAFFIC, experiment=other, salt="second")
    assert json.loads(said(project, "ab", "status", "churn", "--json"))["plan"]["effect"] == 0.1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"control": "old"}, 'experiment: control: "old" is none of the variants'),
        ({"guardrails": [{"metric": "joy", "margin": 0}]}, '"joy" is no guardrail of an endpoint'),
        ({"guardrails": [{"metric": "latency", "margin": 0}]}, "seconds goes with the metric"),
        ({"effect": 0.9}, "0.2 would become 1.1, which is no share"),
        ({"outcomes": {"sql": "SELECT 1", "database": "shop.db"}}, "a URL of SQLAlchemy's"),
    ],
)
def test_plans_that_cannot_be(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        EndpointConfig.model_validate(
            {"endpoint": "churn", "traffic": TRAFFIC, "experiment": {**EXPERIMENT, **change}}
        )


def test_without_a_project_or_an_experiment(project: Project, tmp_path: Path) -> None:
    nothing = mlpipe(project, "ab", "status", "churn")
    assert nothing.returncode == 2
    assert 'there is no experiment on "churn"' in nothing.stderr
    assert "No experiments." in mlpipe(project, "ab", "list").stderr
