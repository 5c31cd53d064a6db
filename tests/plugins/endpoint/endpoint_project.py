"""A project with models to deploy, and requests to its endpoints."""

import http.client
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlpipe_endpoint
import mlpipe_scriptmode
from mlpipe import Action, Stage, StageResult
from mlpipe.testing import make_stage
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.local import LocalBackend

#: Answers its name for each row; the first number of a row makes it misbehave.
SCRIPT = """
    import os
    import sys
    import time
    from pathlib import Path

    def model_fn(folder):
        return Path(folder, "name.txt").read_text()

    def predict_fn(rows, model):
        order = int(rows[0][0])
        if order == -1:
            raise ValueError("negative rows are not for me")
        if order == -2:
            os._exit(3)
        if order == -3:
            time.sleep(float(rows[0][1]))
        if order == -4:
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                sum(range(100_000))
        return [model for _ in rows]
"""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def variant(self) -> str | None:
        return self.headers["x-Amzn-Invoked-Production-Variant"]


def request(
    port: int,
    method: str = "POST",
    path: str = "/invocations",
    body: bytes | None = b"[[1, 2]]",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask an endpoint over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, body if method == "POST" else None, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Project:
    """A project folder, and ways to deploy in it."""

    root: Path

    @property
    def backend(self) -> LocalBackend:
        return LocalBackend(self.root, self.root / ".mlpipe" / "endpoints")

    def model(self, name: str, script: str = SCRIPT) -> Path:
        """Pack a model that answers its name."""
        folder = self.root / "build" / name
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "model" / "name.txt").write_text(name)
        source = folder / "serve.py"
        source.write_text(textwrap.dedent(script))
        archive = self.root / f"{name}.tar.gz"
        mlpipe_scriptmode.pack(folder / "model", {"serve.py": source}, "serve.py", archive)
        return archive

    def pair(self) -> dict[str, Path]:
        """Pack a model for each of two variants."""
        return {"champion": self.model("red"), "challenger": self.model("blue")}

    def port(self) -> int:
        """Where the endpoint listens."""
        found = self.backend.describe("churn")
        assert found is not None
        return found.deployment.port

    def stage(self, models: Mapping[str, Path]) -> Stage:
        return make_stage(self.root, "deploy", name="endpoint", inputs=models).stage

    def deploy(self, models: Mapping[str, Path], **settings: Any) -> StageResult:
        config = EndpointConfig(**{"endpoint": "churn", **settings})
        return mlpipe_endpoint.deploy(config=config, stage=self.stage(models))

    def preview(self, models: Mapping[str, Path], **settings: Any) -> list[Action]:
        config = EndpointConfig(**{"endpoint": "churn", **settings})
        return list(mlpipe_endpoint.preview(config=config, stage=self.stage(models)))

    def plan(self, models: Mapping[str, Path], **settings: Any) -> list[str]:
        actions = self.preview(models, **settings)
        return [f"{action.operation} {action.subject}" for action in actions]

    def records(self, name: str = "churn") -> list[dict[str, Any]]:
        text = self.backend.folder(name).invocations.read_text()
        return [json.loads(line) for line in text.splitlines()]

    def server_pid(self, name: str = "churn") -> int:
        server = self.backend.folder(name).server()
        assert server is not None
        return server.pid
