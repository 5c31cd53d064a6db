"""A project that notifies, and a server that hears what it says."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Heard:
    """A request: its path, headers and JSON."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Listener:
    """A server on loopback that keeps what is posted to it.

    Attributes:
        heard: All requests, in order.
        answers: What the next requests are answered: status, body, headers; then 200, ``ok``.
        delay: Seconds before each answer.
    """

    heard: list[Heard] = field(default_factory=list)
    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    delay: float = 0.0

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.heard.append(Heard(self.path, dict(self.headers), body))
                queued = listener.answers
                status, text, headers = queued.pop(0) if queued else (200, "ok", {})
                time.sleep(listener.delay)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: object = "-", size: object = "-") -> None:
                """Say nothing."""

        return Handler

    def url(self, path: str) -> str:
        """Give the URL of a path on this server."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Notifying:
    """A project whose recipes are run by the command."""

    root: Path

    def write(self, path: str, text: str) -> None:
        """Write a file, its text dedented."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"))

    def mlpipe(self, *arguments: str, **environment: str) -> Answer:
        """Run ``mlpipe``."""
        done = subprocess.run(
            [sys.executable, "-m", "mlpipe", *arguments],
            cwd=self.root,
            env={**os.environ, "NO_COLOR": "1", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def everything(self) -> str:
        """Give the bytes of all files of the project, those of its state included."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return "\n".join(path.read_bytes().decode("latin-1") for path in files)
