"""What things at SageMaker are called: by their content, so that making one twice makes one."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlpipe_aws import Settings
from mlpipe_endpoint.values import Deployment, Model

#: Tags of endpoints, configurations and models that were made here.
OWNER = "mlpipe:endpoint"
SALT, DECLARED, REPLACED, VERIFIED = (
    f"mlpipe:{name}" for name in ("salt", "declared", "replaced", "verified")
)
#: What ids of requests begin with that mlpipe itself sends: they are no traffic.
ASKED = "mlpipe-"
_LONGEST = 50


def model_name(deployment: Deployment, model: Model, settings: Settings) -> str:
    """Name the SageMaker model of a model in an image."""
    image = {name: deployment.hosting.get(name) for name in ("framework", "image")}
    return _named(deployment.name, [model.digest, image, settings.role, list(settings.subnets)])


def config_name(deployment: Deployment, settings: Settings) -> str:
    """Name the configuration that a deployment would be created with."""
    models = {n: model_name(deployment, m, settings) for n, m in deployment.variants.items()}
    content = [models, dict(deployment.weights), dict(deployment.hosting)]
    shadow = [dict(deployment.shadow)] if deployment.shadow else []
    return _named(deployment.name, content + shadow)


def alarm_name(endpoint: str, variant: str, what: str) -> str:
    """Name an alarm of a variant's."""
    return f"mlpipe-{endpoint}-{variant}-{what}"


def captures_prefix(settings: Settings, endpoint: str) -> str:
    """Give the prefix, in the bucket, of what SageMaker captures of an endpoint."""
    return f"{settings.prefix}/captures/{endpoint}"


def _named(endpoint: str, content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{endpoint[:_LONGEST].rstrip('-')}-{digest}"


def tags_of(deployment: Deployment) -> dict[str, str]:
    """Give what an endpoint's tags say beside its configuration; few characters are allowed."""
    return {
        SALT: base64.urlsafe_b64encode(deployment.salt.encode()).decode(),
        DECLARED: " ".join(
            f"{name}={float(weight)!r}" for name, weight in sorted(deployment.declared.items())
        ),
        REPLACED: " ".join(f"{old}={new}" for old, new in sorted(deployment.replaced.items())),
    }


def from_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    """Read what ``tags_of`` gave, as members of a deployment."""
    declared = (pair.split("=") for pair in tags.get(DECLARED, "").split())
    return {
        "salt": base64.urlsafe_b64decode(tags.get(SALT, "")).decode(),
        "declared": {name: float(weight) for name, weight in declared},
        "replaced": dict(pair.split("=") for pair in tags.get(REPLACED, "").split()),
    }


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Give tags as requests have them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]
