"""The same model behind several servers, and what wrk and the kernel say of a request."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import mlpipe_endpoint
import mlpipe_scriptmode
from mlpipe.testing import make_stage
from mlpipe_endpoint import control, processes
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.local import LocalBackend
from tests.benchmarks.measure import tree_cpu

#: One thread of linear algebra for each server: a row is not worth more.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
}

_SCRIPT = """
    from pathlib import Path
    import joblib

    def model_fn(folder):
        return joblib.load(Path(folder, "model.joblib"))
"""

_FASTAPI = """
    import joblib
    import numpy as np
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Rows(BaseModel):
        instances: list[list[float]]

    app = FastAPI()
    model = joblib.load("model.joblib")

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {}

    @app.post("/invocations")
    async def predict(rows: Rows) -> list[int]:
        return model.predict(np.array(rows.instances)).tolist()
"""

_LITSERVE = """
    import sys
    import joblib
    import litserve
    import numpy as np

    class Api(litserve.LitAPI):
        def setup(self, device):
            self.model = joblib.load("model.joblib")

        def decode_request(self, request):
            return np.array(request["instances"])

        def batch(self, inputs):
            return np.concatenate(inputs)

        def predict(self, rows):
            return self.model.predict(rows)

        def unbatch(self, predictions):
            return list(predictions)

        def encode_response(self, prediction):
            return {"predictions": np.asarray(prediction).ravel().tolist()}

    if __name__ == "__main__":
        api = Api(max_batch_size=64, batch_timeout=0.001, api_path="/invocations")
        server = litserve.LitServer(api, accelerator="cpu")
        server.run(
            host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False
        )
"""

_BENTOML = """
    import bentoml
    import joblib
    import numpy as np

    @bentoml.service(workers=1)
    class Service:
        def __init__(self):
            self.model = joblib.load("model.joblib")

        @bentoml.api(route="/invocations")
        def predict(self, instances: list[list[float]]) -> list[int]:
            return self.model.predict(np.array(instances)).tolist()
"""

_NGINX = """
    worker_processes 1;
    daemon off;
    pid nginx.pid;
    error_log stderr error;
    events {}
    http {
      access_log off;
      keepalive_requests 100000000;
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
      uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      server {
        listen 127.0.0.1:PORT;
        location / { default_type application/json; return 200 '{"predictions": [0]}'; }
      }
    }
"""

_WRK = """
    local file = io.open(os.getenv("BODY"), "rb")
    wrk.body = file:read("*a")
    file:close()
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    done = function(summary, latency, requests)
      local e = summary.errors
      io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.timeout + e.status))
    end
"""


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        name: What tables call it.
        port: Where it listens.
        pid: Of the process that all its processes descend from.
    """

    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Load:
    """What a run of wrk measured.

    Attributes:
        cpu: Microseconds of CPU a request, user and system, of all processes of the server.
        rate: Requests a second.
        p50: The median latency in milliseconds.
        p99: The 99th percentile in milliseconds.
    """

    cpu: float
    rate: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Material:
    """The model, and what to ask it.

    Attributes:
        folder: Where ``model.joblib``, ``mlflow/`` and the servers' own files are.
    """

    folder: Path

    @property
    def body(self) -> Path:
        """A request of one row."""
        return self.folder / "row.json"


def material(folder: Path) -> Material:
    """Train the model: a logistic regression of 30 features."""
    import joblib
    import mlflow.sklearn
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    features, labels = load_breast_cancer(return_X_y=True)
    model = LogisticRegression(max_iter=5000).fit(features, labels)
    joblib.dump(model, folder / "model.joblib")
    mlflow.sklearn.save_model(model, folder / "mlflow", serialization_format="pickle")
    row = features[:1].tolist()
    (folder / "row.json").write_text(json.dumps({"instances": row}))
    (folder / "post.lua").write_text(textwrap.dedent(_WRK))
    return Material(folder)


@contextmanager
def mlpipe(given: Material) -> Iterator[Running]:
    """Serve by an endpoint."""
    root = Path(tempfile.mkdtemp(dir=given.folder))
    (root / ".mlpipe").mkdir()
    (root / "model").mkdir()
    shutil.copy(given.folder / "model.joblib", root / "model")
    script = root / "serve.py"
    script.write_text(textwrap.dedent(_SCRIPT))
    archive = root / "model.tar.gz"
    mlpipe_scriptmode.pack(root / "model", {"serve.py": script}, "serve.py", archive)
    stage = make_stage(root, "deploy", name="endpoint", inputs={"only": archive}).stage
    backend = LocalBackend(root, root / ".mlpipe" / "endpoints")
    try:
        with _variables(ENVIRONMENT):
            result = mlpipe_endpoint.deploy(config=EndpointConfig(endpoint="bench"), stage=stage)
        server = backend.folder("bench").server()
        assert server is not None
        # What a spare takes to load is no request's.
        assert processes.wait_until(lambda: _has_spare(server.control), 60)
        yield Running("mlpipe", int(result.values["port"]), server.pid)
    finally:
        backend.stop("bench")


