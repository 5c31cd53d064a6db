"""A recipe from a commit to a service, killed in each of its stages."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.engines import Engine
from tests.plugins.container.container_projects import SERVE
from tests.shipped import Shipped

RECIPE = """\
name: hello
stages:
  code: {uses: git.checkout, with: {folder: service}}
  image:
    uses: container.build
    inputs: {source: code.source}
    with: {created: "${stages.code.date}", version: "${stages.code.version}"}
  pushed:
    uses: container.push
    inputs: {image: image.image, sbom: image.sbom}
    with: {repository: REGISTRY/NAME, version: "${stages.code.version}"}
  service:
    uses: container.deploy
    inputs: {image: pushed.image}
    with: {service: hello, version: "${stages.code.version}", network: host, replicas: 2}
"""


@pytest.fixture
def hello(podman: Engine, registry: str, tmp_path: Path) -> Iterator[Shipped]:
    project = Shipped(tmp_path, dict(podman.variables))
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "Dockerfile").write_text(SERVE)
    (tmp_path / "service" / "app.txt").write_text(tmp_path.name)
    name = tmp_path.name.replace("_", "-").strip("-")
    (tmp_path / "hello.yaml").write_text(RECIPE.replace("REGISTRY", registry).replace("NAME", name))
    project.git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-qm", "feat: hello")
    yield project
    if (tmp_path / ".mlpipe" / "services" / "hello").exists():
        project.mlpipe("container", "stop", "hello")


def killed_in(project: Shipped, stage: str, wait: float) -> None:
    """Start a run, and kill it and all that it started, a moment after a stage has begun."""
    environment = {**os.environ, **project.environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpipe", "run", "hello", "--json"],
        cwd=project.root,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (event["event"], event.get("name")) == ("stage_started", stage):
                break
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("stage", "wait"),
    [("code", 0.05), ("image", 0.4), ("pushed", 0.15), ("pushed", 0.5), ("service", 1.2)],
)
def test_it_continues(hello: Shipped, podman: Engine, stage: str, wait: float) -> None:
    killed_in(hello, stage, wait)
    ended = hello.run("hello")
    assert set(ended.values()) <= {"done", "cached", "in place"}
    listed = json.loads(hello.mlpipe("releases", "list", "--json"))
    assert sorted((each["kind"], each["label"]) for each in listed) == [
        ("container", "0.1.0"),
        ("image", "0.1.0"),
    ]
    assert len(podman.containers()) == 2
    status = hello.mlpipe("container", "status")
    url = status.split()[2]
    assert requests.get(f"{url}/app.txt", timeout=10).text == hello.root.name
    assert set(hello.run("hello").values()) == {"cached", "in place"}
