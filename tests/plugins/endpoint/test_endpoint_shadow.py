"""Shadow variants: asked beside the one that answers, and heard by nobody."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from mlpipe.errors import StageError
from mlpipe_endpoint import control, processes
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.monitoring import captures
from tests.plugins.endpoint.endpoint_project import Project, request

#: Answers a row with its sum; one that begins with 9 is slow, or fails, in this variant only.
FRAIL = """
    import os
    import time

    def model_fn(folder):
        return "frail"

    def predict_fn(rows, model):
        if int(rows[0][0]) == 9:
            time.sleep(float(rows[0][1]))
        if int(rows[0][0]) == 8:
            os._exit(3)
        if int(rows[0][0]) == 7:
            raise ValueError("not this one")
        return [model for _ in rows]
"""


def shadowed(project: Project, share: float = 1.0, **more: Any) -> int:
    models = {"champion": project.model("red"), "challenger": project.model("frail", FRAIL)}
    project.deploy(models, shadow={"challenger": share}, **more)
    return project.port()


def records(project: Project, count: int) -> Sequence[Mapping[str, Any]]:
    """Wait for some records: those of shadows come after the answers."""
    assert processes.wait_until(lambda: len(project.records()) >= count, 20)
    return project.records()


def test_a_shadow_is_asked_and_answers_nobody(project: Project) -> None:
    port = shadowed(project, capture=1.0)
    answers = [request(port, headers={"X-Mlpipe-Key": f"user {n}"}) for n in range(20)]
    assert {answer.variant for answer in answers} == {"champion"}
    assert {answer.body for answer in answers} == {b'["red"]'}
    found = records(project, 40)
    assert Counter((each["variant"], each["shadow"]) for each in found) == {
        ("champion", False): 20,
        ("challenger", True): 20,
    }
    by_id = Counter(each["id"] for each in found)
    assert by_id == {answer.headers["x-amzn-RequestId"]: 2 for answer in answers}
    path = project.backend.folder("churn").captures
    assert processes.wait_until(lambda: path.read_text().count("\n") == 40, 20)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(each["variant"], each["shadow"]) for each in kept} == {
        ("champion", False),
        ("challenger", True),
    }
    assert len(captures.read(path, ["a", "b"], 100).ids) == 20, "a request counts once"


def test_a_share_of_the_requests_goes_to_it(project: Project) -> None:
    port = shadowed(project, 0.25)
    # What its first request imports takes longer than all others together.
    request(port, headers={"X-Amzn-SageMaker-Target-Variant": "challenger"})
    for _ in range(400):
        request(port)

    def asked() -> int:
        return sum(each["shadow"] for each in project.records())

    assert processes.wait_until(lambda: asked() >= 60, 20)  # 4.6 standard deviations
    assert asked() <= 140


def test_a_caller_that_names_a_variant_is_not_copied(project: Project) -> None:
    port = shadowed(project)
    for variant in ("champion", "challenger"):
        header = {"X-Amzn-SageMaker-Target-Variant": variant}
        assert request(port, headers=header).variant == variant
    assert not any(each["shadow"] for each in project.records())


@pytest.mark.parametrize(
    "body", [b"[[9, 3]]", b"[[8, 0]]", b"[[7, 0]]"], ids=["slow", "dies", "fails"]
)
def test_a_shadow_in_trouble_troubles_no_caller(project: Project, body: bytes) -> None:
    port = shadowed(project)
    begun = time.monotonic()
    answers = [request(port, body=body) for _ in range(5)]
    assert {(answer.status, answer.body) for answer in answers} == {(200, b'["red"]')}
    assert time.monotonic() - begun < 3, "nobody waits for it"


def test_copies_that_it_has_no_time_for_are_dropped_and_counted(project: Project) -> None:
    port = shadowed(project)
    request(port, body=b"[[9, 5]]")
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: request(port).status, range(100)))
    assert statuses == {200: 100}
    page = request(port, "GET", "/metrics").body.decode()
    # One is being answered and 63 wait; the rest of the 101 had no place.
    assert 'mlpipe_endpoint_shadow_dropped_total{variant="challenger"} 37.0' in page
    assert sum(each["shadow"] for each in records(project, 101 + 64)) == 64


def test_a_dead_shadow_is_brought_back_without_a_spare(project: Project) -> None:
    port = shadowed(project)
    server = project.backend.folder("churn").server()
    assert server is not None
    state = control.ask(server.control, "describe", timeout=5)
    assert state["spares"]["challenger"] == []
    os.kill(state["workers"]["challenger"], signal.SIGKILL)
    assert request(port).status == 200

    def copied() -> bool:
        request(port)
        return any(each["shadow"] for each in project.records())

    assert processes.wait_until(copied, 20)


def test_a_shadow_comes_changes_and_goes_with_the_recipe(project: Project) -> None:
    models = {"champion": project.model("red"), "challenger": project.model("blue")}
    one = {"champion": models["champion"]}
    project.deploy(one)
    assert project.plan(models, shadow={"challenger": 0.5}) == [
        "create variant challenger",
        "update weights of churn",
        "update shadow of churn",
    ]
    project.deploy(models, shadow={"challenger": 0.5})
    assert project.plan(models, shadow={"challenger": 0.5}) == []
    changed = project.preview(models, shadow={"challenger": 1})
    assert [action.summary for action in changed] == [
        "update  shadow of churn  (challenger 0.5 → challenger 1)"
    ]
    project.deploy(one)
    assert request(project.port()).status == 200
    assert project.plan(one) == []


def test_a_shadow_that_is_given_traffic_is_none_any_more(project: Project) -> None:
    models = {"champion": project.model("red"), "challenger": project.model("blue")}
    project.deploy(models, shadow={"challenger": 1})
    project.backend.weigh("churn", {"challenger": 1.0, "champion": 0.0})
    result = project.deploy(models, shadow={"challenger": 1})
    assert result.summary == "champion 0 · challenger 1"
    found = project.backend.describe("churn")
    assert found is not None
    assert found.deployment.shadow == {}
    request(project.port())
    assert [(each["variant"], each["shadow"]) for each in project.records()] == [
        ("challenger", False)
    ]


def test_what_makes_no_sense_is_refused(project: Project) -> None:
    models = {"champion": project.model("red")}
    with pytest.raises(ValidationError, match='shadow: "b" has traffic, too'):
        EndpointConfig.model_validate(
            {"endpoint": "churn", "traffic": {"a": 1, "b": 1}, "shadow": {"b": 0.1}}
        )
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        EndpointConfig.model_validate({"endpoint": "churn", "shadow": {"b": 10}})
    with pytest.raises(StageError, match='"other" is not an input'):
        project.deploy(models, shadow={"other": 0.1})
    with pytest.raises(StageError, match="so that nothing answers"):
        project.deploy(models, shadow={"champion": 0.1})
