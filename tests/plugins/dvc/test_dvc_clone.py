"""A clone with its data pulled has what the original's runs made: nothing runs again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from dvc.repo import Repo
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

RECIPE = """
    name: small
    stages:
      data:
        uses: dvc.prepare
        with:
          source: rows.csv
          split: {train: 0.8, test: 0.2, seed: 7}
          output: data
      model:
        uses: python.train
        inputs: {train: data.train, test: data.test}
        with: {function: "steps:fit", outputs: {model: model.json}}
      report:
        uses: python.evaluate
        inputs: {model: model.model}
        with: {function: "steps:report"}
"""
STEPS = """
    import json

    def fit(train, test, model):
        rows = len(train.read_text().splitlines()) - 1
        model.write_text(json.dumps({"rows": rows}))

    def report(model):
        return json.loads(model.read_text())
"""


@dataclass(frozen=True)
class Remote:
    """Where data is pushed to.

    Attributes:
        url: As ``dvc remote add`` takes it.
        endpoint: Of its S3 API, where it has one.
    """

    url: str
    endpoint: str = ""


@pytest.fixture(params=["folder", "s3"])
def remote(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    if request.param == "folder":
        yield Remote(str(tmp_path / "remote"))
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="team")
        yield Remote("s3://team/data", endpoint)
    finally:
        server.stop()


@pytest.fixture
def clone(project: Project, remote: Remote, tmp_path: Path) -> Project:
    """A clone of a project that was run, committed and pushed; its data is not pulled."""
    project.write("small.yaml", textwrap.dedent(RECIPE))
    project.write("steps.py", textwrap.dedent(STEPS))
    with Repo.init(str(project.root)) as repo, repo.config.edit() as config:
        config["core"]["remote"] = "team"
        endpoint = {"endpointurl": remote.endpoint} if remote.endpoint else {}
        config["remote"]["team"] = {"url": remote.url, **endpoint}
    assert set(run(project).values()) == {"done"}
    project.commit("a run")
    project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = project.at(tmp_path / "clone")
    assert not (clone.root / "data/train.csv").exists()
    assert not (clone.root / ".mlpipe").exists()
    return clone


def test_after_a_pull_everything_is_a_cache_hit(clone: Project, project: Project) -> None:
    clone.dvc("pull", "--quiet")
    for name in ("data/train.csv", "data/test.csv"):
        assert (clone.root / name).read_bytes() == (project.root / name).read_bytes()
    assert run(clone) == {"data": "cached", "model": "cached", "report": "cached"}
    assert clone.git("status", "--porcelain") == ""
    assert clone.dvc("status") == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize("remote", ["folder"], indirect=True)
def test_data_that_a_stage_needs_and_that_is_not_here_is_named_and_can_be_had(
    clone: Project,
) -> None:
    changed = (clone.root / "steps.py").read_text().replace("- 1", "- 1 + 0")
    clone.write("steps.py", changed)
    (planned, *_) = json.loads(mlpipe(clone, "plan", "small", "--json"))
    assert (planned["stage"], planned["verdict"]) == ("data", "run")
    assert planned["reason"] in {
        f"its output {name} is not here, and model needs it" for name in ("train", "test")
    }
    for name in ("train", "test"):
        mlpipe(clone, "data", "get", name)
    assert clone.dvc("status") == "Data and pipelines are up to date.\n"
    assert run(clone) == {"data": "cached", "model": "done", "report": "cached"}


def test_a_clone_of_a_folder_of_files_has_hits(project: Project, tmp_path: Path) -> None:
    for number in range(12):
        project.write(f"photos/{'cat' if number % 2 else 'dog'}/{number}.jpg", f"picture {number}")
    split = "{method: stratified, by: folder, train: 0.5, test: 0.5}"
    project.write(
        "small.yaml",
        "name: small\nstages: {data: {uses: dvc.prepare,"
        f" with: {{source: photos/, split: {split}, output: data}}}}}}\n",
    )
    assert run(project) == {"data": "done"}
    project.commit("pictures")
    project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = project.at(tmp_path / "clone")
    clone.dvc("pull", "--quiet")
    assert run(clone) == {"data": "cached"}
    (clone.root / "data/train/cat/1.jpg").unlink(missing_ok=True)
    (clone.root / "data/test/cat/1.jpg").unlink(missing_ok=True)
    assert run(clone) == {"data": "done"}
    assert clone.dvc("status") == "Data and pipelines are up to date.\n"


def test_data_that_dvc_does_not_track_any_more_is_no_hit(project: Project) -> None:
    project.write("small.yaml", textwrap.dedent(RECIPE))
    project.write("steps.py", textwrap.dedent(STEPS))
    run(project)
    project.commit("a run")
    record = project.root / "data/train.csv.dvc"
    for damage, why in (
        (lambda: project.dvc("remove", "data/train.csv.dvc"), "is not the version that DVC tracks"),
        (
            lambda: record.write_text(record.read_text().replace("md5: ", "md5: 0", 1)),
            "is not the version that DVC tracks",
        ),
    ):
        damage()
        (planned, *_) = json.loads(mlpipe(project, "plan", "small", "--json"))
        assert planned["reason"].startswith("output train of run ")
        assert planned["reason"].endswith(why)
        assert run(project) == {"data": "done", "model": "cached", "report": "cached"}
        assert project.dvc("status") == "Data and pipelines are up to date.\n"
        assert project.git("diff", "--stat", "--", "*.dvc") == ""


@pytest.mark.parametrize("letter", ["é"])
def test_a_project_whose_path_is_not_ascii(tmp_path: Path, project: Project, letter: str) -> None:
    shutil.move(project.root, tmp_path / f"jos{letter}")
    moved = project.at(tmp_path / f"jos{letter}")
    moved.write("small.yaml", textwrap.dedent(RECIPE))
    moved.write("steps.py", textwrap.dedent(STEPS))
    assert run(moved) == {"data": "done", "model": "done", "report": "done"}
    assert moved.dvc("status", "--cloud") == "Cache and remote 'mlpipe' are in sync.\n"


def run(project: Project) -> dict[str, str]:
    """Run the recipe; give the state of each stage."""
    *_, finished = map(json.loads, mlpipe(project, "run", "small", "--json").splitlines())
    assert finished["event"] == "run_finished"
    return {name: stage["state"] for name, stage in finished["stages"].items()}


def mlpipe(project: Project, *arguments: str) -> str:
    """Run the command in a project; give its results."""
    done = subprocess.run(
        [Path(sys.executable).with_name("mlpipe"), *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
