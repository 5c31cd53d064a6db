"""Nodes that pull from a real registry: what was never pushed cannot run."""

import hashlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpipe.errors import StageError
from mlpipe_container.kubernetes.values import Image
from tests.plugins.container.kubernetes_site import digest, opened

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
pytestmark = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="needs Debian's docker-registry"
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
    settings = {"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}}
    config.write_text(json.dumps(settings))
    with (tmp_path / "registry.log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


def push(registry: str, name: str) -> str:
    """Push the smallest image there is; give its digest."""
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    blob = f"sha256:{hashlib.sha256(config).hexdigest()}"
    begun = urllib.request.Request(f"{registry}/v2/{name}/blobs/uploads/", method="POST")
    with urllib.request.urlopen(begun, timeout=10) as answer:
        place = answer.headers["Location"]
    send(f"{place}&digest={blob}", config, "application/octet-stream")
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": blob,
        "size": len(config),
    }
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
    body = json.dumps(manifest).encode()
    send(f"{registry}/v2/{name}/manifests/1.0.0", body, MANIFEST)
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def send(url: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201


def test_what_was_pushed_runs_and_nothing_else(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = f"{registry.removeprefix('http://')}/team/scorer"
    pushed = push(registry, "team/scorer")
    with opened(tmp_path, monkeypatch) as site:
        site.cluster.images.registry = registry
        site.deploy(Image(repository, pushed, "1.0.0"))
        assert site.running() == [pushed] * 2
        with pytest.raises(StageError, match=r"not found(.|\n)*1\.0\.0 is in service again"):
            site.deploy(Image(repository, digest(7), "2.0.0"))
        assert site.running() == [pushed] * 2
