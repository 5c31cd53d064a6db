"""Storing images under versions, in a real registry and in the engine's own images."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mlpipe import Target
from mlpipe.errors import StageError
from mlpipe_container.config import PushConfig
from mlpipe_container.credentials import Login
from mlpipe_container.registries import Registry, Repository
from tests.engines import Engine
from tests.plugins.container.container_projects import Project, container_project, file_of, image_of
from tests.plugins.container.registry_gate import Gate, gate


@pytest.fixture
def target(registry: str) -> Target:
    return Target(settings={"registry": registry})


@pytest.fixture
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"team/{tmp_path.name.replace('_', '-').lower().strip('-')}"


def test_a_version_is_what_was_built(
    project: Project, registry: str, target: Target, name: str
) -> None:
    built = project.build()
    image, sbom = image_of(built), file_of(built, "sbom")
    planned = project.push_plan(image, target=target, repository=name, sbom=sbom)
    assert planned == [
        f"create  image {registry}/{name}:1.0.0",
        f"create  bill of materials of image {registry}/{name}:1.0.0",
    ]
    result = project.push(image, target=target, repository=name, sbom=sbom)
    there = Registry(Repository(registry, name))
    manifest = there.manifest("1.0.0")
    assert manifest is not None
    assert manifest.config == image.digest
    assert image_of(result).location == f"docker://{registry}/{name}@{manifest.digest}"
    assert result.values == {
        "reference": f"{registry}/{name}:1.0.0",
        "repository": f"{registry}/{name}",
        "version": "1.0.0",
        "digest": manifest.digest,
    }
    [release] = result.releases
    assert (release.kind, release.name, release.label) == ("image", f"{registry}/{name}", "1.0.0")
    [referrer] = there.referrers(manifest.digest)
    attached = there.manifest(referrer["digest"])
    assert attached is not None
    assert attached.body["subject"]["digest"] == manifest.digest
    blob = attached.body["layers"][0]["digest"]
    bill = requests.get(f"http://{registry}/v2/{name}/blobs/{blob}", timeout=10).content
    assert bill == sbom.read_bytes()
    assert project.push_plan(image, target=target, repository=name, sbom=sbom) == []


def test_a_version_is_never_overwritten(project: Project, target: Target, name: str) -> None:
    first = image_of(project.build())
    pushed = project.push(first, target=target, repository=name)
    again = project.push(first, target=target, repository=name)  # as after a kill
    assert again == pushed
    project.write({"service/app.txt": "two\n"})
    second = image_of(project.build())
    for tried in (project.push, project.push_plan):
        with pytest.raises(StageError, match=r"version 1\.0\.0 is another image there") as caught:
            tried(second, target=target, repository=name)
    assert "A version is never overwritten" in str(caught.value)
    assert (
        project.push(second, target=target, repository=name, version="v1.0.1").values["version"]
        == "1.0.1"
    )


def test_without_a_registry_the_engine_keeps_versions(project: Project) -> None:
    image = image_of(project.build())
    repository = f"scorer-{image.digest[7:15]}"
    assert project.push_plan(image, repository=repository) == [
        f"create  image localhost/{repository}:1.0.0"
    ]
    result = project.push(image, repository=repository)
    assert image_of(result) == image.__class__("image", image.digest, image.location)
    assert result.values["reference"] == f"localhost/{repository}:1.0.0"
    assert project.push_plan(image, repository=repository) == []
    project.write({"service/app.txt": "two\n"})
    with pytest.raises(StageError, match="is another image there"):
        project.push(image_of(project.build()), repository=repository)


def test_an_image_goes_from_registry_to_registry(
    project: Project, registry: str, target: Target, name: str
) -> None:
    pushed = image_of(project.push(image_of(project.build()), target=target, repository=name))
    project.engine.run("rmi", "--force", f"{registry}/{name}:1.0.0")
    copy = f"{registry}/{name}-copy"
    result = project.push(pushed, repository=copy, version="2.0.0")
    assert project.push(pushed, repository=copy, version="2.0.0") == result
    there = Registry(Repository(registry, f"{name}-copy")).manifest("2.0.0")
    here = Registry(Repository(registry, name)).manifest("1.0.0")
    assert here is not None
    assert there is not None
    assert there.config == here.config


LOGIN = Login("robot", "pass:word-9f8e7d")


@pytest.fixture
def closed(registry: str) -> Iterator[Gate]:
    with gate(registry, LOGIN) as made:
        yield made


@pytest.mark.parametrize("bearer", ["", "token-1"])
def test_a_registry_that_asks_who_is_there(
    project: Project, closed: Gate, name: str, bearer: str, capfd: pytest.CaptureFixture[str]
) -> None:
    closed.bearer = bearer
    image = image_of(project.build())
    settings: dict[str, Any] = {
        "repository": f"{closed.address}/{name}",
        "username": "robot",
        "password": "REGISTRY",
    }
    result = project.push(image, secrets={"REGISTRY": LOGIN.password}, **settings)
    assert result.values["version"] == "1.0.0"
    said = capfd.readouterr()
    assert LOGIN.password not in said.out + said.err
    assert LOGIN.encoded not in said.out + said.err
    for wrong in ({"REGISTRY": "expired"}, {}):
        with pytest.raises(StageError, match=r"does not let us in|REGISTRY is not given"):
            project.push(image, secrets=wrong, **settings)


def test_the_login_that_the_user_has(
    project: Project, closed: Gate, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_of(project.build())
    repository = f"{closed.address}/{name}"
    with pytest.raises(StageError, match=r"does not let us in \(401\)\n.*Log in again"):
        project.push(image, repository=repository)
    stored = {"auths": {closed.address: {"auth": LOGIN.encoded}}}
    user = tmp_path / "user"
    user.mkdir()
    (user / "config.json").write_text(json.dumps(stored))
    monkeypatch.setenv("DOCKER_CONFIG", str(user))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(user / "config.json"))
    assert project.push(image, repository=repository).values["version"] == "1.0.0"
    assert json.loads((user / "config.json").read_text()) == stored


def test_a_registry_that_goes_down_half_way(
    podman: Engine, tmp_path: Path, closed: Gate, name: str
) -> None:
    project = container_project(tmp_path, podman)  # Docker tries for 50 s
    project.write({"service/app.txt": f"{name}\n"})
    image = image_of(project.build())
    settings: dict[str, Any] = {
        "repository": f"{closed.address}/{name}",
        "username": "x",
        "password": "REGISTRY",
    }
    closed.login = Login("x", "y")
    closed.fail_after = 1
    with pytest.raises(StageError, match=r"push failed|cannot be reached|does not answer"):
        project.push(image, secrets={"REGISTRY": "y"}, **settings)
    behind = Registry(Repository(closed.behind, name))
    assert behind.manifest("1.0.0") is None  # nothing is announced
    closed.fail_after = -1
    project.push(image, secrets={"REGISTRY": "y"}, **settings)
    found = behind.manifest("1.0.0")
    assert found is not None
    assert found.config == image.digest


def test_bad_input(project: Project, tmp_path: Path) -> None:
    project.write({"service/settings.txt": str(tmp_path)})
    image = image_of(project.build())
    with pytest.raises(
        StageError, match=r"127\.0\.0\.1:1/x.*the registry does not answer"
    ) as caught:
        project.push(image, repository="127.0.0.1:1/x")
    assert "run the recipe again" in str(caught.value)
    project.engine.run("rmi", "--force", image.digest)
    with pytest.raises(StageError, match="there is no such image"):
        project.push(image, repository="gone")
    for version in ("1.0", "latest", "1.0.0+build", "01.0.0", "1.0.0-01"):
        with pytest.raises(ValueError, match="is no semantic version"):
            PushConfig(repository="x", version=version)
    for repository in ("Scorer", "scorer:1", "a//b", "-x"):
        with pytest.raises(ValueError, match="is no repository"):
            PushConfig(repository=repository, version="1.0.0")
    with pytest.raises(ValueError, match="username: and password: go together"):
        PushConfig(repository="x", version="1.0.0", username="robot")


def test_a_helper_knows_the_login(
    tmp_path: Path, docker_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlpipe_container import credentials
    from mlpipe_container.engines import Engine as Used

    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"r.example.com": "test"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    found = credentials.stored(Used("docker"), "r.example.com")
    assert found == Login("r.example.com", "s")
    assert found.basic == "Basic " + base64.b64encode(b"r.example.com:s").decode()
    assert credentials.stored(Used("docker"), "other.example.com") is None
