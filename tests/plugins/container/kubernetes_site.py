"""A project that deploys to an emulated cluster, as tests drive it."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, AppsV1Api, Configuration

from mlpipe import Action, Release, RollbackContext, Stage, StageResult, Target
from mlpipe_aws import settings
from mlpipe_container.kubernetes import deploying
from mlpipe_container.kubernetes.access import access
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.values import Image, Service
from tests.plugins.container.kubernetes_api import Cluster, Program, start

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/scorer"
TARGET = Target("aws", "aws", {"region": "eu-west-1", "bucket": "acme-ml"})


def digest(number: int) -> str:
    """Give the digest of one of the images in tests."""
    return f"sha256:{hashlib.sha256(bytes([number])).hexdigest()}"


@dataclass
class Site:
    """A project and its cluster.

    Attributes:
        root: The project's folder.
        cluster: The emulator.
        service: The recipe's few lines.
        settings: The block ``kubernetes``.
        runs: How many runs there were.
    """

    root: Path
    cluster: Cluster
    service: Mapping[str, Any] = field(
        default_factory=lambda: {"name": "scorer", "port": 8000, "replicas": 2, "probe": "/"}
    )
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {"cluster": "prod", "timeout": 20, "patience": 0.3}
    )
    runs: int = 0

    def image(self, number: int, program: Program | None = None) -> Image:
        """Put an image into the registry; its version is 1.<number>.0."""
        self.cluster.program(digest(number), program)
        return Image(REPOSITORY, digest(number), f"1.{number}.0", f"{number:040x}")

    def deploy(self, image: Image, /, service: Any = None, **settings: Any) -> StageResult:
        """Deploy in a new run."""
        self.runs += 1
        return deploying.deploy(*self._asked(image, service, settings))

    def plan(self, image: Image, /, service: Any = None, **settings: Any) -> tuple[Action, ...]:
        """List what a deploy would do."""
        return deploying.preview(*self._asked(image, service, settings))

    def rollback(self, release: Release) -> StageResult:
        """Roll back to a release."""
        return deploying.rollback(
            release, RollbackContext(self.root, self.root / ".mlpipe", TARGET, None)
        )

    def running(self, namespace: str = "default") -> list[str]:
        """Give the digests of the images of ready pods."""
        return sorted(
            container["imageID"].rpartition("@")[2]
            for pod in self.cluster.pods(namespace)
            for container in pod["status"].get("containerStatuses", ())
            if container["ready"]
        )

    def apps(self) -> AppsV1Api:
        """Give the official client, as somebody else uses it."""
        found = access(settings(TARGET), "prod")
        given = Configuration()
        given.host, given.ca_cert_data = found.endpoint, found.authority
        given.api_key = {"authorization": f"Bearer {found.tokens.current()}"}
        return AppsV1Api(ApiClient(given))

    def _asked(
        self, image: Image, service: Any, settings: Any
    ) -> tuple[KubernetesConfig, Service, Image, Stage]:
        stage = Stage(
            name="live",
            verb="deploy",
            recipe="scorer",
            run=f"run-{self.runs}",
            attempt=1,
            key="key",
            root=self.root,
            state_dir=self.root / ".mlpipe",
            scratch=self.root,
            target=TARGET,
        )
        config = KubernetesConfig.model_validate({**self.settings, **settings})
        return config, Service(**{**self.service, **(service or {})}), image, stage


@contextmanager
def opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start a cluster, which this process's clients find."""
    with start(root) as cluster:
        for name, value in cluster.environment().items():
            monkeypatch.setenv(name, value)
        yield Site(root, cluster)
