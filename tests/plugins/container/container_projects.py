"""A project whose stages build, push and deploy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlpipe_container
from mlpipe import Action, Artifact, Stage, StageResult, Target
from mlpipe.testing import make_stage
from mlpipe_container.config import BuildConfig, DeployConfig, PushConfig
from tests.engines import Engine

DOCKERFILE = """\
FROM localhost/shell:1
COPY settings.txt /srv/
COPY app.txt /srv/
CMD ["httpd", "-f", "-p", "8000", "-h", "/srv"]
"""
#: A program that listens where it is told, which without a network of its own it must.
SERVE = """\
FROM localhost/shell:1
COPY . /srv/
CMD ["sh", "-c", "exec httpd -f -p $PORT -h /srv"]
"""


@dataclass(frozen=True)
class Project:
    """A project."""

    root: Path
    engine: Engine

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def stage(
        self,
        verb: str,
        *,
        inputs: Mapping[str, Artifact] | None = None,
        secrets: Mapping[str, str] | None = None,
        target: Target | None = None,
    ) -> Stage:
        probe = make_stage(
            self.root, verb, name=verb, inputs=inputs, secrets=secrets, target=target
        )
        return replace(probe.stage, recipe="scorer")

    def build(self, given: Mapping[str, str] | None = None, **settings: Any) -> StageResult:
        """Build with these settings, and the values of secrets."""
        config = BuildConfig.model_validate({"context": "service", **self._network, **settings})
        return mlpipe_container.build(config=config, stage=self.stage("build", secrets=given))

    def identities(self, **settings: Any) -> Mapping[str, str]:
        config = BuildConfig.model_validate({"context": "service", **settings})
        return mlpipe_container.resolve(config=config, stage=self.stage("build"))

    def push(self, image: Artifact, **given: Any) -> StageResult:
        config, stage = self._pushing(image, **given)
        return mlpipe_container.push(config=config, stage=stage)

    def push_plan(self, image: Artifact, **given: Any) -> list[str]:
        config, stage = self._pushing(image, **given)
        return summaries(mlpipe_container.preview(config=config, stage=stage))

    def deploy(
        self, image: Artifact, secrets: Mapping[str, str] | None = None, **settings: Any
    ) -> StageResult:
        config, stage = self._deploying(image, secrets, **settings)
        return mlpipe_container.deploy(config=config, stage=stage)

    def deploy_plan(self, image: Artifact, **settings: Any) -> list[str]:
        config, stage = self._deploying(image, settings.pop("secret_values", None), **settings)
        return summaries(mlpipe_container.preview(config=config, stage=stage))

    def _pushing(
        self,
        image: Artifact,
        target: Target | None = None,
        sbom: Path | None = None,
        secrets: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> tuple[PushConfig, Stage]:
        inputs = {"image": image}
        if sbom is not None:
            inputs["sbom"] = Artifact("sbom", "sha256:0", str(sbom))
        config = PushConfig.model_validate({"repository": "scorer", "version": "1.0.0", **settings})
        return config, self.stage("push", inputs=inputs, target=target, secrets=secrets)

    def _deploying(
        self, image: Artifact, secrets: Mapping[str, str] | None, **settings: Any
    ) -> tuple[DeployConfig, Stage]:
        names = settings.pop("names", sorted(secrets or ()))
        given = {"service": "scorer", "network": "host", "secrets": names}
        config = DeployConfig.model_validate({**given, **settings})
        return config, self.stage("deploy", inputs={"image": image}, secrets=secrets)

    @property
    def _network(self) -> dict[str, str]:
        return {"network": "host"}  # the tests' Docker has no bridge


def container_project(root: Path, engine: Engine) -> Project:
    """Make a project with a small service."""
    (root / ".mlpipe").mkdir(parents=True)
    made = Project(root, engine)
    made.write(
        {
            "service/Dockerfile": DOCKERFILE,
            "service/settings.txt": "settings\n",
            "service/app.txt": "one\n",
        }
    )
    return made


def summaries(actions: Any) -> list[str]:
    found: list[Action] = list(actions)
    return [each.summary for each in found]


def image_of(result: StageResult) -> Artifact:
    image = result.outputs["image"]
    assert isinstance(image, Artifact)
    return image


def file_of(result: StageResult, name: str) -> Path:
    path = result.outputs[name]
    assert isinstance(path, Path)
    return path
