"""The emulated API answers as the real one, to the official client."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException, AppsV1Api

from tests.plugins.container.kubernetes_site import Site, opened

LABELS = {"app": "web"}
BODY: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "containers": [
                    {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
                    {"name": "b", "image": "b:1"},
                ]
            },
        },
    },
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with opened(tmp_path, monkeypatch) as site:
        site.cluster.images.tags = {"a:1": "sha256:a", "b:1": "sha256:b", "a:2": "sha256:c"}
        yield site


@pytest.fixture
def apps(site: Site) -> AppsV1Api:
    return site.apps()


def apply(apps: AppsV1Api, body: Any, manager: str, *, force: bool = False, **how: Any) -> Any:
    given = {"field_manager": manager, "force": force, **how}
    return apps.patch_namespaced_deployment(
        "web", "default", body, _content_type="application/apply-patch+yaml", **given
    )


def changed(containers: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    body["spec"]["template"]["spec"]["containers"] = containers
    body["spec"] |= spec
    return body


def images(deployment: Any) -> dict[str, str]:
    return {each.name: each.image for each in deployment.spec.template.spec.containers}


def owners(deployment: Any, *path: str) -> list[str]:
    """Name the managers that own a field."""
    found = []
    for entry in deployment.metadata.managed_fields:
        node = entry.fields_v1
        for step in path:
            node = node.get(step) if node is not None else None
        found += [entry.manager] if node is not None else []
    return found


def test_named_lists_are_merged_by_their_keys(apps: AppsV1Api) -> None:
    apply(apps, BODY, "one")
    there = apply(apps, changed([{"name": "b", "image": "b:1"}]), "two")
    assert images(there) == {"a": "a:1", "b": "b:1"}
    there = apply(apps, changed([{"name": "b", "image": "b:1"}]), "one")  # takes "a" away
    assert images(there) == {"b": "b:1"}
    place = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name": "b"}', "f:image")
    assert owners(there, *place) == ["one", "two"]


def test_conflicts_name_the_owner_and_force_takes_the_field(apps: AppsV1Api) -> None:
    apply(apps, {**BODY, "spec": {**BODY["spec"], "replicas": 1}}, "one")
    other = changed([{"name": "a", "image": "a:2"}], replicas=2)
    with pytest.raises(ApiException) as refused:
        apply(apps, other, "two")
    assert refused.value.status == 409
    body = str(refused.value.body)
    assert '"reason": "Conflict"' in body
    assert 'conflict with \\"one\\" using apps/v1' in body
    assert '.spec.template.spec.containers[name=\\"a\\"].image' in body
    there = apply(apps, other, "two", force=True)
    assert there.spec.replicas == 2
    assert owners(there, "f:spec", "f:replicas") == ["two"]


def test_the_same_again_changes_nothing_and_neither_does_a_dry_run(apps: AppsV1Api) -> None:
    apply(apps, BODY, "one", dry_run="All")
    with pytest.raises(ApiException, match="404"):
        apps.read_namespaced_deployment("web", "default")
    first = apply(apps, BODY, "one")
    other = changed([{"name": "a", "image": "a:2"}])
    dry = apply(apps, other, "one", dry_run="All")
    assert images(dry) == {"a": "a:2"}
    assert dry.metadata.generation == 2
    again = apply(apps, BODY, "one")
    assert again.metadata.generation == first.metadata.generation
    assert images(again) == images(first)


def test_who_writes_a_field_owns_it(apps: AppsV1Api) -> None:
    apply(apps, {**BODY, "spec": {**BODY["spec"], "replicas": 1}}, "one")
    there: Any = apps.read_namespaced_deployment("web", "default")
    there.spec.replicas = 3
    there.metadata.resource_version = None
    there = apps.replace_namespaced_deployment("web", "default", there, field_manager="edit")
    assert owners(there, "f:spec", "f:replicas") == ["edit"]
    there.metadata.resource_version = "1"
    with pytest.raises(ApiException, match="the object has been modified"):
        apps.replace_namespaced_deployment("web", "default", there)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
    ({}, {"field_manager": None}, 400, "fieldManager is required"),
    ({}, {"_content_type": "application/merge-patch+json"}, 415, "unknown format"),
    ({"spec": {**BODY["spec"], "replica": 1}}, {}, 500, ".spec.replica: field not declared"),
    ({"spec": {**BODY["spec"], "replicas": "1"}}, {}, 500, ".spec.replicas: expected numeric"),
    ({"spec": {**BODY["spec"], "min_ready_seconds": 1}}, {}, 500, "field not declared"),
    ({"spec": {"selector": {"matchLabels": LABELS}}}, {}, 422, "spec.template: Required value"),
    ({"metadata": {"name": "other"}}, {}, 400, "does not match the name on the URL"),
]


def test_what_is_wrong_is_refused(site: Site, apps: AppsV1Api) -> None:
    for change, how, code, said in REFUSED:
        given = {"field_manager": "one", "_content_type": "application/apply-patch+yaml", **how}
        with pytest.raises(ApiException, match=said) as refused:
            apps.patch_namespaced_deployment("web", "default", {**BODY, **change}, **given)
        assert refused.value.status == code, said
        assert '"kind": "Status"' in str(refused.value.body)
    assert site.cluster.changes == []
