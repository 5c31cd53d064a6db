"""Who is let in, and with how much: what the endpoint refuses, and how it says so."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import mlpipe_endpoint
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_endpoint import processes
from mlpipe_endpoint.asking import Request
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.local import LocalBackend
from tests.plugins.endpoint.endpoint_project import Answer, Project, request

#: What is documented.
RUNTIME = "/endpoints/churn/invocations"
CODES = {200, 400, 401, 404, 405, 408, 413, 415, 424, 429, 431, 500, 501, 503, 505}


def conversation(port: int, sent: bytes, seconds: float = 30) -> bytes:
    """Send bytes, and read until the endpoint closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def slow_requests(port: int, count: int, seconds: float) -> Iterator[list[Answer]]:
    """Have requests answered slowly meanwhile; give their answers afterwards."""
    answers: list[Answer] = []
    body = json.dumps([[-3, seconds]]).encode()
    callers = [
        threading.Thread(target=lambda: answers.append(request(port, body=body)))
        for _ in range(count)
    ]
    for caller in callers:
        caller.start()
    try:
        yield answers
    finally:
        for caller in callers:
            caller.join()


# -- limits ---------------------------------------------------------------------------------


def test_more_requests_than_allowed_are_refused_at_once(project: Project) -> None:
    models = {"champion": project.model("red")}
    project.deploy(models, limits={"concurrency": 2})
    port = project.port()
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(request, port, body=b"[[-3, 2]]") for _ in range(2)]
        time.sleep(0.5)
        refused = request(port)
        assert (refused.status, refused.json["__type"]) == (429, "ThrottlingException")
        assert refused.headers["Retry-After"] == "1"
        assert request(port, "GET", "/ping").status == 200
        assert [each.result().status for each in slow] == [200, 200]
    assert request(port).status == 200
    assert project.plan(models, limits={"concurrency": 3}) == ["update limits of churn"]
    project.deploy(models, limits={"concurrency": 3})
    assert project.port() == port


def test_a_larger_body_than_allowed_is_refused(project: Project) -> None:
    project.deploy({"champion": project.model("red")}, limits={"body": 100})
    refused = request(project.port(), body=b"[" + b" " * 200 + b"[1]]")
    assert (refused.status, refused.json["__type"]) == (413, "RequestEntityTooLarge")
    assert request(project.port(), body=b"[[1, 2]]").status == 200


# -- tokens ---------------------------------------------------------------------------------


def deploy(project: Project, token: str, **more: Any) -> None:
    models = {"champion": project.model("red")}
    config = EndpointConfig.model_validate({"endpoint": "churn", "token": "TOKEN", **more})
    stage = make_stage(project.root, "deploy", inputs=models, secrets={"TOKEN": token}).stage
    mlpipe_endpoint.deploy(config=config, stage=stage)


def ask(port: int, token: str, path: str = "/invocations", method: str = "POST") -> Answer:
    return request(port, method, path, headers={"Authorization": f"Bearer {token}"})


def test_without_its_token_nobody_is_let_in(project: Project) -> None:
    deploy(project, "s3cret", probe={"body": [[1, 2]]})
    port = project.port()
    for refused in (
        request(port),
        ask(port, "wrong"),
        ask(port, ""),
        request(port, "GET", "/metrics"),
    ):
        assert (refused.status, refused.json["__type"]) == (401, "AccessDeniedException")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert request(port, "GET", "/ping").status == 200
    assert ask(port, "s3cret").json == ["red"]
    assert ask(port, "s3cret", "/metrics", "GET").status == 200
    files = [each for each in project.root.rglob("*") if each.is_file()]
    assert not [each for each in files if b"s3cret" in each.read_bytes()]


def test_commands_take_the_token_from_the_environment(project: Project) -> None:
    deploy(project, "s3cret")
    home = project.root / ".mlpipe" / "endpoints"
    sent = Request(b"[[1, 2]]", {"Content-Type": "application/json", "Accept": "*/*"})
    with pytest.raises(StageError, match='the token of endpoint "churn", TOKEN, is not set'):
        LocalBackend(project.root, home).ask("churn", sent)
    known = LocalBackend(project.root, home, {"TOKEN": "s3cret"})
    assert known.ask("churn", sent).body == b'["red"]'


def test_another_token_takes_its_place(project: Project) -> None:
    deploy(project, "first")
    deploy(project, "second")
    assert ask(project.port(), "first").status == 401
    assert ask(project.port(), "second").status == 200


def test_who_listens_for_others_needs_a_token(project: Project) -> None:
    with pytest.raises(ValidationError, match="can be reached from elsewhere, so a token"):
        EndpointConfig.model_validate({"endpoint": "churn", "host": "0.0.0.0"})
    deploy(project, "s3cret", host="0.0.0.0")
    assert ask(project.port(), "s3cret").json == ["red"]
    pid = project.server_pid()
    deploy(project, "s3cret")
    assert project.server_pid() != pid  # another socket
    assert ask(project.port(), "s3cret").json == ["red"]


# -- those who take their time --------------------------------------------------------------


