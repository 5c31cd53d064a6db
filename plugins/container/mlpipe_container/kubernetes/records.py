"""What of a service was verified last: a ConfigMap beside it, which outlives a killed deploy."""

import json

from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.values import Json, Wanted

_KEY = "verified"


def path(service: str, namespace: str) -> str:
    """Say where the record is."""
    return f"/api/v1/namespaces/{namespace}/configmaps/mlpipe-{service}"


def read(api: Api, service: str, namespace: str) -> Wanted | None:
    """Give what was verified last, if anything."""
    found = api.find(path(service, namespace))
    text = (found or {}).get("data", {}).get(_KEY)
    return Wanted.from_payload(json.loads(text)) if text else None


def write(api: Api, wanted: Wanted) -> None:
    """Note that a service runs and answers."""
    body: Json = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"mlpipe-{wanted.service}",
            "labels": {"app.kubernetes.io/managed-by": "mlpipe"},
        },
        "data": {_KEY: json.dumps(wanted.payload(), sort_keys=True)},
    }
    api.apply(path(wanted.service, wanted.namespace), body, force=True)
