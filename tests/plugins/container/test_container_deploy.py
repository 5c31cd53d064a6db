"""Services on this machine: containers behind a port that stays."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

import mlpipe_container
from mlpipe import Artifact, Release, RollbackContext, StageResult, Target
from mlpipe.errors import StageError
from mlpipe_container.config import DeployConfig
from mlpipe_container.local.balancing import Balancing
from tests.engines import Engine
from tests.plugins.container.container_projects import (
    SERVE,
    Project,
    container_project,
    image_of,
)


@pytest.fixture
def served(project: Project) -> Iterator[Project]:
    """A project whose service listens where PORT says; what it put into service is ended."""
    yield from serving(project)


@pytest.fixture
def one(podman: Engine, tmp_path: Path) -> Iterator[Project]:
    """The same with Podman only, where the engine makes no difference."""
    yield from serving(container_project(tmp_path, podman))


def serving(project: Project) -> Iterator[Project]:
    project.write({"service/Dockerfile": SERVE})
    try:
        yield project
    finally:
        for folder in (project.root / ".mlpipe" / "services").glob("*/"):
            Balancing(folder).stop()


def version(project: Project, text: str, **more: Any) -> Artifact:
    project.write({"service/app.txt": text, "service/ok": text})
    return image_of(project.build(version=text, **more))


def get(result: StageResult, path: str = "/app.txt") -> str:
    answer = requests.get(f"{result.values['url']}{path}", timeout=10)
    answer.raise_for_status()
    return answer.text


@contextmanager
def load(url: str, path: str = "/app.txt") -> Iterator[dict[str, int]]:
    """Ask all the time, on connections that are kept and on new ones; count what comes back."""
    seen: dict[str, int] = {}
    ending, lock = threading.Event(), threading.Lock()

    def ask(keep: bool) -> None:
        session = requests.Session()
        while not ending.is_set():
            try:
                answer = (session if keep else requests).get(f"{url}{path}", timeout=10)
                said = answer.text if answer.ok else f"status {answer.status_code}"
            except requests.RequestException as error:
                said = f"error {error}"
            with lock:
                seen[said] = seen.get(said, 0) + 1
        session.close()

    threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(4)]
    for each in threads:
        each.start()
    try:
        yield seen
    finally:
        ending.set()
        for each in threads:
            each.join()


def test_versions_follow_each_other_without_a_failed_request(served: Project) -> None:
    first = version(served, "1.0.0")
    assert served.deploy_plan(first, replicas=2) == [
        f"create  2 containers  (1.0.0 {first.digest[:19]})",
        "create  service scorer  (a free port)",
    ]
    result = served.deploy(first, replicas=2)
    assert get(result) == "1.0.0"
    assert len(served.engine.containers()) == 2
    assert served.deploy_plan(first, replicas=2) == []
    second = version(served, "1.1.0")
    assert served.deploy_plan(second, replicas=2) == [
        f"create  2 containers  (1.1.0 {second.digest[:19]})",
        "switch  service scorer  (1.0.0 → 1.1.0)",
        "delete  2 containers  (1.0.0)",
    ]
    with load(result.values["url"]) as seen:
        time.sleep(0.3)
        after = served.deploy(second, replicas=2)
        time.sleep(0.3)
    assert set(seen) == {"1.0.0", "1.1.0"}  # nothing failed
    assert after.values["url"] == result.values["url"]
    assert get(after) == "1.1.0"
    assert len(served.engine.containers()) == 2
    [release] = after.releases
    assert (release.kind, release.name, release.version) == ("container", "scorer", "1.1.0")


def test_a_version_that_is_not_well_changes_nothing(served: Project) -> None:
    before = served.deploy(version(served, "1.0.0"), probe={"path": "/ok"})
    served.write(
        {"service/Dockerfile": SERVE.replace("exec httpd", "echo no model; exit 3; httpd")}
    )
    bad = version(served, "1.1.0")
    told = r"ended with exit code 3\n.*wrote at last:\n +no model"
    with load(before.values["url"]) as seen, pytest.raises(StageError, match=told):
        served.deploy(bad, probe={"path": "/ok"})
    assert set(seen) == {"1.0.0"}
    assert len(served.engine.containers()) == 1
    served.write({"service/Dockerfile": SERVE})
    slow = version(served, "1.2.0")
    with pytest.raises(StageError, match=r"not well after 1 s: /none answers 404"):
        served.deploy(slow, probe={"path": "/none", "timeout": "1s"})
    assert get(before) == "1.0.0"
    assert len(served.engine.containers()) == 1


def test_what_the_image_says_of_its_health_counts(served: Project) -> None:
    check = 'HEALTHCHECK --interval=1s --retries=1 CMD ["/bin/busybox", "test", "-e", "/srv/ok"]\n'
    served.write({"service/Dockerfile": SERVE + check})
    good = served.deploy(version(served, "1.0.0"))
    served.write({"service/.dockerignore": "ok\n"})
    with pytest.raises(StageError, match=r"not well after .* s: its HEALTHCHECK says"):
        served.deploy(version(served, "1.1.0"), probe={"timeout": "3s"})
    assert get(good) == "1.0.0"


def test_settings_reach_the_containers(served: Project) -> None:
    served.write(
        {
            "service/Dockerfile": "FROM localhost/shell:1\nCOPY . /srv/\n"
            'CMD ["sh", "-c", "env > /srv/env.txt; exec httpd -f -p $PORT -h /srv"]\n'
        }
    )
    image = version(served, "1.0.0")
    result = served.deploy(image, {"API_KEY": "s3cret-9f8e"}, env={"DEPTH": "4"})
    said = get(result, "/env.txt").splitlines()
    assert {"DEPTH=4", "API_KEY=s3cret-9f8e"} <= set(said)
    processes = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert not [text for text in processes if "s3cret-9f8e" in text]
    kept = [p for p in (served.root / ".mlpipe").rglob("*") if p.is_file()]
    assert not [p for p in kept if b"s3cret-9f8e" in p.read_bytes()]
    assert "s3cret-9f8e" not in json.dumps(result.releases[0].payload)
    planned = served.deploy_plan(image, secret_values={"API_KEY": "another"}, env={"DEPTH": "4"})
    assert planned[0].startswith("create  1 container")  # a changed secret makes another container
    assert (
        served.deploy_plan(image, secret_values={"API_KEY": "s3cret-9f8e"}, env={"DEPTH": "4"})
        == []
    )


def test_the_port_and_what_is_lost_come_back(one: Project) -> None:
    image = version(one, "1.0.0")
    result = one.deploy(image, replicas=2)
    port = result.values["port"]
    gone = one.engine.containers()[0]
    one.engine.run("rm", "--force", gone)
    assert get(result) == "1.0.0"  # the other one answers
    assert one.deploy_plan(image, replicas=2)[0].startswith("create  1 container")
    Balancing(one.root / ".mlpipe" / "services" / "scorer").stop()
    assert f"start   service scorer  (port {port})" in one.deploy_plan(image, replicas=2)
    assert one.deploy(image, replicas=2).values["port"] == port
    assert get(result) == "1.0.0"
    fewer = one.deploy(image, replicas=1)
    assert len(one.engine.containers()) == 1
    assert get(fewer) == "1.0.0"


def test_a_published_port_and_limits(one: Project) -> None:
    one.write({"service/Dockerfile": SERVE.replace("$PORT", "8000")})
    image = version(one, "1.0.0")
    result = one.deploy(image, network="bridge", container_port=8000)
    assert get(result) == "1.0.0"


def test_roll_back_and_forward(one: Project) -> None:
    first = one.deploy(version(one, "1.0.0"))
    second = one.deploy(version(one, "1.1.0"))
    for result, text in ((first, "1.0.0"), (second, "1.1.0"), (second, "1.1.0")):
        [release] = result.releases
        context = RollbackContext(one.root, one.root / ".mlpipe", Target(), None)
        back = mlpipe_container.rollback(release=release, context=context)
        assert get(back) == text
        assert back.values["url"] == first.values["url"]
    kept = Release("image", "scorer", {}, "1.0.0")
    with pytest.raises(StageError, match=r"is kept, not in service\n.*container/NAME --to 1\.0\.0"):
        mlpipe_container.rollback(release=kept, context=context)
    broken = Release("container", "scorer", {"nothing": 1}, "0.9.0")
    with pytest.raises(StageError, match=r"0\.9\.0: the release holds no service"):
        mlpipe_container.rollback(release=broken, context=context)
    image = version(one, "1.2.0")
    lost = one.deploy(image).releases[0]
    one.deploy(version(one, "1.3.0"))
    one.engine.run("rmi", "--force", image.digest)
    with pytest.raises(StageError, match="there is no such image"):
        mlpipe_container.rollback(release=lost, context=context)
    assert get(first) == "1.3.0"


def test_requests_pass_as_they_are(one: Project) -> None:
    program = "#!/bin/sh\necho 'Content-Type: text/x-test'\necho 'X-Two: 2'\necho\nenv\ncat\n"
    one.write({"service/cgi-bin/echo": program})
    (one.root / "service" / "cgi-bin" / "echo").chmod(0o755)
    result = one.deploy(version(one, "1.0.0"))
    url = f"{result.values['url']}/cgi-bin/echo?a=%2F&b=x+y"
    answer = requests.post(url, data=b"body" * 1000, headers={"X-Mine": "1"}, timeout=10)
    assert answer.headers["Content-Type"] == "text/x-test"
    assert answer.headers["X-Two"] == "2"
    assert answer.text.endswith("body" * 1000)
    assert "QUERY_STRING=a=%2F&b=x+y" in answer.text
    assert "REQUEST_METHOD=POST" in answer.text
    assert requests.get(f"{result.values['url']}/none", timeout=10).status_code == 404
    for name in one.engine.containers():
        one.engine.run("rm", "--force", name)
    refused = requests.get(f"{result.values['url']}/app.txt", timeout=10)
    assert (refused.status_code, refused.json()) == (
        503,
        {"error": "no container of the service answers"},
    )


KILLED = """
import os, sys
from pathlib import Path
import mlpipe_container
from mlpipe import Artifact
from mlpipe.testing import make_stage
from mlpipe_container.config import DeployConfig
from mlpipe_container.local import backend, balancing, containers

