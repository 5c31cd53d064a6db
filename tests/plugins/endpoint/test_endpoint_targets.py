"""What is true of a deploy wherever it is: on this machine, and at the emulated SageMaker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpipe import Target
from mlpipe.errors import StageError
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import BROKEN, PROBE, TRAFFIC, Site, at_sagemaker


@pytest.fixture(params=["local", "aws"])
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    if request.param == "local":
        yield Site(project, Target())
    else:
        request.getfixturevalue("cloud")
        yield at_sagemaker(project)


def test_two_variants_are_served_and_left_in_place(site: Site, pair: dict[str, Path]) -> None:
    created = [action.subject for action in site.plan(pair, traffic=TRAFFIC)]
    assert "endpoint churn" in created
    result = site.deploy(pair, traffic=TRAFFIC, probe=PROBE)
    assert result.summary == "champion 90 · challenger 10"
    assert site.answer("champion") == b'["red"]'
    assert site.answer("challenger") == b'["blue"]'
    assert site.plan(pair, traffic=TRAFFIC) == []
    assert result.releases[0].payload["weights"] == TRAFFIC


def test_weights_changed_by_hand_are_kept(site: Site, pair: dict[str, Path]) -> None:
    site.deploy(pair, traffic=TRAFFIC)
    assert site.backend.weigh("churn", {"challenger": 30}) == {"champion": 90, "challenger": 30}
    assert site.plan(pair, traffic=TRAFFIC) == []
    pair["challenger"] = site.project.model("green")
    site.deploy(pair, traffic=TRAFFIC)
    assert site.now().weights == {"champion": 90, "challenger": 30}
    assert site.answer("challenger") == b'["green"]'
    site.deploy(pair, traffic={"champion": 50, "challenger": 50})
    assert site.now().weights == {"champion": 50, "challenger": 50}


def test_a_model_that_does_not_load_changes_nothing(site: Site, pair: dict[str, Path]) -> None:
    site.deploy(pair, traffic=TRAFFIC)
    broken = {**pair, "challenger": site.project.model("broken", BROKEN)}
    with pytest.raises(StageError, match="no weights here") as caught:
        site.deploy(broken, traffic=TRAFFIC)
    assert "hat was in service" in str(caught.value)
    assert site.answer("challenger") == b'["blue"]'
    assert site.plan(pair, traffic=TRAFFIC) == []


def test_a_model_that_fails_the_probe_does_not_stay(site: Site, pair: dict[str, Path]) -> None:
    script = BROKEN.replace("raise RuntimeError", "return str").replace("no weights", "w")
    script += """
    def predict_fn(rows, model):
        raise ValueError("not these rows")
"""
    site.deploy(pair, traffic=TRAFFIC, probe=PROBE)
    bad = {**pair, "challenger": site.project.model("bad", script)}
    with pytest.raises(StageError, match="not these rows"):
        site.deploy(bad, traffic=TRAFFIC, probe=PROBE)
    assert site.answer("challenger") == b'["blue"]'
    assert site.now().weights == TRAFFIC
    assert site.plan(pair, traffic=TRAFFIC, probe=PROBE) == []


def test_weights_of_many_digits_are_those_asked_for(site: Site, pair: dict[str, Path]) -> None:
    thirds = {"champion": 2 / 3, "challenger": 1 / 3}
    site.deploy(pair, traffic=thirds)
    assert site.plan(pair, traffic=thirds) == []
    site.deploy(pair, traffic={"champion": 0.9, "challenger": 0.1})
    assert site.plan(pair, traffic={"champion": 0.9, "challenger": 0.1}) == []


def test_an_endpoint_that_cannot_be_made_can_be_made_later(
    site: Site, pair: dict[str, Path]
) -> None:
    with pytest.raises(StageError, match="no weights here"):
        site.deploy({"champion": site.project.model("broken", BROKEN)})
    site.deploy({"champion": pair["champion"]})
    assert site.answer("champion") == b'["red"]'


def test_a_rollback_serves_what_was_served(site: Site, pair: dict[str, Path]) -> None:
    first = site.deploy(pair, traffic=TRAFFIC, salt="spring")
    models = {"champion": pair["challenger"]}
    site.deploy(models)
    assert set(site.now().variants) == {"champion"}
    for archive in pair.values():
        archive.unlink()
    site.rollback(first)
    now = site.now()
    assert (now.weights, now.salt) == (TRAFFIC, "spring")
    assert site.answer("champion") == b'["red"]'


def test_a_stopped_endpoint_is_started_again(site: Site, pair: dict[str, Path]) -> None:
    site.deploy(pair, traffic=TRAFFIC)
    assert site.backend.stop("churn")
    assert not site.backend.stop("churn")
    assert site.plan(pair, traffic=TRAFFIC) != []
    site.deploy(pair, traffic=TRAFFIC)
    assert site.answer("challenger") == b'["blue"]'
