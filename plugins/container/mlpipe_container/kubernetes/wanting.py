"""From a recipe's block and an image to all objects that are to be there."""

import copy
import re
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError
from mlpipe_container.kubernetes import manifests
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.generating import NAME_LABEL, generated
from mlpipe_container.kubernetes.values import Image, Json, Probe, Service, Wanted, subject

_VERSION, _MANAGED = "app.kubernetes.io/version", "app.kubernetes.io/managed-by"
#: What others stand on comes first.
_ORDER = ("Namespace", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Service")


def wanted(config: KubernetesConfig, service: Service, image: Image, root: Path) -> Wanted:
    """Say what is to be in the cluster.

    Raises:
        StageError: The manifests cannot be used, or have no container of the name.
    """
    container = config.container or service.name
    if config.manifests is None:
        objects = generated(service, container, config.secrets)
    else:
        objects = manifests.read(root, config.manifests)
    filled = [_labelled(_placed(o, config.namespace), service.name, image) for o in objects]
    _set_image(filled, container, image, config.manifests or "")
    filled.sort(key=lambda body: _ORDER.index(body["kind"]) if body["kind"] in _ORDER else 99)
    probe = _probe(service, filled) if service.probe else None
    return Wanted(
        service=service.name,
        cluster=config.cluster,
        namespace=config.namespace,
        container=container,
        image=image,
        objects=tuple(filled),
        probe=probe,
    )


def _placed(body: Json, namespace: str) -> Json:
    result = copy.deepcopy(body)
    said = result["metadata"].pop("namespace", namespace)
    if said != namespace:
        raise StageError(
            f"is for the namespace {said}",
            where=subject(body),
            fix=f"Take the namespace out of the manifest, or say namespace: {said}.",
        )
    return result


def _labelled(body: Json, service: str, image: Image) -> Json:
    labels = {NAME_LABEL: service, **(body["metadata"].get("labels") or {})}
    labels[_MANAGED] = "mlpipe"
    if image.version:
        labels[_VERSION] = re.sub(r"[^A-Za-z0-9._-]", "_", image.version)[:63].strip("._-")
    return {**body, "metadata": {**body["metadata"], "labels": labels}}


def _set_image(objects: list[Json], container: str, image: Image, where: str) -> None:
    deployments = [body for body in objects if body["kind"] == "Deployment"]
    names = sorted({str(c.get("name")) for body in deployments for c in _containers(body)})
    if container not in names:
        raise StageError(
            f'no Deployment has a container "{container}"',
            where=f"kubernetes.manifests: {where}",
            fix=f"Say container: with one of {', '.join(names)}."
            if names
            else "Give a Deployment; other kinds are applied, but not rolled out.",
        )
    for each in (c for body in objects for c in _containers(body)):
        if each.get("name") == container:
            each["image"] = image.reference


def _containers(body: Json) -> list[Any]:
    """Give the containers of a workload; what is no list of them, the server refuses."""
    job = _at(body, "spec", "jobTemplate") or body
    spec = _at(job, "spec", "template", "spec")
    found = [spec.get(each) for each in ("initContainers", "containers")]
    each = (item for items in found if isinstance(items, list) for item in items)
    return [item for item in each if isinstance(item, dict)]


def _at(node: Any, *path: str) -> Json:
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _probe(service: Service, objects: list[Json]) -> Probe:
    """Find the Service that has the service's name, or the only one."""
    services = [body for body in objects if body["kind"] == "Service"]
    named = [body for body in services if body["metadata"]["name"] == service.name]
    if len(named or services) != 1:
        raise StageError(
            f"there is no Service {service.name} to probe",
            where=f"service {service.name}",
            fix="Give a Service of that name in the manifests, or leave out the probe.",
        )
    (found,) = named or services
    ports = _at(found, "spec").get("ports")
    port = ports[0] if isinstance(ports, list) and ports else None
    if not isinstance(port, dict) or "port" not in port:
        raise StageError("has no port to probe", where=subject(found))
    return Probe(found["metadata"]["name"], str(port.get("name", port["port"])), service.probe)
