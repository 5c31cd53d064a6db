"""Manifests of any shape: used, or refused with words."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.errors import StageError
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.values import Image, Service, Wanted
from mlpipe_container.kubernetes.wanting import wanted
from tests.plugins.container.kubernetes_site import REPOSITORY, digest

OBJECTS: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "scorer", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"initContainers": [], "containers": [{"name": "scorer", "image": "x"}]},
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "scorer"},
        "spec": {"ports": [{"name": "web", "port": 80}]},
    },
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text("ab-é:", max_size=3)
    | st.dates()
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text("ab") | st.integers(0, 1), inner, max_size=2)
    ),
    max_leaves=3,
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """List the ways to everything within a value."""
    if not isinstance(value, dict | list):
        return []
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [(key, *rest) for key, item in pairs for rest in ((), *places(item))]


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(places(OBJECTS)), value=VALUES)
def test_a_manifest_is_used_or_refused(place: tuple[Any, ...], value: Any) -> None:
    objects: Any = copy.deepcopy(OBJECTS)
    *way, last = place
    node = objects
    for step in way:
        node = node[step]
    node[last] = value
    config = KubernetesConfig(cluster="prod", manifests="app.yaml")
    image = Image(REPOSITORY, digest(1), "1.0.0")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "app.yaml")
        file.write_text(yaml.safe_dump_all(objects, allow_unicode=True), "utf-8")
        try:
            found = wanted(config, Service("scorer", 8000, probe="/"), image, file.parent)
        except StageError:
            return
    again = Wanted.from_payload(json.loads(json.dumps(found.payload())))
    assert again.digest == found.digest
    assert image.reference in json.dumps(found.payload()["objects"])
