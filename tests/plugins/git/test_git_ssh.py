"""Checkouts by SSH, from a real server on this machine."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from tests.plugins.git.git_projects import Project, Repo

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
PasswordAuthentication no
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
"""


@dataclass(frozen=True)
class Server:
    """A server.

    Attributes:
        port: Where it listens.
        key: A private key that it lets in.
        stranger: One that it does not.
        hosts: The path of a file with its key.
    """

    port: int
    key: str
    stranger: str
    hosts: Path

    def url(self, repo: Repo) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{repo.path}"


def key(path: Path) -> str:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("no SSH server here: apt-get install openssh-server, and run as root")
    Path("/run/sshd").mkdir(exist_ok=True)  # where it gives up its rights
    with tempfile.TemporaryDirectory() as name, socket.socket() as found:
        folder = Path(name)
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        key(folder / "host")
        mine, stranger = key(folder / "mine"), key(folder / "stranger")
        (folder / "authorized").write_bytes((folder / "mine.pub").read_bytes())
        public = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[127.0.0.1]:{port} {public}")
        (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            yield Server(port, mine, stranger, folder / "known")
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")


def test_a_commit_by_its_branch(project: Project, repo: Repo, server: Server) -> None:
    shutil.copy(server.hosts, project.root / "known_hosts")
    settings: dict[str, Any] = {
        "repository": server.url(repo),
        "ref": "main",
        "ssh_key": "DEPLOY_KEY",
        "known_hosts": "known_hosts",
    }
    secrets = {"DEPLOY_KEY": server.key}
    commit = repo.git("rev-parse", "HEAD")
    assert project.resolve(secrets, **settings)["commit"] == commit
    found = project.checkout(secrets, **settings)
    assert found.values["commit"] == commit
    assert found.files["README.md"] == "read"
    kept = [path for path in (project.root / ".mlpipe").rglob("*") if path.is_file()]
    body = server.key.splitlines()[1].encode()
    outside = [path for path in kept if "scratch" not in path.parts]
    assert not [path for path in outside if body in path.read_bytes()]


def test_a_key_or_host_that_is_not_known(project: Project, repo: Repo, server: Server) -> None:
    shutil.copy(server.hosts, project.root / "known_hosts")
    settings: dict[str, Any] = {
        "repository": server.url(repo),
        "ref": "main",
        "ssh_key": "DEPLOY_KEY",
    }
    with pytest.raises(StageError, match="does not let us in by SSH"):
        project.resolve({"DEPLOY_KEY": server.stranger}, known_hosts="known_hosts", **settings)
    (project.root / "empty").write_text("")
    with pytest.raises(StageError, match="SSH key is not known"):
        project.resolve({"DEPLOY_KEY": server.key}, known_hosts="empty", **settings)
