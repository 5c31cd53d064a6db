"""Remotes: folders, and S3 through unmodified clients against a server that speaks its API."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from dvc.repo import Repo
from moto.server import ThreadedMotoServer

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

UNCHANGED: tuple[object, object] = ({}, {})
MANY = 60
WAIT_SECONDS = 120.0

#: Tracks a folder of files, told their number and a word that is in all of them.
SCRIPT = """
import sys
from pathlib import Path
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

root, name, count, word = Path.cwd(), sys.argv[1], int(sys.argv[2]), sys.argv[3]
made = root / ".mlpipe" / "made" / name
made.mkdir(parents=True)
for number in range(count):
    (made / str(number)).write_bytes(f"{word} {number} ".encode() * 20_000)
version([Made(made, root / "data" / name, f"data/{name}")], root, root / ".mlpipe")
"""


def track(
    project: Project, files: Mapping[str, str], remote: str | None = None, name: str = "images"
) -> None:
    """Track a folder of files."""
    made = project.root / ".mlpipe/made"
    shutil.rmtree(made, ignore_errors=True)
    for path, text in files.items():
        project.write(f".mlpipe/made/{path}", text)
    version(
        [Made(made, project.root / "data" / name, f"data/{name}")],
        project.root,
        project.root / ".mlpipe",
        remote,
    )


def status(project: Project) -> tuple[object, object]:
    with Repo(str(project.root)) as repo:
        return repo.status(), repo.status(cloud=True)


def clone(project: Project, folder: Path) -> Project:
    """Give a second machine's working copy."""
    project.git("clone", "--quiet", str(project.root), str(folder))
    other = project.at(folder)
    other.write(".mlpipe/.gitignore", "*\n")
    return other


def pulled(project: Project, folder: Path) -> dict[str, str]:
    """Pull in a new clone, and give what is in it."""
    project.commit("data")
    fresh = clone(project, folder)
    with Repo(str(fresh.root)) as repo:
        repo.pull()
    files = (path for path in (fresh.root / "data/images").rglob("*") if path.is_file())
    return {path.name: path.read_text() for path in files}


def start(project: Project, name: str, count: int, word: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name, str(count), word],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- folders -------------------------------------------------------------------------------


def objects(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Give mode and bytes of all files below a folder, to which somebody else may be writing."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            mode = stat.filemode(path.stat().st_mode)
            found[path.relative_to(folder).as_posix()] = (mode, path.read_bytes())
    return found


def test_a_folder_is_filled_byte_for_byte_as_dvc_fills_it(project: Project, tmp_path: Path) -> None:
    track(project, {"1.jpg": "one", "deep/2.jpg": "two", "same.jpg": "one"}, "../shared")
    with Repo(str(project.root)) as repo:
        with repo.config.edit() as config:
            config["remote"]["theirs"] = {"url": str(tmp_path / "theirs")}
        repo.push(remote="theirs")
    assert objects(tmp_path / "shared") == objects(tmp_path / "theirs")
    assert len(objects(tmp_path / "shared")) == 3
    assert pulled(project, tmp_path / "clone")["2.jpg"] == "two"


def test_a_folder_that_was_wiped_is_filled_again(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"1.jpg": "one", "2.jpg": "two"}
    track(project, files, "../shared")
    track(project, files, "../shared")
    assert "0 new objects were pushed" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "shared")
    track(project, files, "../shared")
    assert f"3 new objects were pushed to {tmp_path / 'shared'}" in capsys.readouterr().out
    assert status(project) == UNCHANGED


def test_a_corrupt_object_is_not_pushed(project: Project, tmp_path: Path) -> None:
    track(project, {"1.jpg": "one"})
    victim = next(
        path
        for path in project.root.glob(".dvc/cache/files/md5/*/*")
        if path.is_file() and path.suffix != ".dir"
    )
    victim.chmod(0o644)
    victim.write_text("damaged")
    track(project, {"1.jpg": "one", "2.jpg": "two"}, str(tmp_path / "second"))
    assert pulled(project, tmp_path / "clone") == {"1.jpg": "one", "2.jpg": "two"}


