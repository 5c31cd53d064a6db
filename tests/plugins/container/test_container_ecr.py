"""Pushing to ECR: its control plane is moto's, its registry a real one that keeps ECR's rules."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpipe import Target
from mlpipe.errors import StageError
from mlpipe_awstest import REGION, Aws
from mlpipe_container.config import PushConfig
from mlpipe_container.credentials import Login
from mlpipe_container.registries import Registry, Repository
from tests.engines import Engine
from tests.plugins.container.container_projects import (
    Project,
    container_project,
    file_of,
    image_of,
)
from tests.plugins.container.registry_gate import Gate, gate
from tests.plugins.emulated_aws import BUCKET

TARGET = Target("aws", "aws", {"region": REGION, "bucket": BUCKET, "tags": {"team": "risk"}})


@pytest.fixture
def ecr(cloud: Aws, registry: str) -> Iterator[Gate]:
    """ECR's registry, which lets in whom ECR has given a token."""
    client = cloud.client("ecr")
    given = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    username, _, password = base64.b64decode(given).decode().partition(":")
    with gate(registry, Login(username, password)) as made:
        made.ecr = client
        cloud.registry(made.address)
        yield made


@pytest.fixture
def here(podman: Engine, tmp_path: Path) -> Project:
    return container_project(tmp_path, podman)


@pytest.fixture
def name(tmp_path: Path) -> str:
    return f"team/{tmp_path.name.replace('_', '-').lower().strip('-')}"


def push(project: Project, name: str, **more: Any) -> Any:
    built = project.build()
    settings = {"target": TARGET, "repository": name, "sbom": file_of(built, "sbom"), **more}
    return project.push(image_of(built), **settings)


def test_the_repository_is_made_as_it_should_be(
    here: Project, ecr: Gate, cloud: Aws, name: str
) -> None:
    image = image_of(here.build())
    assert here.push_plan(image, target=TARGET, repository=name) == [
        f"create  ECR repository {name}  (immutable tags, scan on push)",
        f"create  image {name}:1.0.0",
    ]
    result = push(here, name)
    [made] = cloud.client("ecr").describe_repositories()["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    tags = cloud.client("ecr").list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert tags == [{"Key": "team", "Value": "risk"}]
    manifest = Registry(Repository(ecr.behind, name)).manifest("1.0.0")
    assert manifest is not None
    assert result.values["reference"] == f"{ecr.address}/{name}:1.0.0"
    assert image_of(result).location == f"docker://{ecr.address}/{name}@{manifest.digest}"
    assert here.push_plan(image, target=TARGET, repository=name) == []
    assert push(here, name) == result
    assert len(cloud.calls("CreateRepository")) == 1


def test_a_version_is_never_overwritten(here: Project, ecr: Gate, name: str) -> None:
    push(here, name)
    here.write({"service/app.txt": "two\n"})
    with pytest.raises(StageError, match=r"version 1\.0\.0 is another image there"):
        push(here, name)
    assert push(here, name, version="1.0.1").values["version"] == "1.0.1"


def test_an_expired_token_is_said(here: Project, ecr: Gate, name: str) -> None:
    ecr.login = Login("AWS", "another one")
    with pytest.raises(StageError, match=r"does not let us in.*\n.*Log in again"):
        push(here, name)


@pytest.mark.parametrize("kind", ["throttling", "error500", "lost-response"])
def test_faults_of_the_service_pass(
    here: Project, ecr: Gate, cloud: Aws, name: str, kind: str
) -> None:
    for operation in ("DescribeRepositories", "CreateRepository", "GetAuthorizationToken"):
        cloud.fault(operation, kind)
    assert push(here, name).values["version"] == "1.0.0"
    assert len(cloud.client("ecr").describe_repositories()["repositories"]) == 1


def test_what_a_push_may_do() -> None:
    config = PushConfig(repository="scorer", version="1.0.0")
    found = config.permissions(TARGET, {"image": "build.image"})
    assert {action for each in found for action in each.actions} >= {
        "ecr:PutImage",
        "ecr:CreateRepository",
        "ecr:GetAuthorizationToken",
    }
    assert found[0].resources == (f"arn:aws:ecr:{REGION}:*:repository/scorer",)
    elsewhere = PushConfig(repository="registry.example.com/scorer", version="1.0.0")
    assert elsewhere.permissions(TARGET, {"image": "build.image"}) == ()
