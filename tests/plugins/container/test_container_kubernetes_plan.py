"""What a plan says of a cluster, where others have changed it, and of the manifests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from mlpipe_aws import settings
from mlpipe_container.kubernetes.permissions import to_deploy
from mlpipe_container.kubernetes.values import Image
from tests.plugins.container.kubernetes_site import TARGET, Site, digest, opened

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: scorer
spec:
  replicas: 1
  selector: {matchLabels: {app: scorer}}
  template:
    metadata: {labels: {app: scorer}}
    spec:
      containers:
        - name: sidecar
          image: example.com/proxy:1
        - name: scorer
          image: scorer:latest
          ports: [{containerPort: 8000}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: scorer}
spec:
  selector: {app: scorer}
  ports: [{name: web, port: 80, targetPort: 8000}]
"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster that no test changes."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, opened(folder, patch) as site:
        yield site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with opened(tmp_path, monkeypatch) as site:
        yield site


def planned(site: Site, **settings: object) -> list[str]:
    return [action.summary for action in site.plan(site.image(1), **settings)]


# -- what others did ------------------------------------------------------------------------


def test_what_is_deleted_is_made_again(site: Site) -> None:
    site.deploy(site.image(1))
    site.apps().delete_namespaced_deployment("scorer", "default")
    assert planned(site) == ["create  deployment scorer"]
    site.deploy(site.image(1))
    assert site.running() == [digest(1)] * 2


def test_what_is_changed_has_another_owner_until_it_is_taken(site: Site) -> None:
    site.deploy(site.image(1))
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.spec.replicas = 3
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="kubectl-edit")
    said = "take    deployment scorer  (.spec.replicas of kubectl-edit)"
    assert planned(site) == [said]
    with pytest.raises(StageError) as refused:
        site.deploy(site.image(1))
    assert "deployment scorer: .spec.replicas of kubectl-edit" in str(refused.value)
    assert "force: true" in str(refused.value)
    assert planned(site, force=True) == ["update  deployment scorer  (replicas: 3 → 2)"]
    site.deploy(site.image(1), force=True)
    assert planned(site) == []
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 2


def test_what_others_add_stays_theirs(site: Site) -> None:
    site.deploy(site.image(1))
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.metadata.annotations["team"] = "risk"
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="kubectl-edit")
    assert planned(site) == []
    site.deploy(site.image(2))
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    assert deployment["metadata"]["annotations"]["team"] == "risk"


def test_what_others_take_away_is_put_back(site: Site) -> None:
    site.deploy(site.image(1), {"env": {"MODE": "fast"}})
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.spec.template.spec.containers[0].env.pop()
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="kubectl-edit")
    service = {"env": {"MODE": "fast"}}
    (action,) = site.plan(site.image(1), service)
    assert action.summary == "update  deployment scorer  (containers[scorer].env[MODE]: none → …)"
    site.deploy(site.image(1), service)
    assert site.plan(site.image(1), service) == ()


def test_an_image_that_was_set_by_hand_is_seen(site: Site) -> None:
    site.deploy(site.image(1))
    other = site.image(2)
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.spec.template.spec.containers[0].image = other.reference
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="kubectl-set")
    (said,) = planned(site)
    assert '.containers[name="scorer"].image of kubectl-set' in said
    site.deploy(site.image(1), force=True)
    assert site.running() == [digest(1)] * 2


def test_pods_that_an_autoscaler_adds_stay(site: Site) -> None:
    text = DEPLOYMENT.replace("  replicas: 1\n", "").replace("example.com/proxy:1", "scorer:1")
    (site.root / "app.yaml").write_text(text)
    site.cluster.images.tags = {"scorer:1": digest(9)}
    how: dict[str, Any] = {"service": {"probe": ""}, "manifests": "app.yaml"}
    site.deploy(site.image(1), **how)
    apps: Any = site.apps()
    there = apps.read_namespaced_deployment("scorer", "default")
    there.spec.replicas = 3
    apps.replace_namespaced_deployment("scorer", "default", there, field_manager="hpa")
    assert site.plan(site.image(1), **how) == ()
    site.deploy(site.image(2), **how)
    assert site.running().count(digest(2)) == 3


# -- manifests ----------------------------------------------------------------------------------


def test_plain_manifests_get_the_image_by_its_digest(site: Site) -> None:
    folder = site.root / "manifests"
    folder.mkdir()
    (folder / "app.yaml").write_text(f"{DEPLOYMENT}---{SERVICE}")
    site.cluster.images.tags = {"example.com/proxy:1": digest(9)}
    site.deploy(site.image(1), manifests="manifests")
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    sidecar, container = deployment["spec"]["template"]["spec"]["containers"]
    assert sidecar["image"] == "example.com/proxy:1"
    assert container["image"].endswith(digest(1))
    assert sorted(site.running()) == sorted([digest(1), digest(9)])
    assert planned(site, manifests="manifests") == []


def test_other_workloads_get_the_image_too(site: Site) -> None:
    containers = "[{name: scorer, image: scorer:latest}, {name: other, image: other:1}]"
    pod = f"{{spec: {{restartPolicy: Never, containers: {containers}}}}}"
    job = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n"
    job += f'  schedule: "0 3 * * *"\n  jobTemplate: {{spec: {{template: {pod}}}}}\n'
    (site.root / "app.yaml").write_text(f"{job}---{DEPLOYMENT}---{SERVICE}")
    site.cluster.images.tags = {"example.com/proxy:1": digest(9)}
    site.deploy(site.image(1), manifests="app.yaml")
    made = site.cluster.get("CronJob", "nightly")
    assert made is not None
    spec = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert [c["image"] for c in spec["containers"]] == [site.image(1).reference, "other:1"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_a_kustomization_is_built(site: Site) -> None:
    base, overlay = site.root / "base", site.root / "overlay"
    base.mkdir()
    overlay.mkdir()
    (base / "app.yaml").write_text(
        DEPLOYMENT.replace("        - name: sidecar\n          image: example.com/proxy:1\n", "")
    )
    (base / "service.yaml").write_text(SERVICE)
    (base / "kustomization.yaml").write_text("resources: [app.yaml, service.yaml]\n")
    (overlay / "kustomization.yaml").write_text(
        "resources: [../base]\nreplicas: [{name: scorer, count: 3}]\n"
        "configMapGenerator: [{name: settings, literals: [MODE=fast]}]\n"
    )
    site.deploy(site.image(1), manifests="overlay")
    assert site.running() == [digest(1)] * 3
    assert planned(site, manifests="overlay") == []
    (overlay / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    with pytest.raises(StageError, match=r"kubectl kustomize fails.*missing\.yaml"):
        site.plan(site.image(1), manifests="overlay")


def test_a_kustomization_without_kubectl(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.root / "kustomization.yaml").write_text("resources: []\n")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StageError, match="needs kubectl, which is not installed"):
        site.plan(site.image(1), manifests=".")


def test_a_namespace_may_be_among_the_manifests(site: Site) -> None:
    namespace = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: ml, annotations: {on: 2026-11-24}}"
    )
    text = DEPLOYMENT.replace("example.com/proxy:1", "scorer:1")
    (site.root / "app.yaml").write_text(f"{text}---{SERVICE}---\n{namespace}")
    site.cluster.images.tags = {"scorer:1": digest(9)}
    how = {"manifests": "app.yaml", "namespace": "ml"}
    assert planned(site, **how)[0] == "create  namespace ml"
    site.deploy(site.image(1), **how)
    assert digest(1) in site.running("ml")
    assert planned(site, **how) == []


def test_an_image_that_no_node_can_pull() -> None:
    for location in (
        f"docker-daemon://{digest(1)}",
        f"docker://scorer@{digest(1)}",
        "docker://a/b:1",
    ):
        with pytest.raises(StageError, match="is in no registry"):
            Image.at(location)
    found = Image.at(f"docker://example.com/team/scorer@{digest(1)}", "1.0.0")
    assert found.reference == f"example.com/team/scorer@{digest(1)}"


BAD = [
    ("nothing: [", "is no YAML"),
    ("", "holds no object of Kubernetes"),
    ("name: x", "is no object of Kubernetes"),
    ("apiVersion: v1\nkind: Service", "has no name"),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: 1}", "has no name"),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: x, labels: [y]}", "is no map"),
    ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:", "no Deployment has a"),
    ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}", "is a Secret, which would be kept"),
    (SERVICE, 'no Deployment has a container "scorer"'),
    (DEPLOYMENT.replace("- name: scorer", "- name: web"), "container: with one of sidecar, web"),
    (
        DEPLOYMENT.replace("name: scorer\nspec", "name: scorer\n  namespace: ml\nspec"),
        "for the name",
    ),
    (DEPLOYMENT.replace("replicas: 1", "replica: 1"), r"\.spec\.replica: field not declared"),
    (DEPLOYMENT.replace("replicas: 1", "replicas: one"), r"\.spec\.replicas: expected numeric"),
    (DEPLOYMENT.replace("labels: {app: scorer}", "labels: {app: other}"), "does not match templ"),
    (DEPLOYMENT.replace("containerPort: 8000", "containerPort: 80000"), "between 1 and 65535"),
    (f"{DEPLOYMENT}---\napiVersion: a/v1\nkind: B\nmetadata: {{name: c}}", "no kind B in a/v1"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[said for _, said in BAD])
def test_manifests_that_cannot_be_used(
    untouched: Site, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    for name, value in untouched.cluster.environment().items():
        monkeypatch.setenv(name, value)
    (untouched.root / "app.yaml").write_text(text)
    before = len(untouched.cluster.api.calls)
    with pytest.raises(StageError, match=said):
        untouched.plan(untouched.image(1), {"probe": ""}, manifests="app.yaml")
    assert untouched.cluster.changes == []
    calls = untouched.cluster.api.calls[before:]
    assert sum(call.method == "PATCH" for call in calls) <= 1  # what is wrong is not tried again


def test_a_selector_cannot_be_changed(site: Site) -> None:
    (site.root / "app.yaml").write_text(DEPLOYMENT)
    site.cluster.images.tags = {"example.com/proxy:1": digest(9)}
    site.deploy(site.image(1), {"probe": ""}, manifests="app.yaml")
    (site.root / "app.yaml").write_text(DEPLOYMENT.replace("app: scorer", "app: other"))
    with pytest.raises(StageError, match="field is immutable"):
        site.plan(site.image(1), {"probe": ""}, manifests="app.yaml")


# -- what it takes ------------------------------------------------------------------------------


def test_a_plan_only_reads(site: Site) -> None:
    site.deploy(site.image(1))
    before = len(site.cluster.api.calls)
    site.plan(site.image(2))
    calls = site.cluster.api.calls[before:]
    assert {call.method for call in calls} == {"GET", "PATCH"}
    assert all(call.query["dryRun"] == "All" for call in calls if call.method == "PATCH")


def test_the_permission_at_aws_names_the_cluster() -> None:
    (permission,) = to_deploy(settings(TARGET), "prod")
    assert permission.actions == ("eks:DescribeCluster",)
    assert permission.resources == ("arn:aws:eks:eu-west-1:*:cluster/prod",)
