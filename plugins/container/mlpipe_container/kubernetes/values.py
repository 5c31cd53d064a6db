"""What is to run, and what was found: frozen values."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpipe.errors import StageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

#: An object of Kubernetes.
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that nodes pull.

    Attributes:
        repository: As ``111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn``.
        digest: ``sha256:<hex>`` of its manifest.
        version: What people call it, or empty.
        commit: What it was built from, or empty.
    """

    repository: str
    digest: str
    version: str = ""
    commit: str = ""

    @property
    def reference(self) -> str:
        """The image by its digest, which never means another one."""
        return f"{self.repository}@{self.digest}"

    @classmethod
    def at(cls, location: str, version: str = "", commit: str = "") -> "Image":
        """Read where an artifact is, as ``docker://HOST/NAME@sha256:…``.

        Raises:
            StageError: That is no registry's image, by its digest.
        """
        scheme, _, reference = location.partition("://")
        repository, _, digest = reference.rpartition("@")
        if scheme != "docker" or "/" not in repository or not _DIGEST.fullmatch(digest):
            raise StageError(
                f'"{location}" is in no registry, which nodes could pull it from',
                where="inputs.image",
                fix="Deploy what container.push gives: inputs: {image: <push>.image}",
            )
        return cls(repository, digest, version, commit)


@dataclass(frozen=True, slots=True)
class Service:
    """What the recipe says in a few lines.

    Attributes:
        name: Of the Deployment, its container and the Service.
        port: That the container listens on; also the Service's.
        replicas: Copies.
        env: Variables.
        resources: ``cpu`` and ``memory``, as Kubernetes writes them; asked for, and the limit.
        probe: A path that answers once the container can take requests; empty: none.
    """

    name: str
    port: int
    replicas: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    probe: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that the service must answer in the end.

    Attributes:
        service: The Service's name.
        port: One of its ports, by name or number.
        path: As ``/healthz``.
    """

    service: str
    port: str
    path: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service as it is to be.

    Attributes:
        service: Its name.
        cluster: At EKS.
        namespace: In the cluster.
        container: The name of the container that has the image.
        image: What it runs.
        objects: All of Kubernetes' objects, without what differs from run to run.
        probe: What it must answer, if anything.
    """

    service: str
    cluster: str
    namespace: str
    container: str
    image: Image
    objects: tuple[Json, ...]
    probe: Probe | None = None

    @property
    def deployments(self) -> tuple[str, ...]:
        """The names of the Deployments."""
        return tuple(o["metadata"]["name"] for o in self.objects if o["kind"] == "Deployment")

    @property
    def digest(self) -> str:
        """Stands for what runs, whatever it was built from."""
        facts = {**self.payload(), "commit": ""}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def payload(self) -> Json:
        """Give it as JSON, for a release."""
        probe = self.probe
        return {
            "service": self.service,
            "cluster": self.cluster,
            "namespace": self.namespace,
            "container": self.container,
            "repository": self.image.repository,
            "digest": self.image.digest,
            "version": self.image.version,
            "commit": self.image.commit,
            "objects": list(self.objects),
            "probe": [probe.service, probe.port, probe.path] if probe else None,
        }

    @staticmethod
    def from_payload(payload: Mapping[str, Any]) -> "Wanted":
        """Read what ``payload`` gave.

        Raises:
            StageError: It holds something else.
        """
        try:
            return Wanted(
                service=payload["service"],
                cluster=payload["cluster"],
                namespace=payload["namespace"],
                container=payload["container"],
                image=Image(
                    *(payload[key] for key in ("repository", "digest", "version", "commit"))
                ),
                objects=tuple(payload["objects"]),
                probe=Probe(*payload["probe"]) if payload["probe"] else None,
            )
        except (KeyError, TypeError) as error:
            raise StageError(
                f"the release holds no service of a Kubernetes cluster ({error!r})",
                fix="Roll back to another one: mlpipe releases list",
            ) from error


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying an object would change.

    Attributes:
        body: The object, as it is applied.
        path: Where it is.
        new: Whether it is not there yet.
        fields: What changes, a few words each.
        taken: Fields that somebody else has set to another value, with who that is.
    """

    body: Json
    path: str
    new: bool = False
    fields: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The object as people name it."""
        return subject(self.body)


@dataclass(frozen=True, slots=True)
class State:
    """What a cluster has, compared with what is wanted.

    Attributes:
        differences: Of those objects that are not as wanted.
        verified: What was last found to run and answer, if anything.
    """

    differences: tuple[Difference, ...]
    verified: Wanted | None


def subject(body: Json) -> str:
    """Name an object, as ``deployment churn``."""
    return f"{str(body['kind']).lower()} {body['metadata']['name']}"