root, digest, location, where = sys.argv[1:]
steps = {
    "started": (containers.Containers, "start"),
    "switched": (balancing.Balancing, "switch"),
    "drained": (balancing.Balancing, "drained"),
    "removed": (containers.Containers, "remove"),
}
holder, name = steps[where]
real = getattr(holder, name)
def then_die(*args, **named):
    real(*args, **named)
    os.kill(os.getpid(), 9)
setattr(holder, name, then_die)
inputs = {"image": Artifact("image", digest, location)}
stage = make_stage(Path(root), "deploy", name="deploy", inputs=inputs).stage
config = DeployConfig(service="scorer", network="host", replicas=2)
mlpipe_container.deploy(config=config, stage=stage)
"""


@pytest.mark.parametrize("where", ["started", "switched", "drained", "removed"])
def test_a_deploy_that_is_killed_is_completed(one: Project, where: str) -> None:
    first = one.deploy(version(one, "1.0.0"), replicas=2)
    image = version(one, "1.1.0")
    with load(first.values["url"]) as seen:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(one.root), image.digest, image.location, where],
            capture_output=True,
            check=False,
        )
        assert killed.returncode == -9, killed.stderr.decode()
        assert one.deploy_plan(image, replicas=2) != []
        result = one.deploy(image, replicas=2)
    assert set(seen) <= {"1.0.0", "1.1.0"}
    assert get(result) == "1.1.0"
    assert len(one.engine.containers()) == 2
    assert one.deploy_plan(image, replicas=2) == []


def test_what_a_killed_deploy_started_must_be_well(one: Project) -> None:
    first = one.deploy(version(one, "1.0.0"))
    one.write({"service/Dockerfile": 'FROM localhost/shell:1\nCMD ["sleep", "600"]\n'})
    image = version(one, "1.1.0")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(one.root), image.digest, image.location, "started"],
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    assert len(one.engine.containers()) == 2
    with pytest.raises(StageError, match="not well after 1 s: nobody listens"):
        one.deploy(image, probe={"timeout": "1s"})
    assert get(first) == "1.0.0"
    assert len(one.engine.containers()) == 1


def test_bad_input(one: Project) -> None:
    image = version(one, "1.0.0")
    with pytest.raises(StageError, match="the secret API_KEY is not given to the stage"):
        one.deploy(image, names=["API_KEY"])
    with pytest.raises(StageError, match='"s3://bucket/x" is no image'):
        one.deploy(Artifact("image", "sha256:0", "s3://bucket/x"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StageError, match=rf"nothing listens on port {port}: .*in use"):
            one.deploy(image, port=port)
    assert one.engine.containers() == []
    memory = DeployConfig.model_validate({"service": "x", "resources": {"memory": "512Mi"}})
    assert memory.resources.memory == "512Mi"
    for wrong in ({"resources": {"memory": "512 MB"}}, {"service": "Scorer"}, {"replicas": 0}):
        with pytest.raises(ValueError, match="validation error"):
            DeployConfig.model_validate({"service": "x", **wrong})