def test_a_client_that_asks_first_need_not_send_a_body_that_is_too_large(lasting: Project) -> None:
    head = (
        f"POST {RUNTIME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Length: {100 * 1024**2}\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = conversation(lasting.port(), head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"The body has 104857600 bytes, at most 6291456 allowed" in answer


# -- what is no proper request --------------------------------------------------------------


POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.0\r\n\r\n", b"200"),
        (b"OPTIONS /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
        (b"GET /%70ing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"200"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n8\r\n[[1, 2]]\r\n0\r\n\r\n", b"200"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (POST + b"Content-Length: 8\r\nContent-Length: 9\r\n\r\n[[1, 2]]", b"400"),
        (POST + b"Content-Length: 8\r\nX: " + b"y" * 66_000 + b"\r\n\r\n[[1, 2]]", b"431"),
        (POST + b"X: " + b"y" * 66_000, b"431"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 8\r\n\r\n[[1, 2]]", b"100"),
    ],
)
def test_odd_requests_are_answered(lasting: Project, text: bytes, status: bytes) -> None:
    answer = conversation(lasting.port(), text)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert request(lasting.port()).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"[[1, NaN]]", 400),
        ({}, b"[[1, 1e999]]", 400),
        ({}, b'{"instances": [[1, 2], [3]]}', 400),
        ({}, b"[[1, ", 400),
        ({}, b"", 400),
        ({}, b"\xff\xfe", 400),
        ({"Content-Type": "text/csv"}, b"1,x\n", 400),
        ({"Content-Type": "application/x-npy"}, b"\x93NUMPY", 400),
        ({"Content-Type": "image/png"}, b"[[1]]", 415),
        ({"X-Amzn-SageMaker-Target-Variant": "none"}, b"[[1]]", 400),
    ],
)
def test_bodies_that_cannot_be_read(
    lasting: Project, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = request(lasting.port(), body=body, headers=headers)
    assert answer.status == status
    assert answer.json["Message"]


def test_who_sends_slowly_keeps_nobody_waiting(lasting: Project) -> None:
    port = lasting.port()
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    try:
        for each in slow:
            each.sendall(POST + b"Content-Length: 8\r\n\r\n[[")
        begun = time.monotonic()
        assert [request(port).status for _ in range(20)] == [200] * 20
        assert time.monotonic() - begun < 10
    finally:
        for each in slow:
            each.close()


def test_pipelined_requests_are_answered_in_order(lasting: Project) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nX-Amzn-SageMaker-Target-Variant: "
    ask = b"".join(
        head + variant + b"\r\n" + last + b"Content-Length: 8\r\n" + b"\r\n" + b"[[1, 2]]"
        for variant, last in ((b"champion", b""), (b"challenger", b"Connection: close\r\n"))
    )
    answer = conversation(lasting.port(), ask)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"red") < answer.index(b"blue")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=300)
    | st.from_regex(rb"\[\[[-0-9eE.,\[\] ]{0,60}\]\]", fullmatch=True)
    | st.builds(lambda x: repr(x).encode(), st.lists(st.lists(st.floats() | st.text()))),
    kind=st.sampled_from(
        ["application/json", "text/csv", "application/jsonlines", "application/x-npy", "a/b", "?"]
    ),
    accept=st.sampled_from(["*/*", "text/csv", "application/x-npy", "image/png", ";;"]),
    path=st.sampled_from(
        ["/invocations", "/endpoints/churn/invocations", "/endpoints/x/invocations"]
    ),
    method=st.sampled_from(["POST", "GET", "PUT", "DELETE"]),
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_whatever_is_sent_is_answered_by_a_documented_code(
    lasting: Project, body: bytes, kind: str, accept: str, path: str, method: str, key: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lasting.port(), timeout=30)
    try:
        headers = {"Content-Type": kind, "Accept": accept, "X-Mlpipe-Key": key}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status in CODES
    if answer.status != 200:
        assert b'"Message"' in content
    pid = lasting.server_pid()
    assert Path(f"/proc/{pid}").exists()


# -- stopping ------------------------------------------------------------------------------


def test_sigterm_under_load_fails_no_accepted_request(
    project: Project, pair: dict[str, Path]
) -> None:
    port = int(project.deploy(pair, traffic={"champion": 1, "challenger": 1}).values["port"])
    pid = project.server_pid()
    with slow_requests(port, 8, 1.0) as answers:
        # A script's model answers one after the other: each variant has about four.
        running = 'mlpipe_endpoint_ready{variant="champion"} 1.0'
        assert running in request(port, "GET", "/metrics").body.decode()
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        assert processes.wait_until(lambda: _refuses(port), 5)
        assert processes.identity(pid) is not None, "it still answers what it has accepted"
    assert Counter(answer.status for answer in answers) == {200: 8}
    assert processes.wait_until(lambda: processes.identity(pid) is None, 20)
    ids = [answer.headers["x-amzn-RequestId"] for answer in answers]
    assert sorted(record["id"] for record in project.records()) == sorted(ids)


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False
