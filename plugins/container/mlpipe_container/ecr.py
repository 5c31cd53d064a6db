"""Repositories of Amazon's registry, ECR."""

import base64
from dataclasses import dataclass
from typing import Any

from mlpipe import Action, Stage
from mlpipe_aws import Settings, client, settings
from mlpipe_container.credentials import Login
from mlpipe_container.engines import Engine
from mlpipe_container.registries import Registry, Repository
from mlpipe_container.shelves import RegistryShelf, Stored


@dataclass(frozen=True, slots=True)
class EcrShelf:
    """A repository of the account's, which is made where it is not there.

    Attributes:
        name: Its name.
        found: The target's settings.
        stage: That pushes.
        scan: Whether known vulnerabilities are looked for.
        ecr: boto3's client.
    """

    name: str
    found: Settings
    stage: Stage
    scan: bool
    ecr: Any

    @classmethod
    def of(cls, name: str, stage: Stage, *, scan: bool) -> "EcrShelf":
        """Give a repository of the target's account and region."""
        found = settings(stage.target)
        return cls(name, found, stage, scan, client(found, "ecr"))

    @property
    def repository(self) -> str:
        """Host and name; the name alone while there is none."""
        return self._uri() or self.name

    def find(self, version: str) -> Stored | None:
        """Ask the registry for the tag."""
        uri = self._uri()
        return self._shelf(uri).find(version) if uri else None

    def preparations(self) -> tuple[Action, ...]:
        """List the repository, where it is not there."""
        if self._uri():
            return ()
        detail = "immutable tags, scan on push" if self.scan else "immutable tags"
        return (Action("create", f"ECR repository {self.name}", detail),)

    def put(self, engine: Engine, identifier: str, version: str) -> None:
        """Make the repository where it is not there, and push."""
        self._shelf(self._uri() or self._made()).put(engine, identifier, version)

    @property
    def registry(self) -> Registry:
        """The repository's client, with a token of twelve hours."""
        return self._shelf(self._uri()).registry

    def _uri(self) -> str:
        try:
            answer = self.ecr.describe_repositories(repositoryNames=[self.name])
        except self.ecr.exceptions.RepositoryNotFoundException:
            return ""
        return str(answer["repositories"][0]["repositoryUri"])

    def _made(self) -> str:
        key = self.found.kms_key
        encryption = {"encryptionType": "KMS", "kmsKey": key} if key else None
        try:
            answer = self.ecr.create_repository(
                repositoryName=self.name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": self.scan},
                tags=[{"Key": k, "Value": v} for k, v in self.found.tags.items()],
                **({"encryptionConfiguration": encryption} if encryption else {}),
            )
        except self.ecr.exceptions.RepositoryAlreadyExistsException:  # by another run
            return self._uri()
        return str(answer["repository"]["repositoryUri"])

    def _shelf(self, uri: str) -> RegistryShelf:
        host, _, name = uri.partition("/")
        return RegistryShelf(Registry(Repository(host, name), login(self.ecr)), self.stage.scratch)


def login(ecr: Any) -> Login:
    """Ask ECR for a password that is good for twelve hours.

    Args:
        ecr: boto3's client.
    """
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    username, _, password = base64.b64decode(token).decode().partition(":")
    return Login(username, password)