def _has_spare(path: str) -> bool:
    return all(control.ask(path, "describe", timeout=5)["spares"].values())


@contextmanager
def _variables(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class Peer:
    """Another server of the same model.

    Attributes:
        name: What tables call it.
        command: Gives the command that serves at a port, run in a folder with the model.
        files: What else is in that folder, by name; ``PORT`` in one stands for the port.
        packages: What to install in an environment of its own; none for what is here.
        needs: The program without which it cannot run, beside Python.
    """

    name: str
    command: Callable[[Path, int], Sequence[str]]
    files: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    needs: str = ""


def _fastapi(programs: Path, port: int) -> list[str]:
    options = ["--no-access-log", "--log-level", "error", "--port", str(port)]
    return [str(programs / "python"), "-m", "uvicorn", "app:app", *options]


def _mlflow(programs: Path, port: int) -> list[str]:
    serve = [str(programs / "mlflow"), "models", "serve", "-m", "mlflow", "-p", str(port)]
    return [*serve, "--env-manager", "local", "-w", "1"]


def _nginx(_: Path, port: int) -> list[str]:
    return ["nginx", "-e", "stderr", "-p", ".", "-c", "nginx.conf"]


def _litserve(programs: Path, port: int) -> list[str]:
    return [str(programs / "python"), "serve_lit.py", str(port)]


def _bentoml(programs: Path, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(programs / "bentoml"), "serve", "serve_bento:Service", *options]


_MODEL = ("scikit-learn==1.9.1", "joblib", "numpy")
FASTAPI = Peer("FastAPI, uvicorn", _fastapi, (("app.py", _FASTAPI),))
MLFLOW = Peer("mlflow models serve", _mlflow)
NGINX = Peer("nginx, a constant", _nginx, (("nginx.conf", _NGINX),), needs="nginx")
LITSERVE = Peer(
    "litserve 0.2.17", _litserve, (("serve_lit.py", _LITSERVE),), ("litserve==0.2.17", *_MODEL)
)
BENTOML = Peer(
    "bentoml 1.4.39", _bentoml, (("serve_bento.py", _BENTOML),), ("bentoml==1.4.39", *_MODEL)
)


@contextmanager
def peer(given: Material, other: Peer, programs: Path) -> Iterator[Running]:
    """Serve by another server.

    Args:
        given: The model.
        other: The server.
        programs: The folder of its interpreter and commands.
    """
    port = _free_port()
    for name, text in other.files:
        filled = text.replace("PORT", str(port))
        (given.folder / name).write_text(textwrap.dedent(filled))
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with (given.folder / "peer.log").open("w+") as log:
        process = subprocess.Popen(
            other.command(programs, port),
            cwd=given.folder,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _until_answered(process, port, given.body.read_bytes(), Path(log.name))
            yield Running(other.name, port, process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _until_answered(
    process: "subprocess.Popen[bytes]", port: int, body: bytes, log: Path, seconds: float = 120.0
) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(port, body):
        said = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"it ended:\n{said}"
        assert time.monotonic() < deadline, f"it does not answer:\n{said}"
        time.sleep(0.1)


def _answers(port: int, body: bytes) -> bool:
    url = f"http://127.0.0.1:{port}/invocations"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return "0" in answer.read().decode()
    except OSError:
        return False


def load(given: Material, server: Running, connections: int, seconds: int) -> Load:
    """Ask a server as fast as it answers.

    Args:
        given: What to ask.
        server: Whom.
        connections: How many requests are on their way at once.
        seconds: For how long.
    """
    before = tree_cpu(server.pid)
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"),
            *("-s", str(given.folder / "post.lua"), f"http://127.0.0.1:{server.port}/invocations"),
        ],
        env={**os.environ, "BODY": str(given.body)},
        capture_output=True,
        text=True,
        check=True,
    )
    used = tree_cpu(server.pid) - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    count, took, p50, p99, failed = map(int, found.groups())
    assert count, f"{server.name} answered nothing"
    assert not failed, f"{server.name}: {failed} requests failed"
    return Load(used / count * 1e6, count / took * 1e6, p50 / 1000, p99 / 1000)
