"""Services in a cluster: what is made, what is waited for, what happens when it fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpipe.errors import StageError
from tests.plugins.container.kubernetes_api import Program
from tests.plugins.container.kubernetes_api.calls import Call
from tests.plugins.container.kubernetes_site import REPOSITORY, Site, digest, opened


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with opened(tmp_path, monkeypatch) as site:
        yield site


# -- what is made ---------------------------------------------------------------------------


def test_a_few_lines_become_a_deployment_and_a_service(site: Site) -> None:
    image = site.image(1)
    assert [action.summary for action in site.plan(image)] == [
        "create  service scorer",
        "create  deployment scorer",
    ]
    assert site.cluster.changes == []
    result = site.deploy(
        image,
        {"env": {"MODE": "fast"}, "resources": {"cpu": "250m", "memory": "256Mi"}},
    )
    assert site.running() == [digest(1)] * 2
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{REPOSITORY}@{digest(1)}"
    assert {"name": "MODE", "value": "fast"} in container["env"]
    assert container["resources"]["limits"] == {"cpu": "250m", "memory": "256Mi"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/"
    meta = deployment["metadata"]
    assert meta["labels"] == {
        "app.kubernetes.io/name": "scorer",
        "app.kubernetes.io/managed-by": "mlpipe",
        "app.kubernetes.io/version": "1.1.0",
    }
    assert meta["annotations"] == {"mlpipe/commit": f"{1:040x}", "mlpipe/run": "run-1"}
    assert {entry["manager"] for entry in meta["managedFields"]} == {"mlpipe"}
    assert result.summary == "1.1.0 in prod/default"
    assert result.values["digest"] == digest(1)


def test_nothing_is_to_do_the_second_time(site: Site) -> None:
    image = site.image(1)
    site.deploy(image)
    before = site.cluster.changes
    assert site.plan(image) == ()
    site.deploy(image)  # in another run
    assert site.cluster.changes == before


def test_only_what_differs_is_applied(site: Site) -> None:
    site.deploy(site.image(1))
    second = site.image(2)
    label = "metadata.labels.app.kubernetes.io/version: 1.1.0 → 1.2.0"
    old, new = (f"scorer@{digest(number)[7:19]}" for number in (1, 2))
    assert [action.summary for action in site.plan(second)] == [
        f"update  service scorer  ({label})",
        f"update  deployment scorer  (containers[scorer].image: {old} → {new}, {label})",
    ]
    before = len(site.cluster.changes)
    site.deploy(second)
    assert site.cluster.changes[before:] == [
        "update services/scorer",  # its version
        "update deployments/scorer",
        "update configmaps/mlpipe-scorer",
    ]
    assert site.running() == [digest(2)] * 2


def test_what_the_recipe_says_no_more_is_taken_away(site: Site) -> None:
    image = site.image(1)
    site.deploy(image, {"env": {"MODE": "fast", "LEVEL": "2"}})
    site.deploy(image, {"env": {"LEVEL": "2"}})
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "PORT", "value": "8000"}, {"name": "LEVEL", "value": "2"}]


def test_secrets_are_read_by_name(site: Site) -> None:
    secrets = {"DATABASE_URL": "scorer-db/url"}
    with pytest.raises(StageError, match='secret "scorer-db" not found'):
        site.deploy(site.image(1), secrets=secrets)
    body = {"metadata": {"name": "scorer-db"}, "data": {"url": "c2VjcmV0"}}
    site.cluster.put("Secret", body)
    site.deploy(site.image(1), secrets=secrets)
    assert site.running() == [digest(1)] * 2


def test_another_namespace(site: Site) -> None:
    image = site.image(1)
    with pytest.raises(StageError, match='there is no namespace "ml"') as refused:
        site.plan(image, namespace="ml")
    assert "kubectl create namespace ml" in str(refused.value)
    site.cluster.namespace("ml")
    site.deploy(image, namespace="ml")
    assert site.running("ml") == [digest(1)] * 2
    assert site.running() == []


# -- what goes wrong ----------------------------------------------------------------------------

BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "missing image",
        {},
        ["ImagePullBackOff|ErrImagePull", "Failed to pull image .*not found"],
    ),
    (
        "crash",
        {"program": Program(crashes=True, log="starting\nno module named scorer\n")},
        ["CrashLoopBackOff", "exit code 1", r"\| no module named scorer"],
    ),
    (
        "never ready",
        {"program": Program(ready=False), "timeout": 0.8},
        ["after 0.8 s", "Readiness probe failed: HTTP probe failed with statuscode: 503"],
    ),
    (
        "wrong answer",
        {"program": Program(answers={"/": (500, "no model")}), "timeout": 0.5},
        ["/ answers 500: no model"],
    ),
    (
        "no node",
        {"program": Program(), "service": {"resources": {"cpu": "64"}}, "timeout": 0.8},
        ["Unschedulable: 0/3 nodes are available: 3 Insufficient cpu"],
    ),
    ("quota", {"program": Program(), "quota": 2}, ["exceeded quota: small"]),
]


@pytest.mark.parametrize(("name", "how", "said"), BAD, ids=[name for name, _, _ in BAD])
def test_a_failed_rollout_is_explained_and_undone(
    site: Site, name: str, how: dict[str, Any], said: list[str]
) -> None:
    first = site.deploy(site.image(1))
    how = dict(how)
    if "program" in how:
        bad = site.image(2, how.pop("program"))
    else:
        bad = site.image(2)
        del site.cluster.images.programs[digest(2)]
    quota = how.pop("quota", None)
    if quota:
        body = {"metadata": {"name": "small"}, "spec": {"hard": {"pods": str(quota)}}}
        site.cluster.put("ResourceQuota", body)
    with pytest.raises(StageError) as failed:
        site.deploy(bad, **how)
    for each in said:
        failed.match(each)
    failed.match(r"1\.1\.0 is in service again")
    assert site.running() == [digest(1)] * 2
    if quota is None:
        assert site.plan(site.image(1)) == ()
    assert first.releases[0].payload["digest"] == digest(1)


def test_the_first_deploy_that_fails_leaves_what_is_there(site: Site) -> None:
    with pytest.raises(StageError, match="nothing was in service before"):
        site.deploy(site.image(1, Program(crashes=True)))
    assert site.cluster.get("Deployment", "scorer") is not None
    site.deploy(site.image(2))
    assert site.running() == [digest(2)] * 2


def test_a_slow_start_is_waited_for(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.deploy(site.image(1, Program(seconds=0.4)))
    assert "scorer: 0 of 2 ready" in capsys.readouterr().out
    assert site.running() == [digest(1)] * 2


def test_a_registry_that_cannot_be_reached_is_asked_again(site: Site) -> None:
    image = site.image(1)
    site.cluster.images.troubles[digest(1)] = ["dial tcp 10.0.0.1:443: i/o timeout"] * 9
    site.deploy(image)
    assert site.running() == [digest(1)] * 2


def test_a_registry_that_refuses_is_not_waited_for(site: Site) -> None:
    image = site.image(1)
    said = "unexpected status from HEAD request: 401 Unauthorized"
    site.cluster.images.troubles[digest(1)] = [said] * 1000
    with pytest.raises(StageError, match="401 Unauthorized") as failed:
        site.deploy(image)
    assert "after" not in failed.value.what.splitlines()[0]


def test_pods_that_run_something_else_do_not_count(site: Site) -> None:
    image = site.image(1)
    site.cluster.images.nodes[digest(1)] = digest(8)
    with pytest.raises(StageError, match=f"is ready, but runs .*{digest(8)}"):
        site.deploy(image, timeout=0.5)


def test_evicted_pods_are_passed_over(site: Site) -> None:
    site.deploy(site.image(1))
    pod = site.cluster.pods()[0]
    gone = {**pod["metadata"], "name": "evicted", "uid": "evicted"}
    site.cluster.put("Pod", {**pod, "metadata": gone, "status": {"phase": "Failed"}})
    site.deploy(site.image(2))
    assert site.running() == [digest(2)] * 2


def test_a_paused_deployment_is_not_waited_for(site: Site) -> None:
    site.deploy(site.image(1))
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.spec.paused = True
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="kubectl-rollout")
    with pytest.raises(StageError, match="paused: kubectl rollout resume"):
        site.deploy(site.image(2))


# -- back -----------------------------------------------------------------------------------------


def test_any_release_comes_back_by_its_digest(site: Site) -> None:
    releases = [site.deploy(site.image(n)).releases[0] for n in (1, 2, 3)]
    for release, number in zip(releases, (1, 2, 3), strict=True):
        site.rollback(release)
        assert site.running() == [digest(number)] * 2
    site.rollback(releases[1])
    before = site.cluster.changes
    site.rollback(releases[1])  # twice is the same as once
    assert site.cluster.changes == before


def test_a_release_whose_image_is_gone_does_not_replace_what_runs(site: Site) -> None:
    old = site.deploy(site.image(1)).releases[0]
    site.deploy(site.image(2))
    del site.cluster.images.programs[digest(1)]
    with pytest.raises(StageError, match=r"1\.2\.0 is in service again"):
        site.rollback(old)
    assert site.running() == [digest(2)] * 2


def test_a_release_of_something_else(site: Site) -> None:
    release = site.deploy(site.image(1)).releases[0]
    other = type(release)(release.kind, release.name, {"image": "scorer"})
    with pytest.raises(StageError, match="holds no service of a Kubernetes cluster"):
        site.rollback(other)


# -- rights -------------------------------------------------------------------------------------


def test_the_rights_in_the_guide_are_those_that_it_takes(site: Site) -> None:
    page = (Path(__file__).parents[3] / "framework/docs/eks.md").read_text("utf-8")
    role = yaml.safe_load(page.partition('title="role.yaml"\n')[2].partition("```")[0])
    given = {
        (verb, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }
    site.deploy(site.image(1))
    with pytest.raises(StageError, match="again and again"):
        site.deploy(site.image(2, Program(crashes=True)))
    with pytest.raises(StageError, match="is not ready"):
        site.deploy(site.image(3, Program(ready=False)), timeout=0.3)
    taken = {right for call in site.cluster.api.calls for right in rights(call)}
    assert taken == given


def rights(call: Call) -> list[tuple[str, str]]:
    """Name the rights that a request takes: to apply what is not there is to create it, too."""
    steps = call.path.partition("/namespaces/default/")[2].split("/")
    if steps == [""]:
        return []  # discovery, which everybody may
    resource, sub = steps[0], steps[2] if len(steps) > 2 else ""
    if call.method == "PATCH":
        return [("patch", resource), ("create", resource)]
    verb = "get" if len(steps) > 1 else "list"
    return [(verb, f"{resource}/{sub}" if sub else resource)]
