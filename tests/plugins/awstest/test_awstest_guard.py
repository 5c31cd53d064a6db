"""Tests of the guard that lets tests talk to this machine only."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe_awstest import Aws

ELSEWHERE = "192.0.2.1"  # nobody's, by RFC 5737
SENDING = {
    "connecting": f"socket.create_connection(('{ELSEWHERE}', 80), 1)",
    "asking for an address": "socket.getaddrinfo('sts.amazonaws.com', 443)",
    "sending": f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{ELSEWHERE}', 53))",
}


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", f"import socket; {code}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_this_machine_can_be_reached(aws: Aws, only_loopback: Path) -> None:
    aws.bucket("acme-ml")
    port = aws.url.rpartition(":")[2]
    done = python(f"socket.create_connection(('localhost', {port})); socket.getfqdn()")
    assert (done.returncode, done.stderr) == (0, "")
    assert socket.getaddrinfo(socket.gethostname(), None) is not None


@pytest.mark.parametrize("code", SENDING.values(), ids=SENDING)
def test_no_other_can(only_loopback: Path, code: str) -> None:
    with pytest.raises(PermissionError, match="this machine only"):
        exec(code, {"socket": socket})
    assert "PermissionError: this process may talk to this machine only" in python(code).stderr
    assert len(only_loopback.read_text().splitlines()) == 2
    only_loopback.write_text("")


def test_it_ends_with_the_test() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
    assert python("import os, sys; sys.exit('MLPIPE_GUARD' in os.environ)").returncode == 0


def test_an_attempt_that_is_hidden_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_hiding.py").write_text(
        "import contextlib, socket\n"
        "def test_hiding(only_loopback):\n"
        "    with contextlib.suppress(OSError):\n"
        f"        socket.create_connection(('{ELSEWHERE}', 80), 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hiding.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert f"other machines were to be reached:\n{ELSEWHERE}" in done.stdout
