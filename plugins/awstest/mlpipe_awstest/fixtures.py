"""Fixtures for pytest: the plugin ``mlpipe_awstest``."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpipe_awstest.aws import Aws, start


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    """One emulated AWS for all tests of a process; skips where jobs cannot run."""
    from mlpipe_awstest.containers import namespace

    if not namespace():
        pytest.skip("this machine lets nobody make mount namespaces, which jobs run in (unshare)")
    with start() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: Aws) -> Aws:
    """An emulated AWS in which nothing is yet."""
    aws_server.reset()
    return aws_server


@pytest.fixture(scope="session")
def _loopback_hook() -> None:
    from mlpipe_awstest.guard.sitecustomize import hook

    sys.addaudithook(hook)  # nothing takes one away; it acts while MLPIPE_GUARD is set


@pytest.fixture
def only_loopback(
    _loopback_hook: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The test and its Python processes can talk to this machine only, and fail when they try.

    Gives the file with what they tried to reach, a line each. The test fails when it is not empty
    in the end, whatever became of the attempts.
    """
    from mlpipe_awstest.guard import sitecustomize

    log = tmp_path_factory.mktemp("guard") / "attempts.txt"
    log.touch()
    folders = [str(Path(sitecustomize.__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.setenv(sitecustomize.VARIABLE, str(log))
    yield log
    tried = log.read_text("utf-8")
    if tried:
        pytest.fail(f"other machines were to be reached:\n{tried}", pytrace=False)
