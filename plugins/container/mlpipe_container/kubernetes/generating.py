"""The objects of a service that the recipe describes in a few lines."""

from collections.abc import Mapping

from mlpipe_container.kubernetes.values import Json, Service

NAME_LABEL = "app.kubernetes.io/name"


def generated(service: Service, container: str, secrets: Mapping[str, str]) -> tuple[Json, ...]:
    """Write a Deployment and a Service; the image is put in later.

    Args:
        service: What the recipe says.
        container: The container's name.
        secrets: Variables from Secrets, each as ``NAME/KEY``.
    """
    labels = {NAME_LABEL: service.name}
    meta = {"name": service.name, "labels": labels}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": labels},
            # A new pod is ready before an old one goes.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [_container(service, container, secrets)]},
            },
        },
    }
    ports = [{"name": "http", "port": service.port, "targetPort": service.port}]
    spec = {"selector": labels, "ports": ports}
    return (
        deployment,
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec},
    )


def _container(service: Service, name: str, secrets: Mapping[str, str]) -> Json:
    variables = {"PORT": str(service.port), **service.env}
    env: list[Json] = [{"name": key, "value": value} for key, value in variables.items()]
    for variable, place in secrets.items():
        secret, _, key = place.partition("/")
        env.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    container: Json = {
        "name": name,
        "image": "",
        "ports": [{"containerPort": service.port}],
        "env": env,
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    if service.resources:
        asked = dict(service.resources)
        container["resources"] = {"requests": asked, "limits": dict(asked)}
    if service.probe:
        container["readinessProbe"] = {
            "httpGet": {"path": service.probe, "port": service.port},
            "periodSeconds": 2,
        }
    return container
