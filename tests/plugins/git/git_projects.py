"""Repositories to check out, and ways to."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlpipe_git
from mlpipe import StageResult
from mlpipe.testing import make_stage
from mlpipe_git.config import CheckoutConfig

_WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "Somebody"),
        ("EMAIL", "somebody@example.com"),
        ("DATE", "2026-03-01T09:30:00+01:00"),
    )
}


@dataclass(frozen=True)
class Repo:
    """A repository with a work tree."""

    path: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", "-C", str(self.path), *arguments],
            env={**os.environ, **_WHO, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str = "Change", **files: str) -> str:
        """Commit all there is, with more files; ``__`` in a name stands for a dot."""
        self.write({name.replace("__", "."): text for name, text in files.items()})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str) -> None:
        self.git("tag", "-a", "-m", name, name)


def new_repo(path: Path) -> Repo:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch=main")
    return repo


@dataclass(frozen=True)
class Checkout:
    """What a checkout gave."""

    result: StageResult
    source: Path

    @property
    def values(self) -> Mapping[str, Any]:
        return self.result.values

    @property
    def files(self) -> dict[str, str]:
        return {
            path.relative_to(self.source).as_posix(): path.read_text()
            for path in sorted(self.source.rglob("*"))
            if path.is_file()
        }


@dataclass(frozen=True)
class Project:
    """A project that checks out."""

    root: Path

    def settings(self, values: Mapping[str, Any]) -> CheckoutConfig:
        return CheckoutConfig.model_validate(dict(values))

    def resolve(self, secrets: Mapping[str, str] | None = None, **settings: Any) -> dict[str, str]:
        stage = make_stage(self.root, "checkout", name="resolve", secrets=secrets).stage
        return dict(mlpipe_git.resolve(config=self.settings(settings), stage=stage))

    def checkout(
        self,
        secrets: Mapping[str, str] | None = None,
        identities: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Checkout:
        shutil.rmtree(self.root / ".mlpipe" / "scratch" / "source", ignore_errors=True)
        stage = make_stage(self.root, "checkout", name="source", secrets=secrets).stage
        stage = replace(stage, identities=identities or {})
        result = mlpipe_git.checkout(config=self.settings(settings), stage=stage)
        source = result.outputs["source"]
        assert isinstance(source, Path)
        return Checkout(result, source)


@contextmanager
def serving(home: Path, token: str = "") -> Iterator[str]:
    """Serve a folder's repositories by Git's own HTTP backend; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _answer(self, body: bytes) -> None:
            shown = self.headers.get("Authorization", "")
            wanted = base64.b64encode(f"git:{token}".encode()).decode()
            if token and shown != f"Basic {wanted}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                env={
                    **os.environ,
                    "GIT_PROJECT_ROOT": str(home),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                },
                capture_output=True,
                check=False,
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
