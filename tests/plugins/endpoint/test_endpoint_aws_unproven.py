"""Models at the emulated SageMaker that have traffic before anybody has asked them the probe."""

from pathlib import Path
from typing import Any

import pytest

from mlpipe import MlpipeError, Release
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_awstest import Aws
from mlpipe_endpoint import deploying, plan, promoting
from mlpipe_endpoint.wanted import wanted_of
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import PROBE, TRAFFIC, Site, at_sagemaker

SETTINGS: dict[str, Any] = {"traffic": TRAFFIC, "probe": PROBE}
CHANGING = ("Create", "Update", "Put", "Add")
#: Loads, and fails whatever it is asked.
MUTE = """
    def model_fn(folder):
        return 1

    def predict_fn(rows, model):
        raise ValueError("not me")
"""


@pytest.fixture
def site(cloud: Aws, project: Project) -> Site:
    return at_sagemaker(project)


@pytest.fixture
def bad(site: Site, pair: dict[str, Path]) -> dict[str, Path]:
    """The pair, deployed, but for a challenger that then took its traffic in a killed deploy."""
    site.deploy(pair, **SETTINGS)
    site.backend.weigh("churn", {"challenger": 30.0})
    bad = {**pair, "challenger": site.project.model("bad", MUTE)}
    put_in_service(site, bad)
    with pytest.raises(MlpipeError, match="not me"):
        site.answer("challenger")
    return bad


def put_in_service(site: Site, models: dict[str, Path]) -> None:
    """Do what a deploy does until its first probe, of which a killed one does no more."""
    backend, config = site.backend, site.config(**SETTINGS)
    stage = make_stage(site.project.root, "deploy", inputs=models, target=site.target).stage
    found = backend.describe("churn")
    wanted = plan.settle(wanted_of(config, stage, found), found)
    backend.apply(wanted, found, None)


def test_the_next_deploy_puts_back_what_answered(
    site: Site, pair: dict[str, Path], bad: dict[str, Path]
) -> None:
    """With the weights that it had then, not those that it was deployed with."""
    for _ in range(2):
        with pytest.raises(StageError, match='variant "challenger" does not answer the probe'):
            site.deploy(bad, **SETTINGS)
        assert site.answer("challenger") == b'["blue"]'
        assert site.now().weights == {"champion": 90, "challenger": 30}
    assert site.plan(pair, **SETTINGS) == []


def test_so_does_one_that_cannot_make_its_own(
    site: Site, cloud: Aws, pair: dict[str, Path], bad: dict[str, Path]
) -> None:
    other = {**pair, "challenger": site.project.model("green")}
    cloud.fault("CreateModel", "denied")
    with pytest.raises(StageError, match="You may not perform CreateModel"):
        site.deploy(other, **SETTINGS)
    assert site.answer("challenger") == b'["blue"]'
    assert site.now().weights == {"champion": 90, "challenger": 30}


def test_a_promotion_starts_from_what_answered(site: Site, bad: dict[str, Path]) -> None:
    found = site.backend.describe("churn")
    assert found is not None
    standing = promoting.standing(site.backend, found).deployment
    assert standing.variants["challenger"] != found.deployment.variants["challenger"]
    assert standing.weights == {"champion": 90, "challenger": 30}
    promoted = promoting.promoted(standing, "challenger", "champion")
    release = Release(deploying.KIND, "churn", promoted.payload())
    site.put(release)
    assert site.answer("challenger") == b'["blue"]'
    assert site.now().weights == {"champion": 0, "challenger": 120}


@pytest.mark.slow
def test_a_deploy_that_is_killed_after_any_change_is_undone_by_the_next(
    site: Site, cloud: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was about to put back what served before."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    good = {"champion": site.project.model("red")}
    bad = {"champion": site.project.model("bad", MUTE)}
    site.deploy(good, probe=PROBE)
    unproven = 0
    cuts = _changes(site, cloud, bad)
    for cut in cuts:
        cloud.fault("*", "lost-response", after=cut)
        cloud.fault("*", "denied", times=10_000, after=cut)
        with pytest.raises(StageError):
            site.deploy(bad, probe=PROBE)
        cloud.heal()
        found = site.backend.describe("churn")
        unproven += found is None or not found.verified
        with pytest.raises(StageError, match='variant "champion" does not answer the probe'):
            site.deploy(bad, probe=PROBE)
        assert site.answer("champion") == b'["red"]'
        assert site.plan(good, probe=PROBE) == []
    assert 2 <= unproven < len(cuts)


def _changes(site: Site, cloud: Aws, models: dict[str, Path]) -> list[int]:
    """Say which calls of a deploy that puts back what served before change something."""
    before = len(cloud.calls())
    with pytest.raises(StageError, match="does not answer the probe"):
        site.deploy(models, probe=PROBE)
    names = [name for _, name, _ in cloud.calls()[before:]]
    return [place for place, name in enumerate(names) if name.startswith(CHANGING)]