def test_data_whose_dvc_file_names_a_remote_goes_there(project: Project, tmp_path: Path) -> None:
    track(project, {"1.jpg": "one"}, "../shared")
    with Repo(str(project.root)) as repo, repo.config.edit() as config:
        config["remote"]["other"] = {"url": str(tmp_path / "other")}
    with (project.root / "data/images.dvc").open("a") as file:
        file.write("  remote: other\n")
    track(project, {"1.jpg": "new"})
    assert ("-r--r--r--", b"new") in objects(tmp_path / "other").values()
    assert ("-r--r--r--", b"new") not in objects(tmp_path / "shared").values()


def test_a_killed_push_to_a_folder_ends_complete(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    track(project, {"first.jpg": "first"}, str(shared))
    process = start(project, "images", MANY, "killed")
    before = len(objects(shared))
    _kill_when(process, lambda: len(objects(shared)) > before)
    track(project, {str(n): f"killed {n} " * 20_000 for n in range(MANY)})
    assert status(project) == UNCHANGED
    assert len(pulled(project, tmp_path / "clone")) == MANY
    assert all(
        mode == "-r--r--r--" for name, (mode, _) in objects(shared).items() if "tmp" not in name
    )


def test_two_machines_that_push_at_once_lose_nothing(project: Project, tmp_path: Path) -> None:
    track(project, {"1.jpg": "first"}, str(tmp_path / "shared"))
    _push_from_two(project, tmp_path)


# -- S3 --------------------------------------------------------------------------------------


@dataclass
class Bucket:
    """A bucket on a server of this process.

    Attributes:
        server: Keeps its objects while it is stopped.
        url: How DVC knows the place for data.
    """

    server: ThreadedMotoServer
    url: str = "s3://team-data/dvc"

    @property
    def endpoint(self) -> str:
        host, port = self.server.get_host_and_port()
        return f"http://{host}:{port}"

    def keys(self) -> list[str]:
        found = boto3.client("s3").list_objects_v2(Bucket="team-data")
        return [each["Key"] for each in found.get("Contents", [])]

    def refuse(self, after: str) -> None:
        """Have requests of keys that the server does not know refused, after so many."""
        urllib.request.urlopen(
            urllib.request.Request(
                f"{self.endpoint}/moto-api/reset-auth",
                data=after.encode(),
                headers={"Content-Type": "text/plain"},
            )
        ).read()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    bucket = Bucket(server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    boto3.client("s3").create_bucket(Bucket="team-data")
    yield bucket
    bucket.refuse("inf")
    urllib.request.urlopen(
        urllib.request.Request(f"{bucket.endpoint}/moto-api/reset", method="POST")
    ).read()
    server.stop()


def test_data_is_pushed_to_s3_and_pulled_from_there(
    project: Project, tmp_path: Path, bucket: Bucket
) -> None:
    track(project, {"1.jpg": "one", "2.jpg": "two"}, bucket.url)
    keys = bucket.keys()
    assert len(keys) == 3
    assert all(key.startswith("dvc/files/md5/") for key in keys)
    assert status(project) == UNCHANGED
    assert pulled(project, tmp_path / "clone") == {"1.jpg": "one", "2.jpg": "two"}


def test_the_endpoint_can_be_one_of_dvcs_settings(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.dvc("init", "--quiet")
    with Repo(str(project.root)) as repo:
        with repo.config.edit() as config:
            config["core"]["remote"] = "team"
            config["remote"]["team"] = {"url": bucket.url}
        with repo.config.edit("local") as config:
            config["remote"]["team"] = {"endpointurl": bucket.endpoint}
    keys = bucket.keys
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    track(project, {"1.jpg": "one"})
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.endpoint)
    assert len(keys()) == 2


@pytest.mark.parametrize(
    ("case", "what"),
    [
        ("forbidden", "Forbidden"),
        ("no bucket", "The specified bucket does not exist"),
        ("unreachable", "Could not connect to the endpoint URL"),
    ],
)
def test_a_remote_that_refuses_is_told_and_the_next_run_pushes(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, case: str, what: str
) -> None:
    with monkeypatch.context() as trouble:
        if case == "forbidden":
            bucket.refuse("0")
        elif case == "no bucket":
            boto3.client("s3").delete_bucket(Bucket="team-data")
        else:
            trouble.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        with pytest.raises(StageError) as caught:
            track(project, {"1.jpg": "one"}, bucket.url)
    assert caught.value.where == bucket.url
    assert caught.value.what.startswith("the data is tracked, but was not pushed: ")
    assert what in caught.value.what
    with Repo(str(project.root)) as repo:
        assert repo.status() == {}
    bucket.refuse("inf")
    boto3.client("s3").create_bucket(Bucket="team-data")
    track(project, {"1.jpg": "one"})
    assert status(project) == UNCHANGED


def test_a_killed_push_to_s3_ends_complete(
    project: Project, tmp_path: Path, bucket: Bucket
) -> None:
    track(project, {"first.jpg": "first"}, bucket.url)
    process = start(project, "images", MANY, "killed")
    before = len(bucket.keys())
    _kill_when(process, lambda: len(bucket.keys()) > before)
    track(project, {str(n): f"killed {n} " * 20_000 for n in range(MANY)})
    assert status(project) == UNCHANGED
    assert len(pulled(project, tmp_path / "clone")) == MANY


def test_a_push_whose_remote_fails_halfway_ends_complete(
    project: Project, tmp_path: Path, bucket: Bucket
) -> None:
    track(project, {"first.jpg": "first"}, bucket.url)
    files = {str(number): f"some {number}" for number in range(MANY)}
    bucket.refuse("20")
    with pytest.raises(StageError, match="the data is tracked, but was not pushed"):
        track(project, files)
    bucket.refuse("inf")
    assert len(bucket.keys()) < MANY
    track(project, files)
    assert status(project) == UNCHANGED
    assert pulled(project, tmp_path / "clone") == files


def test_two_machines_that_push_to_s3_at_once_lose_nothing(
    project: Project, tmp_path: Path, bucket: Bucket
) -> None:
    track(project, {"1.jpg": "first"}, bucket.url)
    _push_from_two(project, tmp_path)


def test_what_the_cache_lost_is_fetched_from_s3(project: Project, bucket: Bucket) -> None:
    track(project, {"1.jpg": "one"}, bucket.url)
    (listing,) = project.root.glob(".dvc/cache/files/md5/*/*.dir")
    listing.chmod(0o644)
    listing.write_text("damaged")
    track(project, {"1.jpg": "two"})
    assert (project.root / "data/images/1.jpg").read_text() == "two"
    assert "1.jpg" in listing.read_text()


def _push_from_two(project: Project, tmp_path: Path) -> None:
    """Track overlapping data in two clones at once; each must be whole for everyone."""
    project.commit("first")
    machines = [clone(project, tmp_path / name) for name in ("one", "two")]
    running = [start(each, "images", 30, "shared") for each in machines]
    running += [start(each, each.root.name, 10, each.root.name) for each in machines]
    for process in running:
        _, errors = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 0, errors
    for machine in machines:
        assert status(machine) == UNCHANGED
        assert len(pulled(machine, tmp_path / f"{machine.root.name}-clone")) == 30


def _kill_when(process: subprocess.Popen[str], condition) -> None:  # type: ignore[no-untyped-def]
    """Kill a process without warning as soon as a condition holds, or find it ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline, "nothing was pushed"
        time.sleep(0.005)
    process.kill()
    process.communicate()
