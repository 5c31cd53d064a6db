"""An endpoint under load for long, while all that may happen to it does."""

import os
import random
import re
import signal
import subprocess
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from shutil import which

import orjson
import pytest

import mlpipe_endpoint
import mlpipe_scriptmode
from mlpipe import Release, RollbackContext, Target
from mlpipe.testing import make_stage
from mlpipe_endpoint import control
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.local import LocalBackend
from tests.benchmarks.serving import Material, material

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(which("wrk") is None, reason="wrk is not installed"),
]

CONNECTIONS = 64
SECONDS, FULL_SECONDS = 20, 1800
#: Megabytes by which a process may have grown since it was warm.
GROWTH = 25
VARIANTS = ("champion", "challenger")


class Soak:
    """An endpoint with two variants.

    Args:
        given: The model.
        root: A project's folder.
    """

    def __init__(self, given: Material, root: Path) -> None:
        self._root = root
        (root / ".mlpipe").mkdir(parents=True)
        self.backend = LocalBackend(root, root / ".mlpipe" / "endpoints")
        script = root / "serve.py"
        script.write_text(
            "import joblib, os\n"
            "def model_fn(folder):\n"
            "    return joblib.load(os.path.join(folder, 'model.joblib'))\n"
        )
        self._models = {}
        for variant in VARIANTS:
            folder = root / variant
            folder.mkdir()
            (folder / "model.joblib").write_bytes((given.folder / "model.joblib").read_bytes())
            (folder / "name.txt").write_text(variant)
            self._models[variant] = root / f"{variant}.tar.gz"
            mlpipe_scriptmode.pack(folder, {"serve.py": script}, "serve.py", self._models[variant])

    def deploy(self, champion: int) -> Release:
        traffic = {"champion": float(champion), "challenger": 100.0 - champion}
        config = EndpointConfig(endpoint="soak", traffic=traffic)
        stage = make_stage(self._root, "deploy", inputs=self._models).stage
        (release,) = mlpipe_endpoint.deploy(config=config, stage=stage).releases
        return release

    def roll_back(self, release: Release) -> None:
        context = RollbackContext(self._root, self._root / ".mlpipe", Target(), None)
        mlpipe_endpoint.rollback(release=release, context=context)

    def workers(self) -> dict[str, int | None]:
        server = self.backend.folder("soak").server()
        assert server is not None
        found: dict[str, int | None] = control.ask(server.control, "describe", timeout=30)[
            "workers"
        ]
        return found

    def memory(self) -> float:
        """Megabytes of the router: its workers come and go."""
        server = self.backend.folder("soak").server()
        assert server is not None
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_an_endpoint_under_load_for_long(
    tmp_path: Path, show: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    seconds = FULL_SECONDS if request.config.getoption("--full") else SECONDS
    given, chance = material(tmp_path), random.Random(1)
    soak = Soak(given, tmp_path / "project")
    first = soak.deploy(90)
    try:
        second = soak.deploy(60)
        port = int(first.payload["port"])
        wrk = subprocess.Popen(
            [
                *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s"),
                *("-s", str(given.folder / "post.lua"), f"http://127.0.0.1:{port}/invocations"),
            ],
            env={**os.environ, "BODY": str(given.body)},
            stdout=subprocess.PIPE,
            text=True,
        )
        begun, warm, kills, changes = time.monotonic(), 0.0, 0, 0
        while time.monotonic() - begun < seconds - 3:
            time.sleep(0.5)
            soak.backend.weigh("soak", {"champion": float(chance.randint(1, 99))})
            changes += 1
            if changes % 8 == 0 and (pid := soak.workers()[chance.choice(VARIANTS)]):
                os.kill(pid, signal.SIGKILL)
                kills += 1
            if changes % 12 == 0:
                soak.roll_back(chance.choice((first, second)))
            if not warm and time.monotonic() - begun > seconds / 4:
                warm = soak.memory()
        grown = soak.memory() - warm
        out, _ = wrk.communicate()
    finally:
        soak.backend.stop("soak")
    found = re.search(r"RESULT (\d+) \d+ \d+ (\d+) (\d+)", out)
    assert found, out
    answered, p99, failed = map(int, found.groups())
    recorded, different = _recorded(soak)
    show(
        f"  {answered:,} requests in {seconds} s, {changes} changes of weights, {kills} workers "
        f"killed: {failed} failed, p99 {p99 / 1000:.0f} ms, router {grown:+.1f} MB"
    )
    assert kills > 1
    assert failed <= kills * CONNECTIONS
    assert different == recorded >= answered
    assert grown < GROWTH


def _recorded(soak: Soak) -> tuple[int, int]:
    """Count records, and identifiers among them: in half an hour there are tens of millions."""
    import numpy as np

    numbers = array("Q")
    with soak.backend.folder("soak").invocations.open("rb") as file:
        for line in file:
            numbers.append(int(orjson.loads(line)["id"][:18].replace("-", ""), 16))
    return len(numbers), len(np.unique(np.frombuffer(numbers, dtype=np.uint64)))
