"""What mlpipe adds to the commands that build and push an image."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.benchmarks.measure import cost
from tests.engines import Engine, python
from tests.shipped import Shipped
from tests.wheels import repacked

DOCKERFILE = """\
FROM localhost/python:bench
RUN python3 -m venv /opt/venv
WORKDIR /app
COPY requirements.txt ./
COPY wheels ./wheels
RUN /opt/venv/bin/pip install --no-index --find-links wheels -r requirements.txt
COPY . .
CMD ["/opt/venv/bin/uvicorn", "app:app"]
"""
RECIPE = """\
name: bench
stages:
  image:
    uses: container.build
    with: {{context: service, network: host}}
  pushed:
    uses: container.push
    inputs: {{image: image.image}}
    with: {{repository: {registry}/bench, version: "0.0.{number}"}}
"""


@pytest.fixture
def project(podman_engine: Engine, tmp_path: Path) -> Iterator[Shipped]:
    podman_engine.load("localhost/python:bench", python())
    made = Shipped(tmp_path, dict(podman_engine.variables))
    service = tmp_path / "service"
    service.mkdir()
    (service / "Dockerfile").write_text(DOCKERFILE)
    (service / "requirements.txt").write_text("fastapi\nuvicorn\nnumpy\n")
    repacked(["fastapi", "uvicorn", "numpy"], service / "wheels")
    (service / "app.py").write_text("app = None\n")
    made.git("init", "-q")
    yield made
    podman_engine.clear()


def test_overhead(project: Shipped, registry: str, show: Callable[[str], None]) -> None:
    """A build that installs packages, from nothing, and its push; then nothing to do."""
    ratios = []
    for number in range(1):
        # The first line that matters is new, so that no layer is there already.
        for name in ("plain", "ours"):
            folder = project.root / ("service" if name == "ours" else "plain")
            if name == "plain":
                shutil.copytree(project.root / "service", folder, dirs_exist_ok=True)
            text = DOCKERFILE.replace("WORKDIR", f"ENV BENCH={name}{number}\nWORKDIR", 1)
            first = f"FROM localhost/python:bench\nENV FIRST={name}{number}\n"
            (folder / "Dockerfile").write_text(first + text.partition("\n")[2])
        begun = time.perf_counter()
        reference = f"{registry}/bench-plain:0.0.{number}"
        build = ("build", "--network=host", "--format=docker", "--tag", reference, "plain")
        project.succeed("podman", *build)
        project.succeed("podman", "push", "--tls-verify=false", reference)
        plain = time.perf_counter() - begun
        recipe = RECIPE.format(registry=registry, number=number)
        (project.root / "bench.yaml").write_text(recipe)
        begun = time.perf_counter()
        assert project.run("bench") == {"image": "done", "pushed": "done"}
        ratios.append((time.perf_counter() - begun) / plain)
        show(
            f"build and push: {plain:.1f} s by the engine alone, {ratios[-1]:.2f} times with mlpipe"
        )
    assert min(ratios) < 1.35
    assert project.run("bench") == {"image": "cached", "pushed": "in place"}
    command = [sys.executable, "-m", "mlpipe", "run", "bench"]
    costs = [cost(command, project.root, project.environment) for _ in range(3)]
    nothing = min(each.cpu for each in costs)
    show(f"nothing to do: {nothing:.2f} s of CPU, the engine's commands included")
