"""What recipes say to ``container.build``, ``container.push`` and ``container.deploy``."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mlpipe import (
    Declares,
    Duration,
    InputFile,
    Permission,
    Scalar,
    SecretName,
    StageConfig,
    Target,
)
from mlpipe_container.kubernetes.config import KubernetesConfig

EngineName = Literal["docker", "podman"]

#: https://semver.org, without build metadata: a tag cannot hold its "+".
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*))*)?"
)
_REPOSITORY = re.compile(
    r"([a-zA-Z0-9.-]+(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
)
_NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"


def _relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f'"{value}" is outside the sources')
    return path.as_posix()


def _version(value: str) -> str:
    plain = value.removeprefix("v")
    if not _VERSION.fullmatch(plain):
        raise ValueError(
            f'"{value}" is no semantic version, as 1.4.2 or 1.5.0-rc.1 are (https://semver.org)'
        )
    return plain


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value):
        raise ValueError(
            f'"{value}" is no repository, as scorer or registry.example.com/team/scorer are; '
            "the version is given by version:"
        )
    return value


def has_host(repository: str) -> bool:
    """Tell whether a repository's name begins with a registry's."""
    first, slash, _ = repository.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PythonProject(_Block):
    """A Dockerfile that is written for a Python project."""

    base: str = Field(
        description="The image to start from, with Python and pip, pinned by digest: "
        "python:3.12-slim@sha256:…"
    )
    requirements: Annotated[str, AfterValidator(_relative)] = Field(
        default="requirements.txt", description="What to install, by its path in the sources."
    )
    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="What the container runs, as [uvicorn, service:app, --port, '8000']."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Where it listens.")
    health: str = Field(
        default="", pattern=r"^(/\S*)?$", description="A path that answers 200 while it is well."
    )


class BuildConfig(StageConfig):
    """Build an image from sources, with Docker or Podman.

    The input ``source`` is the context; other inputs, as a model, are files in it, by their names.
    """

    context: InputFile | None = Field(
        default=None,
        description="The folder of the project to build; the input source when left out.",
    )
    folder: Annotated[str, AfterValidator(_relative)] = Field(
        default=".", description="The folder within the sources that is the build's context."
    )
    dockerfile: Annotated[str, AfterValidator(_relative)] = Field(
        default="Dockerfile", description="The Dockerfile's path in the context."
    )
    python: PythonProject | None = Field(
        default=None, description="Write the Dockerfile, for a Python project."
    )
    build_args: Mapping[str, Scalar] = Field(
        default_factory=dict, description="Values of ARG. No secrets: they stay in the image."
    )
    secrets: Mapping[str, SecretName] = Field(
        default_factory=dict,
        description="Secrets that RUN --mount=type=secret,id=… reads; they do not stay.",
    )
    platform: str = Field(
        default="", pattern=r"^([a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?)?$", description="As linux/arm64."
    )
    target: str = Field(default="", description="The stage of the Dockerfile to build.")
    network: Literal["", "host", "none"] = Field(default="", description="Of RUN.")
    pull: bool = Field(default=False, description="Whether to look for newer images to start from.")
    reproducible: bool = Field(
        default=False,
        description="The same bytes from the same sources: no cache, and the commit's date "
        "everywhere. Podman leaves out HEALTHCHECK then.",
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="Of the image.")
    revision: str = Field(default="", description="The commit.")
    created: str = Field(default="", description="The commit's date, in ISO 8601.")
    version: str = Field(default="", description="The semantic version.")
    repository: str = Field(default="", description="Where the sources are, as a URL.")
    engine: EngineName | None = Field(
        default=None, description="Docker if it runs, else Podman, when left out."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.python is not None and self.dockerfile != "Dockerfile":
            raise ValueError("python: writes the Dockerfile; leave out dockerfile:")
        if self.reproducible and not self.created:
            raise ValueError("reproducible: needs a date: created: ${stages.<checkout>.date}, say")
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The image, and what is in it."""
        if ("source" in inputs) == (self.context is not None):
            raise ValueError(
                "give either the input source, as inputs: {source: code.source}, or context: with "
                "a folder of the project"
            )
        return Declares(
            outputs=("image", "sbom", "dockerfile"),
            metrics=("size", "layers", "packages"),
            values=("id", "engine"),
        )

    def unkept(self, root: object, place: str, digest: str) -> str:
        """Whether the engine still has the image."""
        from mlpipe_container.images import missing

        return missing(place)


