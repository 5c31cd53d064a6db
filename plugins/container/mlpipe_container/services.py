"""What a service is to be."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlpipe import Stage
from mlpipe_container.config import DeployConfig

#: Of the releases that deploys make.
KIND = "container"


@dataclass(frozen=True, slots=True)
class Service:
    """A service, as a release keeps it.

    Attributes:
        name: Its name.
        image: The image's location.
        version: The image's.
        port: Where it answers on this machine; 0 for a free one.
        container_port: Where the program in a container listens.
        replicas: How many containers.
        env: Variables.
        secrets: Names of secrets that are variables too.
        cpus: Cores that each container may use.
        memory: Bytes that it may use, as ``512Mi``.
        probe: A path that answers when a container is well.
        patience: Seconds that it may take to become well.
        grace: Seconds that requests to the old containers may still take.
        network: ``bridge`` or ``host``.
        engine: That is wanted, or ``""``.
    """

    name: str
    image: str
    version: str = ""
    port: int = 0
    container_port: int = 8000
    replicas: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    cpus: float | None = None
    memory: str = ""
    probe: str = ""
    patience: float = 60.0
    grace: float = 30.0
    network: str = "bridge"
    engine: str = ""

    def payload(self) -> dict[str, Any]:
        """Give it as a release's payload. The port is the machine's, and not kept."""
        facts = asdict(replace(self, port=0))
        return {**facts, "secrets": list(self.secrets)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "Service":
        """Read a payload.

        Raises:
            TypeError: It is none.
        """
        return cls(**{**payload, "secrets": tuple(payload.get("secrets", ()))})

    def mark(self, key: bytes, values: Mapping[str, str]) -> str:
        """Tell what containers of it are: two that differ in this are not the same.

        Args:
            key: The project's own, so that nobody can guess secrets by the mark.
            values: Of the secrets, by name.
        """
        same = replace(self, name="", version="", port=0, replicas=1, grace=0.0, patience=0.0)
        facts = [asdict(replace(same, probe="")), sorted(values.items())]
        return hmac.new(
            key, json.dumps(facts, sort_keys=True).encode(), hashlib.sha256
        ).hexdigest()[:16]


def wanted(config: DeployConfig, stage: Stage) -> Service:
    """Give the service that a recipe asks for."""
    return Service(
        name=config.service,
        image=stage.inputs["image"].uri(),
        version=config.version,
        port=config.port,
        container_port=config.container_port,
        replicas=config.replicas,
        env=dict(config.env),
        secrets=tuple(sorted(config.secrets)),
        cpus=config.resources.cpus,
        memory=config.resources.memory,
        probe=config.probe.path,
        patience=config.probe.timeout,
        grace=config.grace,
        network=config.network,
        engine=config.engine or "",
    )
