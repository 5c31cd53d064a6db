"""Places to deploy: this machine, and the emulated SageMaker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlpipe_endpoint
from mlpipe import Action, Release, RollbackContext, StageResult, Target
from mlpipe.testing import make_stage
from mlpipe_awstest import REGION, ROLE
from mlpipe_endpoint import places
from mlpipe_endpoint.asking import Request
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.values import Deployment
from tests.plugins.emulated_aws import BUCKET
from tests.plugins.endpoint.endpoint_project import Project

TRAFFIC = {"champion": 90, "challenger": 10}
PROBE = {"body": [[1, 2]]}
SETTINGS = {"region": REGION, "bucket": BUCKET, "role": ROLE}
BROKEN = """
    def model_fn(folder):
        raise RuntimeError("no weights here")
"""


@dataclass(frozen=True)
class Site:
    """A project, and a target to deploy on."""

    project: Project
    target: Target

    @property
    def backend(self) -> Backend:
        return places.backend(self.target, self.project.root, self.project.root / ".mlpipe")

    def config(self, **settings: Any) -> EndpointConfig:
        hosting = {"image": "mine:1", **settings.pop("hosting", {})}
        return EndpointConfig.model_validate({"endpoint": "churn", "hosting": hosting, **settings})

    def deploy(self, models: dict[str, Path], **settings: Any) -> StageResult:
        probe = make_stage(self.project.root, "deploy", inputs=models, target=self.target)
        return mlpipe_endpoint.deploy(config=self.config(**settings), stage=probe.stage)

    def plan(self, models: dict[str, Path], **settings: Any) -> list[Action]:
        probe = make_stage(self.project.root, "deploy", inputs=models, target=self.target)
        return list(mlpipe_endpoint.preview(config=self.config(**settings), stage=probe.stage))

    def rollback(self, result: StageResult) -> StageResult:
        return self.put(result.releases[0])

    def put(self, release: Release) -> StageResult:
        root = self.project.root
        context = RollbackContext(root, root / ".mlpipe", self.target, None)
        return mlpipe_endpoint.rollback(release=release, context=context)

    def now(self) -> Deployment:
        found = self.backend.describe("churn")
        assert found is not None
        assert (found.running, found.verified) == (True, True)
        return found.deployment

    def answer(self, variant: str) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Accept": "*/*",
            "X-Amzn-SageMaker-Target-Variant": variant,
        }
        answered = self.backend.ask("churn", Request(b"[[1, 2]]", headers))
        assert answered.variant == variant
        return answered.body


def at_sagemaker(project: Project, **settings: Any) -> Site:
    """Give a project's site at the emulated SageMaker."""
    return Site(project, Target("aws", "aws", {**SETTINGS, **settings}))
