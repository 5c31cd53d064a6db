"""Shadow variants at the emulated SageMaker: copies of requests for a model that answers nobody."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlpipe import Release
from mlpipe.errors import StageError
from mlpipe_awstest import Aws
from mlpipe_endpoint import deploying, promoting
from mlpipe_endpoint.aws import AwsBackend
from mlpipe_endpoint.awssweeping import orphans
from tests.plugins.emulated_aws import BUCKET
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import PROBE, TRAFFIC, Site, at_sagemaker
from tests.plugins.endpoint.test_endpoint_shadow import FRAIL

SHADOW: dict[str, Any] = {
    "traffic": {"champion": 2},
    "shadow": {"challenger": 0.5},
    "probe": PROBE,
}


@pytest.fixture
def site(cloud: Aws, project: Project) -> Site:
    return at_sagemaker(project)


def captured(cloud: Aws, count: int) -> Counter[str]:
    """Wait for captures; count them by variant."""
    deadline = time.monotonic() + 30
    while True:
        keys = [key for key in cloud.objects(BUCKET) if "/captures/" in key]
        if len(keys) >= count or time.monotonic() > deadline:
            return Counter(key.split("/")[4] for key in keys)
        time.sleep(0.05)


def test_a_shadow_is_deployed_changed_and_given_traffic(
    site: Site, cloud: Aws, pair: dict[str, Path]
) -> None:
    planned = site.plan(pair, **SHADOW)
    assert planned[-2].summary.endswith("(champion 2, shadow challenger 0.5)")
    site.deploy(pair, **SHADOW)
    ((_, _, made),) = cloud.calls("CreateEndpointConfig")
    (production,), (shadow,) = made["ProductionVariants"], made["ShadowProductionVariants"]
    assert (production["VariantName"], production["InitialVariantWeight"]) == ("champion", 2)
    assert (shadow["VariantName"], shadow["InitialVariantWeight"]) == ("challenger", 1)
    assert site.now().shadow == {"challenger": 0.5}
    assert site.plan(pair, **SHADOW) == []
    assert isinstance(site.backend, AwsBackend)
    assert orphans(site.backend) == []

    site.deploy(pair, **{**SHADOW, "shadow": {"challenger": 0.25}})
    assert site.now().shadow == {"challenger": 0.25}
    site.deploy(pair, traffic=TRAFFIC, probe=PROBE)  # first the shadow, then the experiment
    assert (site.now().shadow, site.now().weights) == ({}, TRAFFIC)
    assert site.answer("challenger") == b'["blue"]'


def test_a_shadow_is_promoted_and_not_weighed(site: Site, pair: dict[str, Path]) -> None:
    site.deploy(pair, **SHADOW)
    with pytest.raises(StageError, match='"challenger" is a shadow variant'):
        site.backend.weigh("churn", {"challenger": 1.0})
    promoted = promoting.promoted(site.now(), "challenger", "champion")
    site.put(Release(deploying.KIND, "churn", promoted.payload()))
    assert (site.now().weights, site.now().shadow) == ({"champion": 0, "challenger": 2}, {})
    assert site.answer("challenger") == b'["blue"]'


def test_a_shadow_gets_copies_and_delays_nobody(site: Site, cloud: Aws) -> None:
    models = {"champion": site.project.model("red"), "challenger": site.project.model("f", FRAIL)}
    site.deploy(models, shadow={"challenger": 1}, hosting={"capture": 1})
    runtime = cloud.client("sagemaker-runtime")
    rows = [[[1, 2]], [[7, 0]], [[9, 3]], [[8, 0]]]  # it answers, fails, is slow, dies
    for row in rows:
        answer = runtime.invoke_endpoint(
            EndpointName="churn", ContentType="application/json", Body=json.dumps(row)
        )
        assert answer["InvokedProductionVariant"] == "champion"
        assert answer["Body"].read() == b'["red"]'
    # Those that it answered, with an error or not, are kept beside the champion's.
    found = captured(cloud, 6)
    assert found["champion"] == 4
    assert found["challenger"] >= 2


def test_a_share_of_the_requests_is_copied(site: Site, cloud: Aws, pair: dict[str, Path]) -> None:
    site.deploy(pair, shadow={"challenger": 0.5}, traffic={"champion": 3}, hosting={"capture": 1})
    for _ in range(40):
        assert site.answer("champion") == b'["red"]'
    found = captured(cloud, 50)
    assert found["champion"] == 40
    assert 5 <= found["challenger"] <= 35  # else with a chance below 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traffic": {"champion": 1, "other": 1}}, "a shadow beside one variant only"),
        ({"shadow": {"challenger": 1, "other": 1}}, "one shadow only, not 2"),
    ],
)
def test_what_sagemaker_cannot_have_is_refused_by_the_plan(
    site: Site, cloud: Aws, pair: dict[str, Path], changes: dict[str, Any], message: str
) -> None:
    three = {**pair, "other": site.project.model("green")}
    with pytest.raises(StageError, match=message):
        site.plan(three, **{**SHADOW, **changes})
    assert cloud.calls("CreateModel") == []