class PushConfig(StageConfig):
    """Store an image in a registry under a version, once."""

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    repository: Annotated[str, AfterValidator(_repository)] = Field(
        description="A name, which is looked up in ECR on a target of type aws, in the target's "
        "registry: or else in the engine's own images on a local one; or a name with a "
        "registry's host."
    )
    version: Annotated[str, AfterValidator(_version)] = Field(
        description="The semantic version, as ${stages.code.version}."
    )
    username: str = Field(default="", description="Of the registry.")
    password: SecretName | None = Field(
        default=None, description="The secret with the password or token of the registry."
    )
    scan: bool = Field(default=True, description="Whether ECR looks for known vulnerabilities.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("username: and password: go together")
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The image in the registry."""
        if "image" not in inputs:
            raise ValueError("give the image to push: inputs: {image: <build>.image}")
        return Declares(
            outputs=("image",),
            metrics=(),
            values=("reference", "repository", "version", "digest"),
        )

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """To make the repository in ECR, and to push to it."""
        if target.type != "aws" or has_host(self.repository):
            return ()
        from mlpipe_aws import settings
        from mlpipe_container.ecrpermissions import to_push

        return to_push(settings(target), self.repository)

    def outside(self) -> bool:
        """Nothing is resolved: ``preview`` looks."""
        return False


class Probe(_Block):
    """What a new container is asked before it gets requests."""

    path: str = Field(
        default="",
        pattern=r"^(/\S*)?$",
        description="Answers 200 to 399 when well. When left out, the image's HEALTHCHECK is "
        "asked, or else only whether it listens.",
    )
    timeout: Duration = Field(default=60.0, description="How long it may take to become well.")


class Resources(_Block):
    """What each container may use."""

    cpus: float | None = Field(default=None, gt=0, description="In cores.")
    memory: str = Field(
        default="", pattern=r"^(\d+(\.\d+)?(Ki|Mi|Gi))?$", description="As 512Mi or 2Gi."
    )


class DeployConfig(StageConfig):
    """Put an image into service."""

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    service: str = Field(pattern=_NAME, description="The service's name.")
    version: str = Field(
        default="",
        description="What the release is called; the version that the image's labels name, if "
        "left out.",
    )
    commit: str = Field(default="", description="That the image was built from.")
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Where the service answers on this machine; a free one, which it keeps, if 0.",
    )
    container_port: int = Field(
        default=8000,
        ge=1,
        le=65535,
        description="Where the program in the container listens. It finds it in PORT too.",
    )
    replicas: int = Field(default=1, ge=1, le=100, description="How many containers.")
    env: Mapping[str, str] = Field(default_factory=dict, description="Variables.")
    secrets: tuple[SecretName, ...] = Field(
        default=(), description="Secrets that are variables of the containers."
    )
    resources: Resources = Field(default=Resources(), description="What each container may use.")
    probe: Probe = Field(default=Probe(), description="Asked before a container gets requests.")
    grace: Duration = Field(
        default=30.0, description="How long requests may take that the old containers still have."
    )
    network: Literal["bridge", "host"] = Field(
        default="bridge",
        description="With host, the program must listen on the port that PORT names.",
    )
    engine: EngineName | None = Field(
        default=None, description="Docker if it runs, else Podman, when left out."
    )
    kubernetes: KubernetesConfig | None = Field(
        default=None, description="The cluster that the service runs in on a target of type aws."
    )

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Where the service is."""
        if "image" not in inputs:
            raise ValueError("give the image to deploy: inputs: {image: <push>.image}")
        return Declares(outputs=(), metrics=())

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """To find the cluster, on a target of type aws; what is allowed in it, the cluster says."""
        if target.type != "aws" or self.kubernetes is None:
            return ()
        from mlpipe_aws import settings
        from mlpipe_container.kubernetes.permissions import to_deploy

        return to_deploy(settings(target), self.kubernetes.cluster)

    def outside(self) -> bool:
        """Nothing is resolved: ``preview`` looks."""
        return False
