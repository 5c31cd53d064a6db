"""The shipped container recipe, from a commit to a running service, and back."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.engines import Engine, python
from tests.shipped import Shipped
from tests.wheels import repacked

ROW = Path(__file__).resolve().parents[2] / "recipes" / "diagnosis" / "row.json"


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def service(
    podman_engine: Engine, tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[Shipped]:
    """The recipe in a repository with a version, run once; packages come from wheels."""
    podman_engine.load("localhost/python:test", python())
    project = Shipped(tmp_path_factory.mktemp("service"), dict(podman_engine.variables))
    project.take("recipes", "recipes")
    folder = project.root / "recipes" / "service"
    repacked(["fastapi", "uvicorn"], folder / "wheels")
    requirements = folder / "requirements.txt"
    requirements.write_text("--no-index\n--find-links wheels\n" + requirements.read_text())
    recipe = project.root / "recipes" / "service.yaml"
    text = recipe.read_text().replace("localhost/python:3.12", "localhost/python:test")
    text = text.replace("port: 8000", f"port: {port}")
    recipe.write_text(
        text.replace("      replicas: 2\n", "      replicas: 2\n      network: host\n")
    )
    project.git("init", "-q", "-b", "main")
    project.git("add", "-A")
    project.git("commit", "-qm", "feat: score tumours")
    project.git("tag", "v0.1.0")
    yield project
    if (project.root / ".mlpipe" / "services" / "diagnosis").exists():
        project.mlpipe("container", "stop", "diagnosis")
    podman_engine.clear()


def score(port: int) -> dict[str, list[float]]:
    answer = requests.post(
        f"http://127.0.0.1:{port}/score", json=json.loads(ROW.read_text()), timeout=10
    )
    answer.raise_for_status()
    found: dict[str, list[float]] = answer.json()
    return found


def test_from_a_commit_to_a_service_and_back(service: Shipped, port: int) -> None:
    stages = ("code", "checks", "model", "image", "pushed", "service")
    assert service.run("service") == dict.fromkeys(stages, "done")
    assert score(port)["probabilities"][0] > 0.99
    status = service.mlpipe("container", "status")
    assert status.splitlines()[0] == f"diagnosis  0.1.0  http://127.0.0.1:{port}"
    assert status.count("gets requests") == 2
    assert "POST /score HTTP/1.1" in service.mlpipe("container", "logs", "diagnosis")
    done = service.command("mlpipe", "container", "logs", "diagnos")
    assert (done.returncode, "Services: diagnosis." in done.stderr) == (2, True)

    again = service.run("service")
    assert set(again.values()) == {"cached", "in place"}

    app = service.root / "recipes" / "service" / "app.py"
    app.write_text(app.read_text().replace('"probabilities":', '"malignant":'))
    service.git("commit", "-qam", "feat!: name what is scored")
    ran = service.run("service")
    assert (ran["model"], ran["image"], ran["service"]) == ("cached", "done", "done")
    assert "malignant" in score(port)

    said = service.mlpipe("rollback", "container/diagnosis")
    assert said.startswith("container/diagnosis is 0.1.0 · 0.1.0 at http://127.0.0.1")
    assert "probabilities" in score(port)
    service.mlpipe("rollback", "container/diagnosis", "--to", "0.2.0")
    assert "malignant" in score(port)
    listed = json.loads(service.mlpipe("releases", "list", "--json"))
    assert {(e["kind"], e["label"]) for e in listed if e["in_service"]} >= {("container", "0.2.0")}


def test_what_is_not_committed_is_refused(service: Shipped) -> None:
    extra = service.root / "recipes" / "service" / "extra.py"
    extra.write_text("x = 1\n")
    try:
        done = service.command("mlpipe", "run", "service")
        assert done.returncode != 0
        assert "extra.py" in done.stdout + done.stderr
    finally:
        extra.unlink()
