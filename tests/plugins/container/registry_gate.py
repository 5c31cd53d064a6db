"""A registry behind a server that asks for a login, and that can break off."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import requests

from mlpipe_container.credentials import Login

_NOT_PASSED = ("authorization", "transfer-encoding", "content-length", "connection")


class Gate:
    """What the server does.

    Attributes:
        behind: Host and port of the registry.
        address: Its own.
        login: Who is let in.
        bearer: The token that it gives for a login; empty where it wants the login each time.
        fail_after: How many uploads it takes before it breaks off; all if negative.
        ecr: A client of ECR, whose rules it has then: repositories must have been made, and tags
            of theirs that are immutable stay.
    """

    def __init__(self, behind: str, login: Login) -> None:
        self.behind = behind
        self.login = login
        self.bearer = ""
        self.fail_after = -1
        self.address = ""
        self.ecr: Any = None

    def lets_in(self, given: str) -> bool:
        return given == (f"Bearer {self.bearer}" if self.bearer else self.login.basic)

    def asks(self) -> str:
        if not self.bearer:
            return 'Basic realm="test"'
        return f'Bearer realm="http://{self.address}/token",service="test",scope="push"'

    def breaks_off(self, method: str) -> bool:
        if self.fail_after < 0 or method not in ("PATCH", "PUT"):
            return False
        self.fail_after = max(0, self.fail_after - 1)
        return self.fail_after == 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: ClassVar[Gate]

    def answer(self) -> None:
        body, gate = self.body(), self.gate
        shown = self.headers.get("Authorization", "")
        if self.path.startswith("/token"):
            known = shown == gate.login.basic
            self.say(200 if known else 401, {}, json.dumps({"token": gate.bearer}).encode())
        elif not gate.lets_in(shown):
            self.say(401, {"WWW-Authenticate": gate.asks()}, b'{"errors":[]}')
        elif gate.breaks_off(self.command):
            self.close_connection = True
        elif refused := self.refused_by_ecr():
            self.say(*refused)
        else:
            self.passed(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - the server's names

    def refused_by_ecr(self) -> tuple[int, dict[str, str], bytes] | None:
        name, _, rest = self.path.removeprefix("/v2/").partition("/manifests/")
        if self.gate.ecr is None or not name.strip("/"):
            return None
        known = self.gate.ecr.describe_repositories()["repositories"]
        found = [each for each in known if f"{name}/".startswith(f"{each['repositoryName']}/")]
        if not found:
            return 404, {}, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}'
        immutable = found[0]["imageTagMutability"] == "IMMUTABLE"
        if self.command == "PUT" and immutable and not rest.startswith("sha256:"):
            there = requests.head(f"http://{self.gate.behind}{self.path}", timeout=10)
            if rest and there.status_code == 200:
                said = b'{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}'
                return 400, {}, said
        return None

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def passed(self, body: bytes) -> None:
        given = requests.request(
            self.command,
            f"http://{self.gate.behind}{self.path}",
            data=body,
            headers={k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED},
            timeout=30,
            allow_redirects=False,
        )
        kept = {
            name: value.replace(self.gate.behind, self.gate.address)
            for name, value in given.headers.items()
            if name.lower() not in _NOT_PASSED
        }
        size = given.headers.get("Content-Length") if self.command == "HEAD" else None
        self.say(given.status_code, kept, given.content, size)

    def say(
        self, status: int, headers: dict[str, str], body: bytes, size: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": size or str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def gate(behind: str, login: Login) -> Iterator[Gate]:
    """Serve in front of a registry, for those who have a login."""
    made = Gate(behind, login)
    handler = type("Handler", (Handler,), {"gate": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
