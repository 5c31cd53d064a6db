"""Asking endpoints for users: the same variant each time, wherever the endpoint is."""

from collections import Counter
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlpipe_awstest import Aws
from mlpipe_endpoint import places
from mlpipe_endpoint.client import SagemakerClient, client
from mlpipe_experiments import keeping
from mlpipe_experiments.assignment import ranked
from mlpipe_experiments.joining import join
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import SETTINGS, TRAFFIC, at_sagemaker

USERS = [f"user {number}" for number in range(60)]
EXPERIMENT = {
    "metric": {"name": "sale", "baseline": 0.1},
    "effect": 0.05,
    "control": "champion",
    "guardrails": [{"metric": "error_rate", "margin": 0.05}],
}
EVEN = {"champion": 50, "challenger": 50}


def test_users_are_assigned_alike_on_both_targets(
    cloud: Aws, project: Project, pair: dict[str, Path]
) -> None:
    there = at_sagemaker(project)
    there.deploy(pair, traffic=EVEN, salt="spring")
    project.deploy(pair, traffic=EVEN, salt="spring")
    wanted = {user: ranked(user, EVEN, "spring")[0] for user in USERS}
    for target in ("local", "aws"):
        asking = client("churn", root=project.root, target=target)
        for _ in range(2):
            found = {user: asking.invoke(b"[[1, 2]]", user).variant for user in USERS}
            assert found == wanted
    assert places.targets(project.root) == ["local", "aws"]
    assert 15 < Counter(wanted.values())["challenger"] < 45


def test_an_experiment_at_sagemaker_reads_what_the_client_recorded(
    cloud: Aws, project: Project, pair: dict[str, Path]
) -> None:
    site = at_sagemaker(project)
    site.deploy(pair, traffic=EVEN, experiment=EXPERIMENT)
    asking = client("churn", root=project.root, target="aws")
    answers = [asking.invoke(b"[[1, 2]]", user) for user in USERS]
    with pytest.raises(ClientError, match="ModelError"):
        asking.invoke(b"[[-1, 2]]", USERS[0])
    experiment = keeping.newest(project.root / ".mlpipe", "churn")
    units = join(experiment).units
    came = Counter(unit.variant for unit in units)
    assert came == Counter(answer.variant for answer in answers)
    assert sum(unit.requests for unit in units) == len(USERS) + 1
    assert sum(unit.failed for unit in units) == 1
    assert experiment.promoting == "mlpipe endpoint promote churn --target aws"


def test_weights_are_read_again_after_a_while(
    cloud: Aws, project: Project, pair: dict[str, Path]
) -> None:
    site = at_sagemaker(project)
    site.deploy(pair, traffic=TRAFFIC)
    late, soon = (SagemakerClient("churn", SETTINGS["region"], fresh=f) for f in (60.0, 0.0))
    for asking in (late, soon):
        asking.invoke(b"[[1, 2]]", "ann")
    site.backend.weigh("churn", {"champion": 0, "challenger": 1})
    before = len(cloud.calls("DescribeEndpoint"))
    late.invoke(b"[[1, 2]]", "ann")
    assert len(cloud.calls("DescribeEndpoint")) == before
    assert {soon.invoke(b"[[1, 2]]", user).variant for user in USERS[:9]} == {"challenger"}
