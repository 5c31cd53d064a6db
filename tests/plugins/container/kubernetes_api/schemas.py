"""The kinds that the server knows, what their objects may say, and what it fills in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.plugins.container.kubernetes_api.errors import Refused, invalid


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        name: As ``Deployment``.
        group: As ``apps/v1``.
        plural: In paths.
        model: The class in ``kubernetes.client`` that is made from its OpenAPI schema.
        namespaced: Whether its objects are in namespaces.
    """

    name: str
    group: str
    plural: str
    model: str
    namespaced: bool = True


KINDS = (
    Kind("Namespace", "v1", "namespaces", "V1Namespace", namespaced=False),
    Kind("ConfigMap", "v1", "configmaps", "V1ConfigMap"),
    Kind("Secret", "v1", "secrets", "V1Secret"),
    Kind("Service", "v1", "services", "V1Service"),
    Kind("ServiceAccount", "v1", "serviceaccounts", "V1ServiceAccount"),
    Kind("ResourceQuota", "v1", "resourcequotas", "V1ResourceQuota"),
    Kind("Pod", "v1", "pods", "V1Pod"),
    Kind("Event", "v1", "events", "CoreV1Event"),
    Kind("Deployment", "apps/v1", "deployments", "V1Deployment"),
    Kind("CronJob", "batch/v1", "cronjobs", "V1CronJob"),
    Kind("ReplicaSet", "apps/v1", "replicasets", "V1ReplicaSet"),
    Kind(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        "horizontalpodautoscalers",
        "V2HorizontalPodAutoscaler",
    ),
    Kind("Ingress", "networking.k8s.io/v1", "ingresses", "V1Ingress"),
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_EXPECTED = {
    "int_type": "expected numeric (int or float)",
    "string_type": "expected string",
    "bool_type": "expected boolean",
    "list_type": "expected list",
    "model_type": "expected map",
    "dict_type": "expected map",
}


def check(kind: Kind, body: Mapping[str, Any]) -> None:
    """Hold an object against its schema.

    Raises:
        Refused: 500 for what the schema does not know, as API servers do to date; else 422.
    """
    import kubernetes.client
    from pydantic import ValidationError

    name = str(body["metadata"].get("name", ""))
    model = getattr(kubernetes.client, kind.model)
    try:
        parsed = model.model_validate(body).to_dict(serialize=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = _dotted(first["loc"])
        if first["type"] == "missing":
            raise invalid(kind.name, name, where, "Required value", "FieldValueRequired") from None
        if first["type"] == "extra_forbidden":
            raise _untyped(kind, body, f".{where}: field not declared in schema") from None
        expected = _EXPECTED.get(first["type"], first["msg"])
        got = type(first["input"]).__name__
        raise _untyped(kind, body, f".{where}: {expected}, got {got}") from None
    unknown = _unknown(body, parsed, "")
    if unknown:
        raise _untyped(kind, body, f"{unknown}: field not declared in schema")
    if not _NAME.fullmatch(name):
        raise invalid(
            kind.name, name, "metadata.name", "Invalid value: not RFC 1123", "FieldValueInvalid"
        )
    if kind.name == "Deployment":
        _check_deployment(name, body["spec"])


def filled(kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
    """Give an object with the server's defaults."""
    if kind.name == "Deployment":
        spec = body["spec"]
        _default(spec, progressDeadlineSeconds=600, replicas=1, revisionHistoryLimit=10)
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        _default(spec, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
        _fill_pod(spec["template"].setdefault("spec", {}))
    if kind.name == "Service":
        spec = body.setdefault("spec", {})
        _default(spec, type="ClusterIP", sessionAffinity="None", clusterIP="10.0.0.7")
        for port in spec.get("ports", ()):
            _default(port, protocol="TCP", targetPort=port["port"])
    return body


def _fill_pod(spec: dict[str, Any]) -> None:
    _default(spec, dnsPolicy="ClusterFirst", restartPolicy="Always", securityContext={})
    _default(spec, schedulerName="default-scheduler", terminationGracePeriodSeconds=30)
    for container in spec["containers"]:
        _default(container, imagePullPolicy="IfNotPresent", resources={})
        _default(container, terminationMessagePath="/dev/termination-log")
        for port in container.get("ports", ()):
            _default(port, protocol="TCP")
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            if probe in container:
                _default(container[probe], timeoutSeconds=1, periodSeconds=10)
                _default(container[probe], successThreshold=1, failureThreshold=3)
                if "httpGet" in container[probe]:
                    _default(container[probe]["httpGet"], scheme="HTTP")


def _default(mapping: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        mapping.setdefault(name, value)


def _check_deployment(name: str, spec: Mapping[str, Any]) -> None:
    labels = spec["template"].get("metadata", {}).get("labels", {})
    matched = spec["selector"].get("matchLabels", {})
    if not matched or any(labels.get(k) != v for k, v in matched.items()):
        raise invalid(
            "Deployment",
            name,
            "spec.template.metadata.labels",
            f"Invalid value: {labels}: `selector` does not match template `labels`",
            "FieldValueInvalid",
        )
    for index, container in enumerate(spec["template"]["spec"]["containers"]):
        at = f"spec.template.spec.containers[{index}]"
        if not container.get("image"):
            raise invalid("Deployment", name, f"{at}.image", "Required value", "FieldValueRequired")
        for place, port in enumerate(container.get("ports", ())):
            if not 0 < port["containerPort"] < 65536:
                field = f"{at}.ports[{place}].containerPort"
                said = f"Invalid value: {port['containerPort']}: must be between 1 and 65535"
                raise invalid("Deployment", name, field, said, "FieldValueInvalid")


def _untyped(kind: Kind, body: Mapping[str, Any], why: str) -> Refused:
    meta = body["metadata"]
    group = kind.group if "/" in kind.group else f"/{kind.group}"
    what = f"{meta.get('namespace', '')}/{meta.get('name', '')}; {group}, Kind={kind.name}"
    return Refused(500, f"failed to create typed patch object ({what}): {why}", reason="")


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _unknown(raw: Any, parsed: Any, path: str) -> str:
    """Name a field that the model only takes under the name that it has in Python."""
    if isinstance(raw, Mapping) and isinstance(parsed, Mapping):
        for key, value in raw.items():
            if key not in parsed:
                return f"{path}.{key}"
            if found := _unknown(value, parsed[key], f"{path}.{key}"):
                return found
    if isinstance(raw, list) and isinstance(parsed, list):
        for index, (one, other) in enumerate(zip(raw, parsed, strict=True)):
            if found := _unknown(one, other, f"{path}[{index}]"):
                return found
    return ""
